"""What is told of an output."""

from pathlib import Path
from typing import Any

import pytest

from serin.clients.files import output_folder, seal, write_json
from serin.core.errors import InputError
from serin.core.task import Result
from serin.task.outcome import check_output, parse_result, result_of

OUT = "0" * 32 + ".dir"
RULE = {"rule": "token_f1 gain over base in all", "limit": 0.2, "side": "above"}


def made(folder: Path, kind: str, metrics: dict[str, Any] | None = None, **files: Any) -> Path:
    with output_folder(folder) as scratch:
        for name, value in files.items():
            write_json(scratch / f"{name}.json", value)
        seal(scratch, kind=kind, metrics=metrics or {})
    return folder


def told(stage: Any, folder: Path) -> Result:
    return result_of(stage, folder, check_output(stage, folder), OUT)


@pytest.mark.parametrize("kind", ["adapter", "weights"])
def test_of_training_the_figures_that_people_ask_for(kind: str, tmp_path: Path) -> None:
    folder = made(tmp_path / "out", kind, {"final_loss": 0.25, "steps": 14, "parameters": 10**9})
    result = told("train", folder)
    assert (result.out, result.metrics["final_loss"], result.metrics["steps"]) == (OUT, 0.25, 14)
    assert "parameters" not in result.metrics


def test_of_merge_the_model_that_the_pointer_names(tmp_path: Path) -> None:
    pointer = {"name": "law", "digest": "9" * 64, "prefix": "models/law/" + "9" * 64, "inputs": {}}
    assert told("merge", made(tmp_path / "out", "pointer", pointer=pointer)).digest == "9" * 64


def test_of_evaluate_what_the_gate_said_and_which_rules_did_not_hold(tmp_path: Path) -> None:
    rules = [{**RULE, "found": 0.3, "passed": True}, {**RULE, "found": 0.1, "passed": False, "missed_by": 0.1}]
    verdict = {"digest": "9" * 64, "against": None, "passed": False, "rules": rules, "skipped": []}
    result = told("evaluate", made(tmp_path / "out", "evaluation", verdict=verdict))
    assert (result.passed, result.digest) == (False, "9" * 64)
    assert result.missed == ["token_f1 gain over base in all: 0.100, and has to be above 0.200, missed by 0.100"]


def test_of_publish_the_revision(tmp_path: Path) -> None:
    folder = made(tmp_path / "out", "published", published={"name": "law", "digest": "9" * 64})
    assert told("publish", folder).revision == f"law@{'9' * 64}"


def test_an_output_that_is_not_whole_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.json is missing"):
        check_output("train", tmp_path / "out")
    folder = made(tmp_path / "out", "adapter", log={"steps": []})
    (folder / "log.json").write_text("{}")
    with pytest.raises(InputError, match=r"damaged: log\.json differ"):
        check_output("train", folder)
    with pytest.raises(InputError, match="holds a adapter, expected a pointer"):
        check_output("merge", folder)


def test_files_of_another_version_are_named(tmp_path: Path) -> None:
    folder = made(tmp_path / "out", "evaluation", verdict={"digest": "9"})
    with pytest.raises(InputError, match="is not what evaluate writes"):
        told("evaluate", folder)
    with pytest.raises(InputError, match=r"s3://serin/result\.json is no result"):
        parse_result(b"{}", "s3://serin/result.json")
