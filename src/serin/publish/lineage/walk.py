"""From a revision back to its data: what was recorded when it was published, in order, as one value."""

from collections.abc import Iterator, Mapping
from typing import Any

from serin.clients.storage import Storage
from serin.core.params import EvaluateParams, MergeParams, PrepareParams, PublishParams, QuantiseParams, TrainParams
from serin.core.params.section import Section
from serin.publish import evidence
from serin.publish.figures import flatten, gains_over
from serin.publish.record import Record

_SECTIONS: Mapping[str, type[Section]] = {
    "prepare": PrepareParams,
    "train": TrainParams,
    "merge": MergeParams,
    "quantise": QuantiseParams,
    "evaluate": EvaluateParams,
    "publish": PublishParams,
}
_INDENT = "   "


def walk(storage: Storage, record: Record) -> dict[str, Any]:
    """Everything recorded about a revision; parts that it did not go through are absent.

    Reads storage alone: no workspace, cache or network of anybody else is needed.

    Raises:
        StorageError: a record is gone.
    """
    told = evidence.read_evidence(storage, record.evidence)
    model = told[evidence.MODEL]
    lineage: dict[str, Any] = {
        "revision": str(record.revision),
        "published": record.published.model_dump(),
        "override": record.override,
        "model": {
            "uri": record.model_uri,
            "digest": record.digest,
            "inputs": model["inputs"],
            "metrics": model["metrics"],
            **_of_manifest(model),
        },
    }
    if record.verdict is not None:
        metrics = told.get(evidence.METRICS, {})
        lineage["evaluation"] = {
            "digest": record.evaluation,
            "verdict": record.verdict,
            "confidence": metrics.get("confidence"),
            "means": metrics.get("means", {}),
            "gains": {over: list(gains_over(metrics, over)) for over in metrics.get("gains", {})},
            **_of_manifest(told.get(evidence.EVALUATION, {})),
        }
    if trained := told.get(evidence.TRAINED):
        lineage["adapter"] = {
            "kind": trained["kind"],
            "digest": model["inputs"].get(trained["kind"]),
            "metrics": trained["metrics"],
            **_of_manifest(trained),
        }
    if dataset := told.get(evidence.DATASET):
        quality = told.get(evidence.QUALITY, {})
        lineage["dataset"] = {
            "digest": model["inputs"]["dataset"],
            "raw": dataset["inputs"].get("raw"),
            "records": dataset["metrics"].get("records", {}),
            "sources": [
                {word: file.get(word) for word in ("source", "license", "read", "kept")}
                for file in quality.get("files", [])
            ],
            **_of_manifest(dataset),
        }
    if base := told.get(evidence.BASE):
        lineage["base"] = {word: base.get(word) for word in ("model", "revision", "digest")}
    return lineage


def tell(lineage: Mapping[str, Any]) -> Iterator[str]:
    """The lineage in lines that a person can read, from the served model down to the files."""
    published = lineage["published"]
    yield lineage["revision"]
    yield f"{_INDENT}published {published['at']}{_from(published)}"
    if lineage.get("override"):
        yield f"{_INDENT}WITHOUT A PASSING VERDICT: {lineage['override']}"
    if deleted := lineage.get("deleted"):
        yield f"{_INDENT}DELETED {deleted['at']}: {deleted['reason'] or 'nothing needed it'}"
    yield from _tell_model(lineage["model"])
    if evaluation := lineage.get("evaluation"):
        yield from _tell_evaluation(evaluation)
    else:
        yield "└─ not evaluated"
    if adapter := lineage.get("adapter"):
        yield f"└─ {adapter['kind']} {adapter['digest']}"
        yield from (f"{_INDENT}{name} {_shown(value)}" for name, value in sorted(adapter["metrics"].items()))
        yield from _tell_params("train", adapter)
    if dataset := lineage.get("dataset"):
        yield f"└─ dataset {dataset['digest']}"
        yield f"{_INDENT}{', '.join(f'{count} {split}' for split, count in dataset['records'].items()) or 'no counts'}"
        for file in dataset["sources"]:
            licence = file["license"] or "licence not stated"
            yield f"{_INDENT}{file['source']}: {file['kept']} of {file['read']} records, {licence}"
        yield from _tell_params("prepare", dataset)
        if dataset["raw"]:
            yield f"{_INDENT}└─ raw files {dataset['raw']}"
    if base := lineage.get("base"):
        yield f"└─ base {base['digest']}"
        yield f"{_INDENT}{base['model']}" + (f", commit {base['revision']}" if base.get("revision") else "")


def stage_of(model: Mapping[str, Any]) -> str:
    """The stage that wrote a model: a quantised one comes from a merged one."""
    return "quantise" if "merged" in model["inputs"] else "merge"


def changed_params(stage: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted path to value, for the params that are not at their defaults; all of them where there are none to compare."""
    section = _SECTIONS.get(stage)
    defaults = dict(flatten(section().model_dump(mode="json"))) if section else {}
    return {path: value for path, value in flatten(params) if path not in defaults or defaults[path] != value}


def _of_manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {"params": manifest.get("params", {}), "code": manifest.get("code")}


def _tell_model(model: Mapping[str, Any]) -> Iterator[str]:
    yield f"└─ model {model['digest']}"
    yield f"{_INDENT}{model['uri']}"
    yield from (f"{_INDENT}from {word} {digest}" for word, digest in sorted(model["inputs"].items()))
    yield from (f"{_INDENT}{name} {_shown(value)}" for name, value in flatten(model["metrics"]))
    yield from _tell_params(stage_of(model), model)


def _tell_evaluation(evaluation: Mapping[str, Any]) -> Iterator[str]:
    verdict = evaluation["verdict"]
    against = f" against {verdict['against']}" if verdict.get("against") else ""
    yield f"└─ evaluation {evaluation['digest']}: {'passed' if verdict['passed'] else 'NOT PASSED'}{against}"
    for rule in verdict["rules"]:
        held = "held" if rule["passed"] else "MISSED"
        yield f"{_INDENT}{held}: {rule['rule']} {_shown(rule['found'])}, {rule.get('side', 'above')} {_shown(rule['limit'])}"
    for over, rows in evaluation["gains"].items():
        for row in rows:
            if row["slice"] == "all":
                yield (
                    f"{_INDENT}{row['metric']} on {row['set']}: {_shown(row['candidate'])}, over {over} "
                    f"{_shown(row['gain'])} [{_shown(row['ci_low'])}, {_shown(row['ci_high'])}]"
                )
    yield from _tell_params("evaluate", evaluation)


def _tell_params(stage: str, part: Mapping[str, Any]) -> Iterator[str]:
    changed = changed_params(stage, part["params"])
    shown = ", ".join(f"{path}={value}" for path, value in changed.items())
    yield f"{_INDENT}{stage} params: {shown or 'the defaults'}"
    if part["code"]:
        yield f"{_INDENT}{stage} code: {part['code']}"


def _from(published: Mapping[str, Any]) -> str:
    if not published["commit"]:
        return ""
    return f" from commit {published['commit']}{' with changes' if published['modified'] else ''}"


def _shown(value: Any) -> str:
    if value is None:
        return "not measured"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
