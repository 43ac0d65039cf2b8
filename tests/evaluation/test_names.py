from small_models import DESCRIPTION, PARAMS

from ecg.evaluation.names import CODE_TITLES, define_ischemia
from ecg.model.description import Description


def test_ischemia_in_words():
    codes = "SNOMED CT 164861001 (myocardial ischemia), 57054005; SCP ISC_ (non-specific ischemic), IMI"
    coded, label = (
        f"any of these diagnoses in the training data: {codes}",
        "the label ischemia in labels.csv or a header",
    )
    half = f"{label} (50.0% of the training recordings) or {coded}"
    for share, words in ((0, coded), (0.5, half), (1, f"{label} (100.0% of the training recordings)")):
        labels = {"ischemia": ["ISC_", "164861001", "57054005", "IMI"], "normal": ["NORM"]}
        assert define_ischemia(Description(**DESCRIPTION | {"labels": labels, "labelled": share})) == words
    assert set(PARAMS.download.ischemia) == set(CODE_TITLES)
