"""Runs a command and appends what it took, as a line of JSON, to a file.

python benchmarks/measured.py FILE NAME COMMAND...
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

UNIT = 1 if sys.platform == "darwin" else 1024  # bytes, of ru_maxrss


def measure(command: list[str], **options) -> dict:
    """Run a command; return its exit status, wall and CPU time, and the peak memory of its largest process.

    All processes that it waits for count. Memory is the resident set: pages of mapped files too.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, **options)
    # Ctrl-C reaches the command too; it says by its exit status that it ended.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, status, usage = os.wait4(process.pid, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "status": process.returncode if process.returncode >= 0 else 128 - process.returncode,
        "wall_s": round(time.perf_counter() - start, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss * UNIT / 1e6),
    }


def main() -> None:
    file, name, *command = sys.argv[1:]
    result = measure(command)
    with Path(file).open("a") as lines:
        lines.write(json.dumps({"stage": name} | result) + "\n")
    raise SystemExit(result["status"])


if __name__ == "__main__":
    main()
