"""What goes into a stage."""

import pytest
from pydantic import ValidationError

from serin.controller.jobs import inputs_of
from serin.core.errors import ConfigError
from serin.core.resources.finetune import FineTuneSpec, Run
from serin.core.task import Stage

from ..manifests import HASH, finetune

A, B, C = (letter * 32 for letter in "abc")


def run(*stages: Stage, **inputs: str) -> Run:
    return FineTuneSpec.model_validate(finetune(stages, inputs=inputs)["spec"]).run


def test_outputs_of_earlier_stages_go_into_later_ones() -> None:
    whole = run("train", "merge", "evaluate", "publish")
    assert inputs_of(whole, "train", {}) == {"base": HASH, "dataset": HASH}
    assert inputs_of(whole, "publish", {"train": A, "merge": B, "evaluate": C}) == {
        "base": HASH,
        "dataset": HASH,
        "adapter": A,
        "merged": B,
        "evaluation": C,
    }


def test_what_was_given_stands_in_for_a_stage_that_is_left_out_and_never_for_one_that_ran() -> None:
    assert inputs_of(run("merge", adapter=C), "merge", {})["adapter"] == C
    assert inputs_of(run("train", "merge", adapter=C), "merge", {"train": A})["adapter"] == A


def test_a_base_models_folder_goes_into_every_stage() -> None:
    whole = run("train", "merge", model=A)
    assert inputs_of(whole, "train", {})["model"] == A
    assert inputs_of(whole, "merge", {"train": B})["model"] == A
    assert "model" not in inputs_of(run("train"), "train", {})


def test_a_missing_input_is_named_with_the_stage_that_would_make_it() -> None:
    with pytest.raises(ConfigError, match=r"spec\.run\.inputs\.adapter: missing, and merge needs it; .* add train"):
        inputs_of(run("train", "merge").model_copy(update={"stages": ["merge"]}), "merge", {})
    with pytest.raises(ValidationError, match=r"inputs\.adapter: missing, and merge needs it; .* add train") as refused:
        run("merge", "evaluate")
    assert refused.value.error_count() == 1
    assert run("evaluate", merged=A).inputs.merged == A
