"""What a run ran on: the machine, and the versions of packages."""

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from threadpoolctl import threadpool_info

REQUIREMENTS = Path("requirements.txt")


def describe_environment() -> dict:
    """Return what this runs on, and the versions of the packages that requirements.txt names."""
    cpu = Path("/proc/cpuinfo")
    processors = re.findall(r"^model name\s*: (.+)$", cpu.read_text(), re.M) if cpu.exists() else []
    accelerators = []
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        accelerators = subprocess.run(query, capture_output=True, text=True).stdout.splitlines()
    packages = re.findall(r"^([\w.-]+)==", REQUIREMENTS.read_text(), re.M)
    return {
        "python": platform.python_version(),
        "platform": " ".join([platform.system(), platform.machine(), *platform.libc_ver()]).strip(),
        "processor": processors[0] if processors else platform.processor() or None,
        "accelerator": accelerators[0] if accelerators else None,
        "cores": os.cpu_count(),
        "threads": max((pool["num_threads"] for pool in threadpool_info()), default=1),
    } | {name: version(name) for name in packages}
