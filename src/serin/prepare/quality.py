"""``quality.json``: every record accounted for, and the figures that a person would ask for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serin.core.errors import FinalError
from serin.core.params import PrepareParams
from serin.core.personal_data import TYPES
from serin.prepare.collect import Tally
from serin.prepare.decide import REASONS, Decisions
from serin.prepare.duplicates.near import NONE
from serin.prepare.limits import verdict_on
from serin.prepare.record.examine import NOT_MEASURED, STEPS
from serin.prepare.split import SPLITS
from serin.prepare.spool import Spool

QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
_LATER_STEPS = (
    ("exact", "exact_duplicate"),
    ("near", "near_duplicate"),
    ("semantic", "semantic_duplicate"),
    ("benchmark", "benchmark"),
    ("groups", "held_out_group"),
    ("mix", "over_weight"),
)
_MOST_BINS = 32
_MOST_CLUSTERS = 10
_MOST_EXAMPLES = 3
_EXAMPLE_CHARS = 300


def quality(
    params: PrepareParams,
    tally: Tally,
    spool: Spool,
    decisions: Decisions,
    augmentation: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The content of ``quality.json``.

    Raises:
        FinalError: read is not kept + rejected, so that the figures would be wrong.
    """
    kept = decisions.kept
    later = {reason: int(decisions.rejected_for(reason).sum()) for reason in REASONS[1:]}
    rejected = Counter(tally.reasons)
    rejected.update({reason: count for reason, count in later.items() if count})
    read, kept_count = tally.read, int(kept.sum())
    if read != kept_count + sum(rejected.values()):
        raise FinalError(
            f"{read} records read, {kept_count} kept and {sum(rejected.values())} rejected: expected a sum"
        )
    split, tokens, group, language = (spool.column(n) for n in ("split", "tokens", "group", "language"))
    names = spool.languages
    splits = {
        name: {
            "records": int((here := kept & (split == number)).sum()),
            "groups": len(np.unique(group[here & (group != 0)])),
            "languages": _counted(language[here], names),
            "tokens": _quantiles(tokens[here]),
        }
        for number, name in enumerate(SPLITS)
    }
    train = kept & (split == SPLITS.index("train"))
    report: dict[str, Any] = {
        "read": read,
        "kept": kept_count,
        "rejected": dict(sorted(rejected.items())),
        "files": _files(tally, np.bincount(spool.column("file")[kept], minlength=len(tally.files))),
        "steps": _steps(tally, later),
        "mended": dict(sorted(tally.counts.mended.items())),
        "languages": _counted(language[kept], names),
        "personal_data": _personal_data(params, tally),
        "sensitive_words": dict(sorted(tally.counts.words.items())),
        "tokens": _quantiles(tokens[kept]),
        "token_histogram": _histogram(tokens[kept]),
        "duplicates": _duplicates(params, tally, spool, decisions, later),
        "contamination": _contamination(tally, spool, decisions, split),
        "splits": splits,
        "training_tokens_an_epoch": int(tokens[train & (tokens != NOT_MEASURED)].sum()),
        "augmentation": augmentation,
    }
    return report | {"gate": verdict_on(params.limits, report)}


def _files(tally: Tally, kept: NDArray[np.int64]) -> list[dict[str, Any]]:
    return [
        {
            "source": file.name,
            "format": file.kind,
            "read": file.read,
            "kept": int(kept[number]),
            "compression": file.compression,
            "encoding": file.source.encoding,
            "split": file.source.split,
            "weight": file.source.weight,
            "license": file.source.license,
            "augmented": file.is_augmented,
        }
        for number, file in enumerate(tally.files)
        if not file.is_benchmark
    ]


