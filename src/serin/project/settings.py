"""The params of a new project: the defaults, and what its data, its base model and its name say otherwise."""

import math
import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from serin.core.errors import UsageError
from serin.core.params import MergeParams, Params, parse_params
from serin.project.data import Given
from serin.project.groups import common_group_field
from serin.project.look import Look

_QUANTILE = 0.99
_LEAST_TOKENS = 256
_LEAST_ANSWER_TOKENS = 64
_NAME_CHARS = 40
_NOT_NAME = re.compile(r"[^a-z0-9]+")

# The defaults suit the five million parameters of Serin's own example. These are what QLoRA's authors trained models of 7
# and 13 billion with (Dettmers et al. 2023, arXiv 2305.14314, table 9), and a usual number of passes.
_LEARNING_RATE = 2e-4
_EPOCHS = 3.0

_NOTES = {
    "base.rebuild_params": "Only for the base model of Serin's own example; nothing here matters while rebuild is false.",
    "kubernetes": "Take the number signs away to run on a cluster; storage.url has to be in S3 then.",
    "train.learning_rate": "This rate suits models of 7 to 13 billion parameters; smaller ones take more.",
}


def name_of(given: str | None, folder: str) -> str:
    """The name of the project's models: the one given, or the folder's in small letters, digits and hyphens.

    Raises UsageError where neither gives one.
    """
    if given is None:
        name = _NOT_NAME.sub("-", folder.lower()).strip("-")[:_NAME_CHARS].strip("-")
        if not name:
            raise UsageError(f"the folder's name {folder!r} gives the model no name: give it one with --name")
        return name
    try:
        return MergeParams(name=given).name
    except ValidationError as error:
        raise UsageError(
            f"--name {given!r}: expected at most {_NAME_CHARS} small letters, digits and hyphens, no hyphen at either end"
        ) from error


def settle(
    name: str,
    model: str,
    revision: str | None,
    context_tokens: int | None,
    data: Sequence[tuple[Given, Sequence[Look]]],
) -> tuple[Params, dict[str, str]]:
    """The params, and what is to be said of single ones by dotted path.

    Args:
        name: of the models.
        model: the base model as params name it.
        revision: of a hub id.
        context_tokens: the base model's longest input; None where nobody knows.
        data: what the user gave, each with the looks at its files.
    """
    looks = [look for _, files in data for look in files]
    longest = _power_of_two([n for look in looks for n in look.tokens], _LEAST_TOKENS, context_tokens)
    answer = _power_of_two([n for look in looks for n in look.answer_tokens], _LEAST_ANSWER_TOKENS, longest)
    served = 2 * longest if context_tokens is None else min(2 * longest, context_tokens)
    group = common_group_field(look.group for look in looks)
    values: dict[str, Any] = {
        "base": {"model": model, "revision": revision, "rebuild_params": {"corpus": "corpus"}},
        "prepare": {
            "sources": [source for given, files in data for source in _sources(given, files)],
            "max_tokens": longest,
            "split": {} if group is None else {"group": group},
        },
        "train": {"max_tokens": longest, "learning_rate": _LEARNING_RATE, "epochs": _EPOCHS},
        "merge": {"name": name},
        "evaluate": {"article_pattern": None, "max_new_tokens": answer},
        "serve": {"max_model_len": served},
    }
    return parse_params(values, "params.yaml"), _NOTES | _notes(looks, group, context_tokens)


def _sources(given: Given, looks: Sequence[Look]) -> list[dict[str, Any]]:
    """One source where all files are alike, else one for each file."""
    said = [look.file.source.model_dump(include={"format", "columns", "encoding"}, exclude_none=True) for look in looks]
    if given.place is not None and all(fields == said[0] for fields in said):
        return [{"path": given.place, **said[0]}]
    return [{"path": place, **fields} for place, fields in zip(given.places, said, strict=True)]


def _power_of_two(lengths: Sequence[int], least: int, most: int | None) -> int:
    """The length that 99 % do not exceed, rounded up to a power of two, within limits."""
    length = sorted(lengths)[math.ceil(_QUANTILE * len(lengths)) - 1]
    rounded = max(least, 1 << (length - 1).bit_length())
    return rounded if most is None else min(rounded, 1 << (most.bit_length() - 1))


def _notes(looks: Sequence[Look], group: str | None, context_tokens: int | None) -> dict[str, str]:
    sampled = sum(look.read for look in looks)
    estimate = (
        f"An estimate from the bytes of {sampled} records, of which it covers 99 %, rounded up to a power of two; "
        "quality.html shows the true lengths."
    )
    limit = "not known yet" if context_tokens is None else str(context_tokens)
    found = (
        f"Found in the data: records with the same {group} share an answer."
        if group is not None
        else "No such field was found in the data; a field of this name has no effect while no record has one."
    )
    notes = {
        "prepare.max_tokens": estimate,
        "train.max_tokens": "As prepare.max_tokens.",
        "evaluate.max_new_tokens": "An estimate from the answers, as prepare.max_tokens.",
        "serve.max_model_len": f"Twice prepare.max_tokens, for answers and further turns; the base model's own limit is {limit}.",
        "prepare.split.group": found,
    }
    if any(look.format == "columns" for look in looks):
        notes["prepare.sources"] = (
            "Where `columns` stands, names and content of the columns were all there was to go by."
        )
    return notes
