"""The page of an evaluation that people have rated since: the evaluation itself is sealed, and stays as it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serin.clients.files import read_json, read_jsonl, read_manifest
from serin.core.errors import InputError
from serin.evaluate.report.page import About, render_evaluation


def render_rated(evaluation: Path, human: Mapping[str, Any]) -> str:
    """The page with the content of ``human.json`` in it.

    Raises:
        InputError: the evaluation is damaged, or another than the one whose answers were rated.
    """
    made = read_manifest(evaluation, "evaluation", verify=True)
    if made.digest != human["evaluation"]:
        raise InputError(
            f"{evaluation} is the evaluation {made.digest[:12]}, and people rated answers of {human['evaluation'][:12]}: "
            "name that one with --out"
        )
    called = made.lineage["called"]
    return render_evaluation(
        made.metrics,
        read_json(evaluation / "verdict.json"),
        list(read_jsonl(evaluation / "answers.jsonl")),
        made.params,
        About(called["candidate"], called["base"], judge=made.lineage["judge"], human=human),
    )
