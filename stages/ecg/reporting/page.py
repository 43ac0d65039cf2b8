"""Pages and model cards, rendered from stages/templates/; licences and citations of the recordings."""

import re
from pathlib import Path

import jinja2
import yaml

from ecg.evaluation import names
from ecg.model.description import TREES_FROM, TREES_SHARE
from ecg.reporting.figures import inline_svg

TEMPLATES = Path("stages/templates")


def cite_sources(sources: list[str], *, kaggle: bool) -> list[str]:
    """Return licence and citation of these sources; `kaggle`: the recordings are copies of those of the Challenges."""
    known, cited = yaml.safe_load((TEMPLATES / "citations.yaml").read_text(encoding="utf-8")), []
    for source in [*sources, *["georgia"] * kaggle]:
        if names.data_kind([source]) == names.SYNTHETIC:
            cited.append("Synthetic recordings, made by the dipole model of this project")
        else:
            cited += known.get(source, [f"Licence and citation of {source} are unknown; ask its owner"])
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
    environment.globals |= {"comparisons": names.COMPARISON_TITLES, "source_limit": names.SOURCE_LIMIT}
    environment.globals |= {"trees_share": TREES_SHARE, "trees_from": TREES_FROM}
    environment.filters |= {
        "difference": names.format_difference,
        "number": names.format_number,
        "interval": names.format_interval,
        "svg": inline_svg,
        "percent": "{:.0%}".format,
        "define_ischemia": names.define_ischemia,
        "cell": lambda value: names.format_number(value) if isinstance(value, float) else value,
    }
    return environment.get_template(template).render(values)
