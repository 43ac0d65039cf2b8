import torch

from ecg.network.checkpoint import read_checkpoint, write_checkpoint


def test_a_checkpoint_that_is_broken_or_of_another_run_is_discarded_in_one_line(tmp_path, capsys):
    path = tmp_path / "run/member-1"
    assert read_checkpoint(path) is None
    write_checkpoint(path, {"weights": torch.ones(100), "history": [{"epoch": 1}]})
    assert read_checkpoint(path)["history"] == [{"epoch": 1}]
    assert [p.name for p in path.parent.iterdir()] == ["member-1"]
    assert capsys.readouterr().err == ""
    whole = path.read_bytes()
    other = tmp_path / "other/member-1"
    other.parent.mkdir()
    other.write_bytes(whole)
    assert read_checkpoint(other) is None
    assert capsys.readouterr().err.count("\n") == 1
    for content in (b"", whole[:10], whole[:-1], whole[:300] + b"?" + whole[301:]):
        path.write_bytes(content)
        assert read_checkpoint(path) is None
        assert capsys.readouterr().err.count("\n") == 1
