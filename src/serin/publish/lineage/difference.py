"""What tells two revisions apart: params, data and figures. Pure: from two lineages to one value, and to lines."""

from collections.abc import Iterator, Mapping
from typing import Any

from serin.publish.figures import flatten

_STAGES = {"prepare": "dataset", "train": "adapter", "merge": "model", "evaluate": "evaluation"}
_DATA_WORDS = ("digest", "raw")


def difference(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Only what differs of params, code and data; of figures also what does not, since that is what one looks for.

    A gain is each revision's own, over its own base or production: the two were not compared with each other.
    """
    return {
        "a": a["revision"],
        "b": b["revision"],
        "params": {
            path: pair
            for stage, part in _STAGES.items()
            for path, pair in _unlike(_params(stage, a.get(part)), _params(stage, b.get(part))).items()
        },
        "code": _unlike(_codes(a), _codes(b)),
        "data": _unlike(_data(a.get("dataset")), _data(b.get("dataset"))),
        "base": _unlike(dict(a.get("base") or {}), dict(b.get("base") or {})),
        "figures": _figures(a, b),
    }


def tell(found: Mapping[str, Any]) -> Iterator[str]:
    """The difference in lines that a person can read."""
    yield f"a  {found['a']}"
    yield f"b  {found['b']}"
    for part in ("base", "data", "params", "code"):
        yield f"{part}:"
        rows = found[part].items()
        yield from (f"   {name}: {_shown(pair['a'])} → {_shown(pair['b'])}" for name, pair in rows)
        if not rows:
            yield "   no difference"
    yield "figures (each gain over its own reference; the two were not compared with each other):"
    for row in found["figures"]:
        sides = " → ".join(_gain(row[side]) for side in ("a", "b"))
        yield f"   {row['metric']} on {row['set']}, {row['slice']}, over {row['over']}: {sides}"
    if not found["figures"]:
        yield "   none were measured"


def _params(stage: str, part: Mapping[str, Any] | None) -> dict[str, Any]:
    return {f"{stage}.{path}": value for path, value in flatten((part or {}).get("params", {}))}


def _codes(lineage: Mapping[str, Any]) -> dict[str, Any]:
    return {stage: (lineage.get(part) or {}).get("code") for stage, part in _STAGES.items()}


def _data(dataset: Mapping[str, Any] | None) -> dict[str, Any]:
    if dataset is None:
        return {}
    told: dict[str, Any] = {word: dataset.get(word) for word in _DATA_WORDS}
    told |= {f"{split} records": count for split, count in dataset["records"].items()}
    for file in dataset["sources"]:
        told[f"{file['source']}, records kept"] = file["kept"]
        told[f"{file['source']}, licence"] = file["license"]
    return told


def _unlike(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    names = dict.fromkeys([*a, *b])
    return {name: {"a": a.get(name), "b": b.get(name)} for name in names if a.get(name) != b.get(name)}


def _figures(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    by_place = [_by_place(lineage.get("evaluation") or {}) for lineage in (a, b)]
    places = dict.fromkeys([*by_place[0], *by_place[1]])
    words = ("over", "set", "metric", "slice")
    return [
        {**dict(zip(words, place, strict=True)), "a": by_place[0].get(place), "b": by_place[1].get(place)}
        for place in places
    ]


def _by_place(evaluation: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    return {
        (over, row["set"], row["metric"], row["slice"]): {
            word: row[word] for word in ("candidate", "gain", "ci_low", "ci_high", "questions")
        }
        for over, rows in evaluation.get("gains", {}).items()
        for row in rows
    }


def _gain(side: Mapping[str, Any] | None) -> str:
    if side is None:
        return "not measured"
    interval = f"[{_shown(side['ci_low'])}, {_shown(side['ci_high'])}]"
    return f"{_shown(side['candidate'])} (gain {_shown(side['gain'])} {interval})"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "nothing" if value is None else str(value)
