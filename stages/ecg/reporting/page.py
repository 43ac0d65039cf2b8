"""The page and the model card: values in, text out."""

import re
from pathlib import Path

import jinja2

from ecg.evaluation.names import format_difference, format_interval, format_number

TEMPLATES = Path("stages/templates")


def escape_markdown(value: object) -> object:
    """Escape what Markdown and HTML would take for their own: text of the data can be anything."""
    if type(value) is not str:  # a number, or Markup
        return value
    text = " ".join(value.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~!])", r"\\\1", text)


def render(template: str, values: dict) -> str:
    """Return a template of stages/templates/, .html or .md, filled in."""
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
    }
    environment.filters["cell"] = lambda value: format_number(value) if isinstance(value, float) else value
    return environment.get_template(template).render(values)
