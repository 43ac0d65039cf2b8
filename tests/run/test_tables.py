from ecg.run.tables import read_table


def test_text_in_tables_stays_text(tmp_path):
    (tmp_path / "t.csv").write_text("record,source,fold,reason\n001,NA,,\nnan,,3,flat\n")
    table = read_table(tmp_path / "t.csv")
    assert table[["record", "source", "reason"]].to_numpy().tolist() == [["001", "NA", ""], ["nan", "", "flat"]]
    assert table.fold.isna().tolist() == [True, False]
