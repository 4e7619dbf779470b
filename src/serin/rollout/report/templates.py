"""The templates of the pages: that of a rollout, that of an experiment, and what both look like."""

from collections.abc import Callable
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


@cache
def load_template(name: str, **filters: Callable[..., str]) -> Template:
    """A template by its path in ``serin.rollout``, with these filters; a misspelt name in it is an error."""
    environment = Environment(
        loader=PackageLoader("serin.rollout", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= filters
    return environment.get_template(name)
