import pytest

from ecg.run.script import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("HR00001", "HR00001"),
        ("Größe µV … 心電図", "Größe µV … 心電図"),
        ("a\x1b[2Jb\x7f\x9b", "a\\x1b[2Jb\\x7f\\x9b"),
        ("a\r\n\tb\0", "a\\r\\n\\tb\\x00"),
        ("\u202egpj.exe\u200b\u2066\ufeff\u2028", "\\u202egpj.exe\\u200b\\u2066\\ufeff\\u2028"),
        ("\udcff\ue000\U000e0041", "\\udcff\\ue000\\U000e0041"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1", "'  =1"),
        ("\t=1", "\\t=1"),
        ("＝1", "'＝1"),
        ("a=1", "a=1"),
        ("", ""),
    ],
)
def test_text_from_files_is_made_safe(text, shown):
    assert printable(text) == shown


def test_different_texts_stay_different():
    texts = ["=1", "'=1", "''=1", "\n", "\\n", "\\\\n", "\x1b", "\\x1b", " =1", "' =1", "'a", "a"]
    assert len({printable(text) for text in texts}) == len(texts)
