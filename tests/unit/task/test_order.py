"""What a pod is told by its environment."""

import json
from pathlib import Path
from typing import Any

import pytest

from serin.core.errors import ConfigError
from serin.task.order import params_of, read_order

HASH = "0123456789abcdef0123456789abcdef.dir"
TRAIN = {
    "stage": "train",
    "prefix": "runs/team/law-0a1b2c3d/train",
    "params": {"storage": {"url": "s3://serin/team"}},
    "inputs": {"base": HASH, "dataset": HASH},
}


def told(**changes: Any) -> dict[str, str]:
    return {"SERIN_TASK": json.dumps({**TRAIN, **changes}), "SERIN_POD": "law-train-0a1b2c3d-x7"}


def test_a_pod_of_a_job_works_alone_whatever_index_it_has() -> None:
    order = read_order({**told(), "JOB_COMPLETION_INDEX": "3", "SERIN_WORK": "/work"})
    assert (order.pod, order.is_first, order.is_distributed) == ("law-train-0a1b2c3d-x7", True, False)
    assert (order.work, order.runs, order.termination) == (
        Path("/work"),
        Path("/work/runs"),
        Path("/dev/termination-log"),
    )


def test_a_pod_among_several_knows_the_first_one() -> None:
    world = {"MASTER_ADDR": "law-run-0-0.law", "JOB_COMPLETION_INDEX": "1"}
    order = read_order({**told(nodes=2, processes=4), **world})
    assert (order.is_first, order.master, order.port, order.is_distributed) == (False, "law-run-0-0.law", 29500, True)
    for name in world:
        rest = {key: value for key, value in world.items() if key != name}
        with pytest.raises(ConfigError, match="MASTER_ADDR has to name the first pod and JOB_COMPLETION_INDEX"):
            read_order({**told(nodes=2), **rest})


def test_several_processes_are_for_training_alone() -> None:
    inputs = {"base": HASH, "dataset": HASH, "adapter": HASH}
    assert not read_order(told(stage="merge", inputs=inputs, processes=4)).is_distributed


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "SERIN_TASK is not set.*serin job submit"),
        ({"SERIN_TASK": "{"}, "SERIN_TASK is no task"),
        (told(stage="bake"), "SERIN_TASK is no task .*stage"),
        (told(more=1), "SERIN_TASK is no task .*more.*different versions"),
        (told(inputs={"base": HASH}), "train takes dataset, and inputs has none"),
        (told(params={"train": {"epochs": -1}}), r"train\.epochs = -1"),
    ],
)
def test_what_is_no_task_is_a_fault_that_no_retry_mends(environment: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        read_order(environment)
    assert raised.value.exit_code == 78


def test_params_that_train_alone_needs_are_valid_alone() -> None:
    """By its default ``prepare.max_tokens`` is longer than these examples."""
    order = read_order(told(params={**TRAIN["params"], "train": {"max_tokens": 64}}))
    assert order.params.train.max_tokens == 64


def test_a_pod_runs_the_stage_itself_and_makes_no_job_of_it() -> None:
    params = {**TRAIN["params"], "executor": "kubernetes", "kubernetes": {"image": "serin"}}
    assert read_order(told(params=params)).params.executor == "local"
    assert params_of(read_order(told(params=params)).task)["executor"] == "local"


def test_checkpoints_lie_where_the_pod_may_write() -> None:
    order = read_order(told(params={"runs": {"checkpoints": {"folder": "/home/somebody", "keep": 3}}}))
    assert params_of(order.task)["runs"] == {"checkpoints": {"folder": None, "keep": 3}}
    assert order.params.runs.checkpoints.folder is None
