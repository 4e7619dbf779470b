"""A FineTune as its models read and write it."""

from typing import Any

import pytest
from pydantic import ValidationError

from serin.core.params import Params, StorageParams, TrainParams, parse_params
from serin.core.resources.finetune import FineTuneParams, FineTuneSpec, Run, written

HASH = "0" * 32
STORAGE = {"url": "s3://models/serin"}


def _run(**fields: Any) -> dict[str, Any]:
    inputs = {"base": HASH, "dataset": f"{HASH}.dir"} | fields.pop("inputs", {})
    return {"inputs": inputs, "params": {"storage": STORAGE}, "placement": {"image": "serin"}} | fields


def _refusal(run: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        FineTuneSpec.model_validate({"run": run})
    return str(caught.value)


def test_what_is_left_out_is_what_params_yaml_leaves_out() -> None:
    run = Run.model_validate(_run())
    defaults = Params()
    assert run.stages == ["train", "merge", "evaluate", "publish"]
    assert (run.params.train, run.params.evaluate, run.params.runs) == (
        defaults.train,
        defaults.evaluate,
        defaults.runs,
    )


@pytest.mark.parametrize(
    "stages", [["train", "evaluate"], ["merge", "train"], ["train", "train"], ["merge", "publish"]]
)
def test_stages_have_their_order_and_no_gap(stages: list[str]) -> None:
    given = {"adapter": HASH, "merged": HASH, "evaluation": HASH}
    assert "or a part of it without a gap" in _refusal(_run(stages=stages, inputs=given))


def test_what_no_stage_makes_has_to_be_given() -> None:
    message = _refusal(_run(stages=["publish"]))
    assert "inputs.adapter: missing, and publish needs it; give its hash or add train to stages" in message
    assert "inputs.merged: missing, and publish needs it; give its hash or add merge to stages" in message
    assert "inputs.evaluation: missing, and publish needs it; give its hash or add evaluate to stages" in message
    assert "inputs.adapter" not in _refusal(_run(stages=["evaluate"]))


@pytest.mark.parametrize("url", [".serin/storage", "s3://", "s3:///prefix", "http://models"])
def test_storage_of_a_run_is_s3(url: str) -> None:
    assert "params.storage.url" in _refusal(_run(params={"storage": {"url": url}}))


def test_a_project_that_keeps_its_storage_on_s3_is_taken_as_it_is() -> None:
    given = StorageParams(url="s3://models/serin", connections=3)
    params = FineTuneParams(storage=given, train=TrainParams(epochs=1))
    assert params.storage.model_dump() == given.model_dump()
    with pytest.raises(ValidationError, match="should match pattern"):
        FineTuneParams(storage=StorageParams())


def test_what_is_written_is_read_back_as_it_was() -> None:
    values = {"storage": STORAGE, "train": {"max_grad_norm": None}, "runs": {"checkpoints": {"every_steps": None}}}
    params = FineTuneParams.model_validate(values)
    body = written(params)
    assert FineTuneParams.model_validate(body) == params
    assert body["train"]["max_grad_norm"] is None
    assert "max_steps" not in body["train"]
    assert body["train"]["lora"]["target_modules"] == ["all-linear"]
    assert body["evaluate"]["rules"][0]["metric"] == "token_f1"
    assert "below" not in body["evaluate"]["rules"][0]


def test_values_that_no_object_holds_are_named_with_their_path() -> None:
    project = parse_params(
        {"storage": STORAGE, "train": {"lora": {"target_modules": ".*proj"}, "added_tokens": ["<a>"] * 65}},
        "params.yaml",
    )
    with pytest.raises(ValidationError) as caught:
        FineTuneParams(storage=project.storage, train=project.train)
    assert "train.lora.target_modules = '.*proj': an object on a cluster takes all-linear or a list" in str(
        caught.value
    )
    assert "train.added_tokens: 65 entries, and an object on a cluster holds 64" in str(caught.value)
