"""One recording has one beat or one reason, whichever command asks."""

import download
import extract
import numpy as np
import pandas as pd
import predict
import pytest
import yaml

from ecg.params import read_params


@pytest.mark.parametrize("archive", ["ptb-xl", "ptb-xl-more", "challenge"])
def test_predict_and_extract_give_a_recording_the_same_beat_or_reason(archive, project, real_data):
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    params["download"] |= {"source": "directory", "directory": str(real_data / archive)}
    path.write_text(yaml.safe_dump(params), encoding="utf-8")
    download.main()
    extract.main()
    rows = pd.read_csv(project / "data/beats.csv", dtype={"record": str}, keep_default_na=False).set_index("record")
    beats = np.load(project / "data/beats.npy")
    recordings = predict.find_named([str(real_data / archive)], {})
    assert {recording.record for recording in recordings} >= set(rows.index)
    readings = predict.read_batch(recordings, read_params(path).extract, False)
    for recording, reading in zip(recordings, readings, strict=True):
        if recording.record in rows.index:
            found, row = reading.beat, rows.loc[recording.record]
            assert (found.reason, found.n_used) == (row.reason, row.n_used), recording.record
            if found.beat is not None:
                np.testing.assert_array_equal(found.beat, beats[int(float(row.row))])
