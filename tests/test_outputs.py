"""What a user names as an output is written, or refused before anything is computed, and nothing else is touched."""

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

LONG = "a" * 250
# Command, its arguments with {} for the output, and what is to be a file at {}.
FILES = {
    "predict --csv": (predict, ["ecgs", "--csv", "{}"], ""),
    "validate --recalibrate": (validate, ["ecgs", "--recalibrate", "{}"], ""),
    "export --out": (export, ["--out", "{}"], ""),
    "cross_validate --out": (cross_validate, ["--out", "{}.json"], ".json"),
    "cross_validate, the table beside": (cross_validate, ["--out", "{}.json"], ".csv"),
    "validate --out, a file in it": (validate, ["ecgs", "--out", "."], None),
    "release NAME": (release, ["{}", "ecgs"], None),
    "release NAME, its card": (release, ["{}", "ecgs"], None),
}
PLACES = {"validate --out, a file in it": "validate.csv", "release NAME": "models/x.safetensors"}
PLACES |= {"release NAME, its card": "models/x.md"}
FOLDERS = {
    "predict --plot": (predict, ["ecgs", "--plot", "{}"]),
    "validate --out": (validate, ["ecgs", "--out", "{}"]),
    "synthesise FOLDER": (synthesise, ["{}"]),
}


def make_folder(path):
    path.mkdir()
    (path / "notes.txt").write_text("what somebody keeps there")


def link_to(target):
    return lambda path: path.symlink_to(Path(target).absolute())


AT_A_FILE = {
    "a folder": make_folder,
    "a link to a folder": link_to("ecgs"),
    "a link to a file": link_to("params.yaml"),
    "a link to nothing": link_to("gone"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a pipe": os.mkfifo,
    "a device": link_to("/dev/null"),
}
NO_FILES = ["", ".", "..", "new/", "ecgs/.", "gone/x", "params.yaml/x", "/dev/full/x", "/proc/x", "/sys/x", LONG]
AT_A_FOLDER = {"a file": Path.touch, "a pipe": os.mkfifo, "a link to nothing": link_to("gone")}
NO_FOLDERS = ["params.yaml", "params.yaml/x", "gone/params.yaml/../../params.yaml", "/dev/null", "/dev/full/x"]
NO_FOLDERS += ["/proc/x", "/sys", "/sys/x", f"gone/{LONG}{LONG}"]


def tree(folder):
    """All that lies in a folder: kind and rights, what a link names, what a file holds."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        held = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        found[path] = (status.st_mode, path.readlink() if path.is_symlink() else held)
    return found


@pytest.fixture
def refused(project, monkeypatch, capsys):
    """Run a command that is to be refused; return the last line that it printed."""
    monkeypatch.setenv("WORKERS", "1")
    write_challenge(project / "ecgs", "r0", ecg_signal(2))
    (project / "models").mkdir()

    def command(module, *arguments):
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
        before, null = tree(project), Path("/dev/null").stat()
        with pytest.raises(SystemExit) as end:
            run(module.main)
        assert end.value.code == 2
        assert tree(project) == before
        assert Path("/dev/null").stat().st_mode == null.st_mode
        out, err = capsys.readouterr()
        assert out == "" and "Traceback" not in err
        return err.splitlines()[-1]

    return command


@pytest.mark.parametrize("state", AT_A_FILE)
@pytest.mark.parametrize("option", FILES)
def test_what_is_there_and_no_file_stays(refused, option, state):
    module, arguments, suffix = FILES[option]
    place = PLACES.get(option, f"x{suffix}")
    AT_A_FILE[state](Path(place))
    assert place in refused(module, *[argument.format("x") for argument in arguments])


@pytest.mark.parametrize("path", NO_FILES)
@pytest.mark.parametrize("option", [option for option in FILES if option not in PLACES])
def test_where_no_file_can_be_written(refused, option, path):
    module, arguments, _ = FILES[option]
    named = path not in ("", ".", "..", "new/", "ecgs/.") or module is not cross_validate
    given = [argument if named else argument.removesuffix(".json") for argument in arguments]
    line = refused(module, *[argument.format(path) for argument in given])
    assert (path or "''") in line


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "models/x", "/tmp/x", LONG])
def test_a_model_has_the_name_of_a_file(refused, name):
    assert name in refused(release, name, "ecgs")


@pytest.mark.parametrize("state", AT_A_FOLDER)
@pytest.mark.parametrize("option", FOLDERS)
def test_what_is_there_and_no_folder_stays(refused, option, state):
    module, arguments = FOLDERS[option]
    AT_A_FOLDER[state](Path("x"))
    for given in ("x", "./x"):
        assert f": {given} cannot be written: " in refused(module, *[argument.format(given) for argument in arguments])


@pytest.mark.parametrize("path", NO_FOLDERS)
@pytest.mark.parametrize("option", FOLDERS)
def test_where_no_folder_can_be_written(refused, option, path):
    module, arguments = FOLDERS[option]
    assert path in refused(module, *[argument.format(path) for argument in arguments])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write what is read-only")
@pytest.mark.parametrize("option", [*[option for option in FILES if option not in PLACES], *FOLDERS])
def test_what_is_read_only_stays(refused, option):
    module, arguments, *_ = (FILES | FOLDERS)[option]
    Path("kept").mkdir()
    Path("kept").chmod(0o500)
    assert "kept/x" in refused(module, *[argument.format("kept/x") for argument in arguments])


def test_made_up_recordings_go_into_a_new_or_an_empty_folder(refused, monkeypatch):
    assert "ecgs is not empty" in refused(synthesise, "ecgs")
    Path("empty").mkdir()
    for folder in ("empty", "new/one"):
        monkeypatch.setattr(sys, "argv", ["synthesise", folder, "--patients", "1"])
        run(synthesise.main)
        assert list(Path(folder).rglob("*.hea"))


def test_no_input_is_an_output(refused):
    table = Path("ecgs/r1.csv")
    table.write_text("I,II,V1,V2,V3,V4,V5,V6\n" + "0,0,0,0,0,0,0,0\n" * 9)
    for arguments in (["ecgs", "--csv", table], [table, "--csv", "ecgs/../ecgs/r1.csv"]):
        assert "r1.csv is read" in refused(predict, *arguments)
    Path("m.safetensors").touch()
    for module, *arguments in ((export, "--out"), (validate, "ecgs", "--recalibrate"), (predict, "ecgs", "--csv")):
        same = [*arguments, "./m.safetensors", "--model", "m.safetensors"]
        assert "m.safetensors is read" in refused(module, *same)
    assert "data/beats.csv is read" in refused(cross_validate, "--out", "data/beats.json")


def test_no_output_takes_the_place_of_a_recording_or_of_labels(refused):
    Path("ecgs/other.DAT").touch()
    Path("labels.csv").touch()
    for name in ("ecgs/r0.hea", "ecgs/r0.mat", "ecgs/other.DAT", "labels.csv"):
        for module, *arguments in ((export, "--out"), (validate, "ecgs", "--recalibrate"), (predict, "ecgs", "--csv")):
            assert f"{name} is there and may be of a recording" in refused(module, *arguments, name)
