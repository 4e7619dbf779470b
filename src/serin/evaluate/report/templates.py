"""The page's templates, and the filters and functions that they use."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from serin.evaluate.report import excerpts, wording


@cache
def load_template(name: str) -> Template:
    """A template of this package; a misspelt name in it is an error."""
    environment = Environment(
        loader=PackageLoader("serin.evaluate.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        finalize=_plain,
    )
    environment.filters |= {**excerpts.FILTERS, "number": wording.number, "percent": wording.percent}
    functions = ("p_value", "share", "slice_name", "words_of", "in_order", "METRICS", "MODELS", "SETS")
    environment.globals |= {word: getattr(wording, word) for word in functions}
    return environment.get_template(name)


def _plain(value: Any) -> Any:
    """Names come from files too: what would turn the page's text around, or must not stand in it, is written as its code."""
    return excerpts.with_codes(value) if isinstance(value, str) and not isinstance(value, Markup) else value
