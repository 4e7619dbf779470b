"""What is reported of a dataset: every record accounted for, and figures that a person would ask for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from serin.core.conversation import Conversation
from serin.core.errors import FinalError
from serin.prepare.split import SPLITS, Split

QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.95, 1.0)


def quality(
    files: Sequence[Mapping[str, Any]],
    splits: Mapping[Split, list[Conversation]],
    rejected: Sequence[Mapping[str, Any]],
    personal_data: Mapping[str, int],
    tokens: Mapping[str, int],
) -> dict[str, Any]:
    """The content of ``quality.json``. ``tokens`` is the length of each kept conversation by its id.

    Raises:
        FinalError: read is not kept + rejected, so that the figures would be wrong.
    """
    kept = [conversation for split in SPLITS for conversation in splits[split]]
    read = sum(int(file["read"]) for file in files)
    if read != len(kept) + len(rejected):
        raise FinalError(f"{read} records read, {len(kept)} kept and {len(rejected)} rejected: expected a sum")
    return {
        "read": read,
        "kept": len(kept),
        "rejected": dict(sorted(Counter(str(record["reason"]) for record in rejected).items())),
        "files": list(files),
        "languages": dict(sorted(Counter(c.language for c in kept).items())),
        "personal_data": dict(sorted(personal_data.items())),
        "splits": {split: describe(splits[split], tokens) for split in SPLITS},
        "training_tokens_an_epoch": sum(tokens[c.id] for c in splits["train"]),
    }


def describe(records: Sequence[Conversation], tokens: Mapping[str, int]) -> dict[str, Any]:
    """One split: records, groups, languages, and quantiles of the length in tokens."""
    lengths = sorted(tokens[c.id] for c in records)
    return {
        "records": len(records),
        "groups": len({c.meta["group"] for c in records if "group" in c.meta}),
        "languages": dict(sorted(Counter(c.language for c in records).items())),
        "tokens": {f"{q:g}": lengths[round(q * (len(lengths) - 1))] for q in QUANTILES} if lengths else {},
    }
