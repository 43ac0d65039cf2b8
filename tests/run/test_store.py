import numpy as np

from ecg.run.tables import open_part, write_rows


def test_rows_come_back(tmp_path):
    rng = np.random.default_rng(0)
    blocks = [rng.integers(-500, 500, (n, 12)).astype(np.int16) for n in (5, 0, 123_456, 7)]
    assert write_rows(tmp_path / "part.npy", iter(blocks), dtype="<i2", row_shape=(12,)) == 123_468
    np.testing.assert_array_equal(open_part(tmp_path / "part.npy"), np.concatenate(blocks))


def test_no_rows(tmp_path):
    assert write_rows(tmp_path / "none.npy", iter([]), dtype="<f4", row_shape=(12, 188)) == 0
    assert np.load(tmp_path / "none.npy").shape == (0, 12, 188)
