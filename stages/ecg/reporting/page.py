"""Templates of stages/templates/ filled in: the page, the model cards; licences and citations of the recordings."""

import re
from pathlib import Path

import jinja2

from ecg.evaluation.names import SYNTHETIC, data_kind, format_difference, format_interval, format_number, names_of

TEMPLATES = Path("stages/templates")

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
        cited.append(f"Synthetic recordings, made by the dipole model of this project: {', '.join(synthetic)}")
    unknown = [source for source in sources if source not in {*CITATIONS, *synthetic}]
    cited += [f"Licence and citation of {source} are unknown; ask the owner of the recordings" for source in unknown]
    return list(dict.fromkeys(cited))


def escape_markdown(value: object) -> object:
    """Escape the special characters of Markdown and HTML: text of the data can be anything."""
    if type(value) is not str:  # a number, or Markup
        return value
    text = " ".join(value.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~!])", r"\\\1", text)


def render(template: str, values: dict) -> str:
    """Return the text of a template of stages/templates/, .html or .md, with these values."""
    html = template.endswith(".html")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=html,
        finalize=None if html else escape_markdown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "difference": format_difference,
        "number": format_number,
        "interval": format_interval,
        "percent": "{:.0%}".format,
        "names_of": names_of,
        "cell": lambda value: format_number(value) if isinstance(value, float) else value,
    }
    return environment.get_template(template).render(values)
