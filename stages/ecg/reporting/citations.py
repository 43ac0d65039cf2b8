"""Licence and citation of the recordings of each source."""

from ecg.evaluation.names import SYNTHETIC, data_kind

PTB_XL = (
    "PTB-XL, CC BY 4.0: Wagner P, Strodthoff N, Bousseljot RD, Kreiseler D, Lunze FI, Samek W, Schaeffter T (2020). "
    "PTB-XL, a large publicly available electrocardiography dataset. Scientific Data 7:154. "
    "doi:10.1038/s41597-020-0495-6"
)
CHALLENGES = [
    "PhysioNet/Computing in Cardiology Challenge 2020, CC BY 4.0: Perez Alday EA, Gu A, Shah AJ, et al. (2020). "
    "Classification of 12-lead ECGs: the PhysioNet/Computing in Cardiology Challenge 2020. Physiological Measurement "
    "41:124003. doi:10.1088/1361-6579/abc960",
    "PhysioNet/Computing in Cardiology Challenge 2021, CC BY 4.0: Reyna MA, Sadr N, Perez Alday EA, et al. (2021). "
    "Will two do? Varying dimensions in electrocardiography: the PhysioNet/Computing in Cardiology Challenge 2021. "
    "Computing in Cardiology 48. doi:10.23919/CinC53138.2021.9662687",
]
RESTORED = (
    "ptb-xl-more: recordings of PTB-XL, restored from copies that had been band-passed (0.5 – 40 Hz) and scaled by "
    "lead: the gains are about 1% off, in a few leads more"
)
CITATIONS = {"ptb-xl": [PTB_XL], "ptb-xl-more": [PTB_XL, RESTORED]} | dict.fromkeys(
    ("cpsc", "cpsc-extra", "incart", "ptb", "georgia", "chapman-ningbo"), CHALLENGES
)


def cite_sources(sources: list[str], *, kaggle: bool) -> list[str]:
    """Return licence and citation of these sources; `kaggle`: the recordings are copies of the Challenges'."""
    cited = [text for source in sources for text in CITATIONS.get(source, [])] + CHALLENGES * kaggle
    synthetic = [source for source in sources if data_kind([source]) == SYNTHETIC]
    if synthetic:
        cited.append(f"Synthetic recordings, made here by a dipole model: {', '.join(synthetic)}")
    unknown = [source for source in sources if source not in {*CITATIONS, *synthetic}]
    cited += [f"Licence and citation are not known here; ask the owner of {source}" for source in unknown]
    return list(dict.fromkeys(cited))
