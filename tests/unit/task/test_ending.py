"""The container's last word."""

from pathlib import Path

import pytest

from serin.core.task import Ending, Result
from serin.task.ending import Tail, encoded, fitted, last_words, write_ending

RESULT = Result(stage="train", out="0" * 32 + ".dir", digest="1" * 64, metrics={"final_loss": 0.5})


@pytest.mark.parametrize("text", ["x" * 100_000, "试用期" * 40_000, '"\\\n' * 30_000, "🐤" * 20_000, "\x00" * 9_000])
def test_whatever_is_said_it_fits_where_kubernetes_cuts(text: str) -> None:
    written = encoded(fitted(Ending(exit_code=78, message=text, result=RESULT)))
    assert len(written) <= 4096
    back = Ending.model_validate_json(written)
    assert back.exit_code == 78
    assert back.message.startswith(text[:100])
    assert back.message.endswith("…")
    assert back.result == RESULT


def test_a_short_message_is_left_as_it_is() -> None:
    ending = Ending(exit_code=0, message="完成", result=RESULT)
    assert fitted(ending) == ending


def test_a_result_that_is_too_long_gives_way_to_the_message_since_storage_has_it() -> None:
    long = RESULT.model_copy(update={"missed": ["規則" * 300] * 5})
    written = encoded(fitted(Ending(exit_code=0, message="done", result=long)))
    assert len(written) <= 4096
    back = Ending.model_validate_json(written)
    assert back.message == "done"
    assert back.result == RESULT.model_copy(update={"metrics": {}})


def test_the_stage_s_own_error_is_told_with_all_of_its_lines() -> None:
    printed = (
        "train: 3/14\nserin: params.yaml has 2 faults:\n  train.epochs = -1: too small\n  train.x: no such param\n"
    )
    assert last_words(printed) == "params.yaml has 2 faults:\n  train.epochs = -1: too small\n  train.x: no such param"


def test_what_torchrun_says_after_an_error_is_left_out() -> None:
    printed = (
        "serin: train.lora.r = 0\nE1129 03:00:00.000 12 torch/distributed/elastic/multiprocessing/api.py:984] failed\n"
        "Traceback (most recent call last):\n  File ...\nChildFailedError:\n====\n"
    )
    assert last_words(printed) == "train.lora.r = 0"
    assert last_words("loading\nE1129 03:00:00.000 12 torch/x.py:9] failed\n") == "loading"


def test_of_several_processes_the_one_that_failed_is_heard_and_not_those_that_were_stopped_for_it() -> None:
    stopped = "[rank1]:serin: stopped by SIGTERM; nothing half-written was kept, run the command again\n"
    assert last_words(f"serin: train.lora.r = 0\n  at least 1\n{stopped}") == "train.lora.r = 0\n  at least 1"
    assert last_words(f"train: 3/14\n{stopped}").startswith("stopped by SIGTERM")


def test_without_an_error_the_last_line_is_told() -> None:
    assert last_words("train: 14/14\nadapter 123456789abc: 14 steps\n\n") == "adapter 123456789abc: 14 steps"
    assert last_words("") == ""


def test_the_tail_is_bounded_and_reads_through_a_character_that_was_cut() -> None:
    tail = Tail(most_bytes=10)
    for _ in range(1000):
        tail.write("试用期".encode())
    assert tail.text() == "\ufffd试用期"


def test_where_no_message_can_be_written_nothing_happens(tmp_path: Path) -> None:
    write_ending(tmp_path / "no" / "folder", Ending(exit_code=1, message="x"))
    write_ending(Path("/dev/serin-no-such-log"), Ending(exit_code=1, message="x"))
    assert not Path("/dev/serin-no-such-log").exists()
