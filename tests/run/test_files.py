"""Atomic output files; tables."""

import shutil
from pathlib import Path

import pytest

from ecg.run.files import read_table, replacing, write_json


def test_output_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    with monkeypatch.context() as patch, replacing(path) as temporary:
        # There is a file at any time.
        patch.setattr(Path, "replace", lambda new, old: old.read_text() == "old" and shutil.move(new, old))
        temporary.write_text("new")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["new"]
    for name in ("a", "b"):
        with replacing(tmp_path / "parts") as temporary:
            temporary.mkdir()
            (temporary / name).touch()
    assert [p.name for p in (tmp_path / "parts").iterdir()] == ["b"]


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path):
    (tmp_path / ".out.partial-0123.csv").write_text("half")
    (tmp_path / ".out.partial-4567").mkdir()
    (tmp_path / ".other.partial-0123.csv").touch()
    for name in ("out.csv", "out"):
        with replacing(tmp_path / name) as temporary:
            temporary.touch()
    assert {p.name for p in tmp_path.iterdir()} == {"out.csv", "out", ".other.partial-0123.csv"}


def test_a_file_replaces_no_folder_and_a_folder_no_file(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "notes").touch()
    with pytest.raises(OSError), replacing(tmp_path / "kept") as temporary:
        temporary.touch()
    with pytest.raises(OSError), replacing(tmp_path / "kept" / "notes") as temporary:
        temporary.mkdir()
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["kept", "kept/notes"]


def test_json_is_rounded_and_has_null_for_unknown(tmp_path):
    write_json(tmp_path / "m.json", {"a": 1 / 3, "b": None, "n": 7})
    assert (tmp_path / "m.json").read_text() == '{\n  "a": 0.333333333,\n  "b": null,\n  "n": 7\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "m.json", {"a": float("nan")})


def test_text_in_tables_stays_text_and_an_empty_number_is_nan(tmp_path):
    (tmp_path / "t.csv").write_text("record,source,fold,start,p_normal,reason\n001,NA,,,0.25,\nnan,,3,7,0.5,flat\n")
    table = read_table(tmp_path / "t.csv")
    assert table[["record", "source", "reason"]].to_numpy().tolist() == [["001", "NA", ""], ["nan", "", "flat"]]
    assert table.fold.isna().tolist() == table.start.isna().tolist() == [True, False]
    assert table.p_normal.sum() == 0.75
