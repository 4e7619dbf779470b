"""How a stage is started, and how several processes ended together."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from serin.task.command import code_of_all, command_of, environment_of
from serin.task.order import Order, read_order

from .test_order import HASH, told


def order(world: dict[str, str] | None = None, **changes: Any) -> Order:
    return read_order({**told(**changes), "SERIN_WORK": "/work", **(world or {})})


def test_one_process_is_the_verb_itself() -> None:
    assert command_of(order(), Path("codes")) == [sys.executable, "-m", "serin", "train", "--params", "params.yaml"]


def test_only_training_is_told_of_a_kill_for_memory() -> None:
    assert command_of(order(), Path("codes"), killed_for_memory=True)[-1] == "--killed-for-memory"
    merge = order(stage="merge", inputs={"base": HASH, "dataset": HASH, "adapter": HASH})
    assert "--killed-for-memory" not in command_of(merge, Path("codes"), killed_for_memory=True)


def test_several_pods_meet_at_the_first_one_as_the_number_that_they_have() -> None:
    world = {"MASTER_ADDR": "law-run-0-0.law", "MASTER_PORT": "29501", "JOB_COMPLETION_INDEX": "2"}
    command = " ".join(command_of(order(world, nodes=3, processes=8), Path("codes")))
    assert " --nnodes 3 --nproc-per-node 8 --node-rank 2 --master-addr law-run-0-0.law --master-port 29501 " in command
    assert " -m serin.task.process codes train --params params.yaml" in command


def test_torchrun_leaves_a_process_the_time_that_a_copy_of_its_checkpoint_may_take() -> None:
    params = {"storage": {"url": "s3://serin/team"}, "runs": {"checkpoints": {"grace_s": 300}}}
    command = command_of(order(processes=2, params=params), Path("codes"))
    assert int(command[command.index("--shutdown-timeout") + 1]) > 300


def test_everything_is_written_under_the_working_folder_unless_the_pod_says_otherwise() -> None:
    found = environment_of(order(), {"HF_HOME": "/models", "SERIN_TASK": json.dumps({}), "AWS_PROFILE": "team"})
    assert found["HF_HOME"] == "/models"
    assert found["AWS_PROFILE"] == "team"
    assert "SERIN_TASK" not in found
    assert {found[name] for name in ("XDG_CACHE_HOME", "SERIN_RUNS")} == {"/work/cache", "/work/runs"}
    assert "SERIN_BASE_MODEL" not in found


def test_a_base_model_that_came_as_a_folder_is_found_where_it_was_fetched_to() -> None:
    with_model = order(inputs={"base": HASH, "dataset": HASH, "model": HASH})
    assert environment_of(with_model, {})["SERIN_BASE_MODEL"] == "/work/model"


@pytest.mark.parametrize(
    ("torchrun", "codes", "together"),
    [
        (0, [0, 0], 0),
        (1, [75, 75], 75),
        (1, [75], 75),  # the other one was ended by torchrun, having nothing to save
        (1, [75, 0], 75),
        (1, [75, 1], 1),
        (1, [1, 78], 78),
        (1, [3, 1], 3),
        (1, [1], 1),
        (1, [], 1),
        (1, [0, 0], 1),
    ],
)
def test_the_true_ending_is_taken_from_the_processes(torchrun: int, codes: Sequence[int], together: int) -> None:
    assert code_of_all(torchrun, codes) == together
