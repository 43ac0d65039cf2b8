"""Citations of the recordings."""

import pytest
from projects import ROOT

from ecg.recordings.wfdb_header import ARCHIVES
from ecg.reporting.page import cite_sources

NAMES = ("Wagner", "Perez Alday EA, Gu", "Reyna", "Synthetic", "ask its owner")


@pytest.mark.parametrize(
    ("sources", "kaggle", "expected"),
    [
        (["ptb-xl", "ptb-xl-more"], False, NAMES[:1]),
        (["ptb-xl", "georgia"], True, NAMES[:3]),
        (["synthetic-east", "our-hospital"], False, NAMES[3:]),
        ([archive.source for archive in ARCHIVES.values()], False, NAMES[:3]),
    ],
)
def test_sources_are_cited_once(sources, kaggle, expected, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = " ".join(cite_sources(sources, kaggle=kaggle))
    assert {name: text.count(name) for name in NAMES if name in text} == dict.fromkeys(expected, 1)
