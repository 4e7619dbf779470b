"""One process alone; several are tests/integration/test_sharding.py and test_processes.py."""

import pytest
import torch
import torch.distributed as dist

from serin.core.errors import ConfigError
from serin.train.processes import cut_into_messages, processes


@pytest.mark.parametrize("environment", [{}, {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"}])
def test_one_process_talks_to_nobody(environment: dict[str, str]) -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.tensor([1.0, 2.0])
    with processes(environment) as team:
        assert not dist.is_initialized()
        assert team.is_first
        assert (team.sum(0.1), team.smallest(3), team.any(True), team.any(False)) == (0.1, 3, True, False)
        assert team.from_first("it") == "it"
        team.refuse_difference("the run", "a")
        team.wait()
        team.sum_gradients([weight])
    assert weight.grad.tolist() == [1.0, 2.0]


def test_what_torchrun_sets_is_there_whole_or_the_start_is_refused() -> None:
    wanted = "MASTER_ADDR, MASTER_PORT not set: start the processes by torchrun"
    environment = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}
    with pytest.raises(ConfigError, match=wanted), processes(environment):
        pass


def test_a_world_size_that_is_no_number_is_refused() -> None:
    wanted = "WORLD_SIZE is 'two': expected a whole number"
    with pytest.raises(ConfigError, match=wanted), processes({"WORLD_SIZE": "two"}):
        pass


def test_messages_keep_the_order_hold_one_type_and_are_no_longer_than_asked_for() -> None:
    sizes = [(2, torch.float32), (2, torch.float32), (9, torch.float32), (1, torch.float32), (1, torch.float64)]
    weights = [torch.nn.Parameter(torch.zeros(size, dtype=dtype)) for size, dtype in sizes]
    messages = cut_into_messages(weights, most_bytes=16)
    assert [[weight.numel() for weight in message] for message in messages] == [[2, 2], [9], [1], [1]]
    assert [id(w) for message in messages for w in message] == [id(w) for w in weights]
    assert cut_into_messages([], 16) == []
