"""One recording has one beat or one reason, whoever asks."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, run_stage

from ecg.params import read_params


@pytest.mark.parametrize("archive", ["ptb-xl", "ptb-xl-more", "challenge"])
def test_predict_says_of_a_recording_what_extract_says(archive, finished, project, real_data, monkeypatch, capsys):
    import predict
    import yaml

    params = yaml.safe_load((project / "params.yaml").read_text())
    params["download"] |= {"source": "directory", "directory": str(real_data / archive)}
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    (project / "stages").symlink_to(ROOT / "stages")
    for stage in ("download", "extract"):
        done = run_stage(project, stage)
        assert done.returncode == 0, done.stderr
    rows = pd.read_csv(project / "data/beats.csv", dtype={"record": str, "reason": str}, keep_default_na=False)
    beats = np.load(project / "data/beats.npy")

    # A model file that asks for the same beats.
    model = finished / "data/model.safetensors"
    assert predict.read_description(model).extract == read_params(project / "params.yaml").extract
    monkeypatch.setattr(sys, "argv", ["predict", str(real_data / archive), "--json", "--model", str(model)])
    try:
        predict.main()
    except SystemExit as end:
        assert end.code == 3
    answers = {row["record"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    for row in rows.itertuples():
        assert answers[row.record]["reason"] == (row.reason or None), row.record
        assert answers[row.record]["n_used"] == row.n_used

    # The same beats, too: some of them, read by predict's own way.
    for recording in predict.find_named([str(real_data / archive)], {})[:40]:
        found = predict.read(recording, read_params(project / "params.yaml").extract)
        row = rows[rows.record == recording.record].iloc[0]
        assert (found.beat.beat is None) == (row.row == "")
        if found.beat.beat is not None:
            np.testing.assert_array_equal(found.beat.beat, beats[int(float(row.row))])