def _steps(tally: Tally, later: Mapping[str, int]) -> list[dict[str, Any]]:
    """Records left after each step; those that a judge rejected count as rejected where the word lists stand."""
    left = tally.read
    steps: list[dict[str, Any]] = [{"step": "read", "records": left}]
    judged = STEPS[STEPS.index("sensitive_words") :]
    for step in STEPS:
        left = tally.counts.left[step] - (later["sensitive_words"] if step in judged else 0)
        steps.append({"step": step, "records": left})
    for step, reason in _LATER_STEPS:
        left -= later[reason]
        steps.append({"step": step, "records": left})
    return steps


def _personal_data(params: PrepareParams, tally: Tally) -> dict[str, Any]:
    return {
        type_: {
            "found": tally.counts.found[type_],
            "records": tally.counts.found_in[type_],
            "action": getattr(params.personal_data, type_.lower()),
        }
        for type_ in TYPES
        if tally.counts.found[type_]
    }


def _duplicates(
    params: PrepareParams, tally: Tally, spool: Spool, decisions: Decisions, later: Mapping[str, int]
) -> dict[str, Any]:
    members = np.flatnonzero((decisions.root != NONE) & ~decisions.is_benchmark & ~decisions.rejected_for("benchmark"))
    roots = decisions.root[members]
    clusters, sizes = np.unique(roots, return_counts=True)
    largest = sorted(zip((-sizes).tolist(), clusters.tolist(), strict=True))[:_MOST_CLUSTERS]
    return {
        "on": params.near_duplicates.on,
        "threshold": params.near_duplicates.threshold,
        "exact": later["exact_duplicate"],
        "near": later["near_duplicate"],
        "semantic": later["semantic_duplicate"],
        "clusters": len(clusters),
        "largest": [
            {
                "kept": place_of(tally, spool, root),
                "text": _excerpt(spool, root),
                "members": 1 - size,
                "examples": [
                    {"source": place_of(tally, spool, i), "text": _excerpt(spool, i)}
                    for i in members[roots == root][:_MOST_EXAMPLES].tolist()
                ],
            }
            for size, root in largest
        ],
    }


def _contamination(tally: Tally, spool: Spool, decisions: Decisions, split: NDArray[Any]) -> dict[str, Any]:
    resembles = (decisions.root != NONE) & ~decisions.is_benchmark
    hit = decisions.rejected_for("benchmark")
    matched = np.bincount(spool.column("file")[decisions.root[hit]], minlength=len(tally.files))
    return {
        "between_splits": int((resembles & ~hit & (split != split[decisions.root])).sum()),
        "benchmarks": [
            {
                "source": file.name,
                "records": file.read,
                "unreadable": file.rejected,
                "matched": int(matched[number]),
            }
            for number, file in enumerate(tally.files)
            if file.is_benchmark
        ],
    }


def place_of(tally: Tally, spool: Spool, number: int) -> str:
    """``file:line`` of a record of the spool."""
    return f"{tally.files[int(spool.column_at('file', number))].name}:{spool.column_at('place', number)}"


def _excerpt(spool: Spool, number: int) -> str:
    return spool.conversation(number).user_text[:_EXAMPLE_CHARS]


def _counted(numbers: NDArray[Any], names: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(numbers, minlength=len(names))
    return dict(sorted((name, int(counts[i])) for i, name in enumerate(names) if counts[i]))


def _quantiles(tokens: NDArray[Any]) -> dict[str, int]:
    lengths = np.sort(tokens[tokens != NOT_MEASURED])
    return {f"{q:g}": int(lengths[round(q * (len(lengths) - 1))]) for q in QUANTILES} if len(lengths) else {}


def _histogram(tokens: NDArray[Any]) -> dict[str, list[int]]:
    lengths = tokens[tokens != NOT_MEASURED]
    if not len(lengths):
        return {"edges": [], "counts": []}
    longest = int(lengths.max())
    width = next(4 << power for power in range(64) if (4 << power) * _MOST_BINS > longest)
    edges = list(range(0, (longest // width + 1) * width + 1, width))
    return {"edges": edges, "counts": np.histogram(lengths, bins=edges)[0].tolist()}
