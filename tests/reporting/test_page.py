"""Citations of the recordings."""

from ecg.recordings.wfdb_header import ARCHIVES
from ecg.reporting.page import CITATIONS, cite_sources


def cited(sources, *, kaggle=False):
    text = " ".join(cite_sources(sources, kaggle=kaggle))
    return [name for name in ("Wagner", "Perez Alday EA, Gu", "Reyna", "Synthetic", "ask the owner") if name in text]


def test_sources_are_cited_once():
    assert cited(["ptb-xl"]) == ["Wagner"]
    assert cited(["ptb-xl"], kaggle=True) == ["Wagner", "Perez Alday EA, Gu", "Reyna"]
    assert cited(["synthetic-east", "our-hospital"]) == ["Synthetic", "ask the owner"]
    assert len(cite_sources(["cpsc", "georgia", "ptb-xl"], kaggle=True)) == 3


def test_every_source_of_the_challenges_has_a_citation():
    assert set(CITATIONS) == {archive.source for archive in ARCHIVES.values()} | {"ptb-xl-more"}
