"""The released model: by the docs' lines of Python, from any folder, and after a new parameter."""

import re
import shutil
import subprocess
import sys

from conftest import ROOT, ecg_signal, write_challenge
from projects import environment


def run(folder, *words, **changes):
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment(**changes), capture_output=True, text=True
    )


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


def test_predict_needs_nothing_of_the_folder_it_is_called_from(tmp_path):
    write_challenge(tmp_path, "r", ecg_signal())
    command = run(tmp_path, ROOT / "stages/predict.py", "r", "--json")
    assert command.returncode == 0, command.stderr
    code = "import wfdb; from predict import predict; r = wfdb.rdrecord('r'); "
    code += "print(predict(r.p_signal, r.fs, r.sig_name)['probability'])"
    function = run(tmp_path, "-c", code, PYTHONPATH=str(ROOT / "stages"))
    assert f'"probability": {function.stdout.strip()}, ' in command.stdout, function.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.hea", "r.mat"]


def test_a_new_parameter_leaves_the_released_model_as_it_was(tmp_path):
    code = tmp_path / "stages/ecg/params.py"
    shutil.copytree(ROOT / "stages", tmp_path / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "models", tmp_path / "models")
    write_challenge(tmp_path, "r", ecg_signal())
    expected = run(ROOT, "stages/predict.py", tmp_path / "r", "--json")
    code.write_text(
        code.read_text(encoding="utf-8")
        .replace("    max_noise: ", "    notch: Annotated[float, Field(ge=0)] = 0\n    max_noise: ")
        .replace("    parts: ", "    heads: Positive = 1\n    parts: "),
        encoding="utf-8",
    )
    done = run(tmp_path, "stages/predict.py", "r", "--json")
    assert (done.returncode, done.stdout) == (0, expected.stdout), done.stderr
