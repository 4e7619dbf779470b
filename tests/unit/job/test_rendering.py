import json
from typing import Any

import pytest
import yaml

from serin.core.errors import ConfigError, UsageError
from serin.job.rendering import rendered, text_of

INPUTS = {"base": f"{'a' * 32}.dir", "dataset": f"{'b' * 32}.dir"}


def finetune(stages: list[str], **inputs: str) -> dict[str, Any]:
    run = {
        "stages": stages,
        "inputs": INPUTS | inputs,
        "params": {"storage": {"url": "s3://serin/law"}},
        "placement": {"image": "i:1"},
    }
    metadata = {"name": "law", "namespace": "team"}
    return {"apiVersion": "serin.dev/v1alpha1", "kind": "FineTune", "metadata": metadata, "spec": {"run": run}}


def inputs_of(body: dict[str, Any]) -> dict[str, str]:
    env = body["spec"]["template"]["spec"]["containers"][0]["env"]
    task = next(one["value"] for one in env if one["name"] == "SERIN_TASK")
    found: dict[str, str] = json.loads(task)["inputs"]
    return found


def test_what_an_earlier_stage_will_make_is_said_to_be_so() -> None:
    train, merge = rendered(finetune(["train", "merge"]))
    assert inputs_of(train) == INPUTS
    assert inputs_of(merge) == INPUTS | {"adapter": "<the adapter that train will have made>"}


def test_one_stage_alone_is_the_same_as_among_all() -> None:
    whole = finetune(["train", "merge", "evaluate"])
    assert rendered(whole, "merge") == [rendered(whole)[1]]


def test_the_text_is_a_stream_of_the_jobs() -> None:
    bodies = rendered(finetune(["train", "merge"]))
    text = text_of(bodies, has_uid=False)
    assert list(yaml.safe_load_all(text)) == bodies
    assert text.startswith("# The API server gives the FineTune its uid")
    assert not text_of(bodies, has_uid=True).startswith("#")


def test_a_stage_that_could_never_start_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"inputs\.adapter: missing, and merge needs it"):
        rendered(finetune(["merge"]))


def test_a_stage_that_is_not_part_of_the_run_is_refused() -> None:
    with pytest.raises(UsageError, match="--stage publish: the FineTune has only train"):
        rendered(finetune(["train"]), "publish")
