"""The released model: by the docs' lines of Python, from any folder, and after a new parameter."""

import re
import shutil
import subprocess
import sys

from conftest import ROOT, ecg_signal, write_challenge
from projects import environment


def run(folder, *words, **env):
    return subprocess.run([sys.executable, *words], cwd=folder, env=environment(**env), capture_output=True, text=True)


def test_the_lines_of_python_in_the_docs_run_as_they_stand(tmp_path):
    """In a clone, after the command of the README that writes recordings."""
    text = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    for name in ("stages", "models"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    assert run(tmp_path, "stages/synthesise.py", "my-ecgs").returncode == 0
    done = run(tmp_path, "-c", code, PYTHONPATH="stages")
    assert done.returncode == 0, done.stderr
    assert re.match(r"\{'probability': 0\.\d+, 'ischemia': (True|False), 'threshold': 0\.\d+, ", done.stdout)


def test_the_released_model_is_as_it_was_from_any_folder_and_after_a_new_parameter(tmp_path):
    for name in ("stages", "models"):
        shutil.copytree(ROOT / name, tmp_path / "code" / name, ignore=shutil.ignore_patterns("__pycache__"))
    code = tmp_path / "code/stages/ecg/params.py"
    text = code.read_text(encoding="utf-8")
    text = text.replace("    max_noise: ", "    notch: Annotated[float, Field(ge=0)] = 0\n    max_noise: ")
    code.write_text(text.replace("    parts: ", "    heads: Positive = 1\n    parts: "), encoding="utf-8")
    write_challenge(tmp_path / "other", "r", ecg_signal())
    expected = run(ROOT, "stages/predict.py", tmp_path / "other/r", "--json")
    done = run(tmp_path / "other", "../code/stages/predict.py", "r", "--json")
    assert (done.returncode, done.stdout) == (0, expected.stdout), done.stderr
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == ["r.hea", "r.mat"]
