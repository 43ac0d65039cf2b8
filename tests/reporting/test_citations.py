"""Who is to be cited for the recordings."""

from ecg.recordings.wfdb_header import ARCHIVES
from ecg.reporting.citations import CITATIONS, cite_sources


def cited(sources, *, kaggle=False):
    text = " ".join(cite_sources(sources, kaggle=kaggle))
    return [name for name in ("Wagner", "Perez Alday EA, Gu", "Reyna", "Synthetic", "ask the owner") if name in text]


def test_sources_are_cited():
    assert cited(["ptb-xl"]) == ["Wagner"]
    assert cited(["ptb-xl"], kaggle=True) == ["Wagner", "Perez Alday EA, Gu", "Reyna"]
    assert cited(["georgia"]) == ["Perez Alday EA, Gu", "Reyna"]
    assert cited(["synthetic-east", "our-hospital"]) == ["Synthetic", "ask the owner"]


def test_each_is_cited_once():
    texts = cite_sources(["cpsc", "georgia", "ptb-xl"], kaggle=True)
    assert len(texts) == len(set(texts)) == 3


def test_every_source_of_the_challenges_has_a_citation():
    assert set(CITATIONS) == {archive.source for archive in ARCHIVES.values()} | {"ptb-xl-more"}
