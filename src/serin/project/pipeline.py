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
_PUBLISHED = "The published model's record; the model itself lies in storage."
_METRICS = ["artifacts/adapter/metrics.json", "artifacts/evaluation/metrics.json"]
_TRAINING, _VALIDATION = (f"artifacts/adapter/{curve}.tsv" for curve in ("training", "validation"))
_LEARNT = ["artifacts/base", "artifacts/dataset", "artifacts/adapter"]
_STEPS = {"x": "step", "x_label": "optimizer step"}
_F1 = "artifacts/evaluation/plots/token_f1"
_PLOTS = [
    {"Loss": {**_STEPS, "y": {_TRAINING: "loss", _VALIDATION: "loss"}, "y_label": "nats a trained token"}},
    {"Learning rate": {**_STEPS, "y": {_TRAINING: "learning_rate"}, "y_label": "learning rate"}},
    {
        "Token F1": {
            "template": "bar_horizontal",
            "x": "mean",
            "x_label": "mean token F1",
            "y": {f"{_F1}/means.tsv": "of"},
            "y_label": "test questions, by language and model",
        }
    },
    {
        "Gain in token F1": {
            "template": "bar_horizontal",
            "x": "gain",
            "x_label": "gain in token F1",
            "y": {f"{_F1}/gains.tsv": "of"},
            "y_label": "test questions, by language",
        }
    },
    {
        "Token F1 question by question": {
            "template": "simple",
            "x": "share",
            "x_label": "share of the test questions, the worst first",
            "y": {f"{_F1}/over_base.tsv": "difference"},
            "y_label": "candidate minus base",
        }
    },
]


def pipeline_text(name: str, base_folder: str | None, data: Sequence[str]) -> str:
    """The YAML text.

    Args:
        name: of the model, as versions and stages are given to it.
        base_folder: path of the base model; None for one of a hub, which its commit pins.
        data: paths of local data; data in S3 is named in params alone.
    """
    stages: Mapping[str, Mapping[str, Any]] = {
        "base": _stage("base", ["base"], [base_folder] if base_folder else [], "base"),
        "prepare": _stage("prepare", ["prepare"], ["artifacts/base", *data], "dataset"),
        "train": _stage("train", ["train"], ["artifacts/base", "artifacts/dataset"], "adapter"),
        "merge": _stage(
            "merge", ["merge", "storage.url"], ["artifacts/base", "artifacts/dataset", "artifacts/adapter"], "merged"
        ),
        "evaluate": _stage(
            "evaluate", ["evaluate"], ["artifacts/base", "artifacts/dataset", "artifacts/merged"], "evaluation"
        ),
        "publish": _stage("publish", ["publish"], [*_LEARNT, "artifacts/merged", "artifacts/evaluation"], "published"),
    }
    # None: what holds no further collection stands on one line.
    published = {"path": "artifacts/published", "type": "model", "desc": _PUBLISHED}
    pipeline = {"stages": stages, "artifacts": {name: published}, "metrics": _METRICS, "plots": _PLOTS}
    text = yaml.safe_dump(pipeline, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110)
    return _HEADER + text


def _stage(verb: str, params: list[str], deps: list[str], out: str) -> dict[str, Any]:
    needed = {"deps": [_literal(path) for path in deps]} if deps else {}
    return {"cmd": f"serin {verb}", "params": params, **needed, "outs": [f"artifacts/{out}"]}


def _literal(path: str) -> str:
    """DVC reads ``${…}`` as a param's name; a backslash keeps it a part of the path."""
    return path.replace("${", "\\${")
