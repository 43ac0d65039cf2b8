"""Templates of stages/templates/ with values: the pages, the model cards; licences and citations of the recordings."""

import re
from pathlib import Path

import jinja2
import yaml

from ecg.evaluation.names import SYNTHETIC, data_kind, format_difference, format_interval, format_number, names_of

TEMPLATES = Path("stages/templates")


def cite_sources(sources: list[str], *, kaggle: bool) -> list[str]:
    """Return licence and citation of these sources; `kaggle`: the recordings are copies of the Challenges'."""
    known = yaml.safe_load((TEMPLATES / "citations.yaml").read_text(encoding="utf-8"))
    cited = [text for source in [*sources, *["georgia"] * kaggle] for text in known.get(source, [])]
    synthetic = [source for source in sources if data_kind([source]) == SYNTHETIC]
    if synthetic:
        cited.append(f"Synthetic recordings, made by the dipole model of this project: {', '.join(synthetic)}")
    unknown = [source for source in sources if source not in {*known, *synthetic}]
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
