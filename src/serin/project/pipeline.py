"""``dvc.yaml`` of a new project: Serin's stages, from this project's base model and data on."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

_HEADER = """\
# base -> prepare -> train -> merge -> evaluate -> publish: each stage is a verb of serin, with the section of params.yaml of
# the same name. Name a file here too (under deps of prepare) that params.yaml comes to name: DVC then runs the stage again
# when the file changes.
"""

# What dvc metrics and dvc plots show: figures and curves stand in the outputs themselves.
_METRICS = ["artifacts/adapter/metrics.json", "artifacts/evaluation/metrics.json"]
_TRAINING, _VALIDATION = (f"artifacts/adapter/{curve}.tsv" for curve in ("training", "validation"))
_STEPS = {"x": "step", "x_label": "optimizer step"}
_PLOTS = [
    {"Loss": {**_STEPS, "y": {_TRAINING: "loss", _VALIDATION: "loss"}, "y_label": "nats a trained token"}},
    {"Learning rate": {**_STEPS, "y": {_TRAINING: "learning_rate"}, "y_label": "learning rate"}},
]


def pipeline_text(base_folder: str | None, data: Sequence[str]) -> str:
    """The YAML text.

    Args:
        base_folder: path of the base model; None for one of a hub, which its commit pins.
        data: paths of local data; data in S3 is named in params alone.
    """
    stages: Mapping[str, Mapping[str, Any]] = {
        "base": _stage("base", ["base"], [base_folder] if base_folder else [], "base"),
        "prepare": _stage("prepare", ["prepare"], ["artifacts/base", *data], "dataset"),
        "train": _stage("train", ["train"], ["artifacts/base", "artifacts/dataset"], "adapter"),
        "merge": _stage("merge", ["merge", "storage"], ["artifacts/base", "artifacts/adapter"], "merged"),
        "evaluate": _stage(
            "evaluate", ["evaluate"], ["artifacts/base", "artifacts/dataset", "artifacts/merged"], "evaluation"
        ),
        "publish": _stage("publish", ["publish"], ["artifacts/merged", "artifacts/evaluation"], "published"),
    }
    # None: what holds no further collection stands on one line.
    pipeline = {"stages": stages, "metrics": _METRICS, "plots": _PLOTS}
    text = yaml.safe_dump(pipeline, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110)
    return _HEADER + text


def _stage(verb: str, params: list[str], deps: list[str], out: str) -> dict[str, Any]:
    needed = {"deps": [_literal(path) for path in deps]} if deps else {}
    return {"cmd": f"serin {verb}", "params": params, **needed, "outs": [f"artifacts/{out}"]}


def _literal(path: str) -> str:
    """DVC reads ``${…}`` as a param's name; a backslash keeps it a part of the path."""
    return path.replace("${", "\\${")
