"""A command refuses an output that it cannot write before it computes anything; no file of the user is lost."""

import os
import sys
from pathlib import Path

import cross_validate
import export
import predict
import pytest
import release
import synthesise
import validate
from conftest import ecg_signal, write_challenge

from ecg.run.script import run

# Each option, with {} for its output.
FILES = {
    "predict --csv": (predict, ["ecgs", "--csv", "{}"]),
    "validate --recalibrate": (validate, ["ecgs", "--recalibrate", "{}"]),
    "export --out": (export, ["--out", "{}"]),
    "cross_validate --out": (cross_validate, ["--out", "{}.json"]),
}
FOLDERS = {
    "predict --plot": (predict, ["ecgs", "--plot", "{}"]),
    "validate --out": (validate, ["ecgs", "--out", "{}"]),
    "synthesise FOLDER": (synthesise, ["{}"]),
}


def files_of(folder):
    """The content of each file in a folder, and the target of each link."""
    paths = [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    return {path: path.readlink() if path.is_symlink() else path.read_bytes() for path in paths}


@pytest.fixture
def refused(project, monkeypatch, capsys):
    """Run a command that is to be refused; return the last line that it printed."""
    monkeypatch.setenv("WORKERS", "1")
    write_challenge(project / "ecgs", "r0", ecg_signal(2))
    (project / "models").mkdir()

    def command(module, *arguments):
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
        before = files_of(project)
        with pytest.raises(SystemExit) as end:
            run(module.main)
        assert end.value.code in (1, 2)
        assert files_of(project) == before
        out, err = capsys.readouterr()
        assert out == "" and "Traceback" not in err
        return err.splitlines()[-1]

    return command


@pytest.mark.parametrize("option", FILES)
def test_a_file_is_written_in_a_folder_and_replaces_only_a_file(refused, option):
    module, arguments = FILES[option]
    suffix = arguments[-1].removeprefix("{}")
    Path(f"folder{suffix}").mkdir()
    places = ["folder", "gone/x", "params.yaml/x", "a" * 250]
    if hasattr(os, "mkfifo"):
        Path(f"link{suffix}").symlink_to("params.yaml")
        os.mkfifo(f"pipe{suffix}")
        places += ["link", "pipe"]
    for place in places:
        assert place in refused(module, *[argument.format(place) for argument in arguments])


def test_more_files_of_a_name_are_looked_at_too(refused):
    for place in ("x.csv", "validate.csv", "models/x.safetensors", "models/y.md"):
        Path(place).mkdir()
    assert "x.csv is a folder," in refused(cross_validate, "--out", "x.json")
    assert "validate.csv is a folder," in refused(validate, "ecgs", "--out", ".")
    for name in ("x", "y"):
        assert "is a folder," in refused(release, name, "ecgs")
    for name in ("", ".", "..", "../z", "a/b"):
        assert f"NAME is {name}; allowed: " in refused(release, name, "ecgs")


@pytest.mark.parametrize("option", FOLDERS)
def test_a_folder_replaces_no_file(refused, option):
    module, arguments = FOLDERS[option]
    for place in ("params.yaml", "params.yaml/x"):
        line = refused(module, *[argument.format(place) for argument in arguments])
        assert f": cannot write {place}: " in line


def test_synthetic_recordings_go_into_a_new_or_an_empty_folder(refused, monkeypatch):
    assert "ecgs is not empty" in refused(synthesise, "ecgs")
    Path("empty").mkdir()
    for folder in ("empty", "new/one"):
        monkeypatch.setattr(sys, "argv", ["synthesise", folder, "--patients", "1"])
        run(synthesise.main)
        assert list(Path(folder).rglob("*.hea"))


def test_no_output_replaces_an_input(refused):
    table = Path("ecgs/r1.csv")
    table.write_text("I,II,V1,V2,V3,V4,V5,V6\n" + "0,0,0,0,0,0,0,0\n" * 9)
    for arguments in (["ecgs", "--csv", table], [table, "--csv", "ecgs/../ecgs/r1.csv"]):
        assert "r1.csv is an input" in refused(predict, *arguments)
    assert "data/beats.csv is an input" in refused(cross_validate, "--out", "data/beats.json")
    Path("m.safetensors").touch()
    Path("labels.csv").touch()
    for module, *arguments in ((export, "--out"), (validate, "ecgs", "--recalibrate"), (predict, "ecgs", "--csv")):
        same = [*arguments, "./m.safetensors", "--model", "m.safetensors"]
        assert "m.safetensors is an input" in refused(module, *same)
        for name in ("ecgs/r0.hea", "ecgs/r0.mat", "labels.csv"):
            assert f"{name} exists and may be a recording" in refused(module, *arguments, name)
