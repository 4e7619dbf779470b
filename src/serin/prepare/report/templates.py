"""The templates of the report and of the data card: the figures they get, and the words and functions both may use."""

from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from serin.core.languages import language_name
from serin.prepare.report import wording

_EMPTY: Mapping[str, Any] = {
    "read": 0,
    "kept": 0,
    "rejected": {},
    "files": [],
    "steps": [],
    "mended": {},
    "languages": {},
    "personal_data": {},
    "sensitive_words": {},
    "tokens": {},
    "token_histogram": {},
    "duplicates": {"on": "user", "threshold": None, "exact": 0, "near": 0, "semantic": 0, "clusters": 0, "largest": []},
    "contamination": {"between_splits": 0, "benchmarks": []},
    "splits": {},
    "training_tokens_an_epoch": 0,
    "augmentation": None,
    "gate": {"passed": True, "rules": []},
}


def completed(quality: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``quality.json`` with every key that a template asks for: zeros and nothing where it lacks one."""
    return {key: _completed(quality.get(key), empty) for key, empty in _EMPTY.items()}


@cache
def load_template(name: str, autoescape: bool, **filters: Callable[..., Any]) -> Template:
    """A template of this package, with ``filters`` beside those that both share; a misspelt key in it is an error."""
    environment = Environment(
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"number": wording.number, "language": language_name, **filters}
    functions = ("by_count", "in_order", "share", "words_of")
    tables = ("ACTIONS", "AUGMENTED", "MENDINGS", "PERSONAL_DATA", "REASONS", "SPLITS")
    environment.globals |= {word: getattr(wording, word) for word in functions + tables}
    return environment.from_string((files("serin.prepare.report") / name).read_text(encoding="utf-8"))


def _completed(value: Any, empty: Any) -> Any:
    if value is None:
        return empty
    return {**empty, **value} if isinstance(empty, Mapping) else value
