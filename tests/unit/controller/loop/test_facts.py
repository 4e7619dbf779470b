"""What is known of storage, as values."""

from serin.controller.loop.facts import NO_JOB, Facts
from serin.core.task import Result


def test_silence_is_unknown_until_something_was_asked_and_told_by_each_sort_of_question() -> None:
    facts = Facts()
    assert facts.silence is None
    facts = facts.silent("check", "no route").silent("progress", "timed out")
    assert facts.silence == "no route; timed out"
    assert facts.silent("progress", "no route").silence == "no route"
    facts = facts.answered("check")
    assert facts.silence == "timed out"
    assert facts.answered("progress").silence == ""


def test_results_and_their_absence_are_kept_by_stage() -> None:
    result = Result(stage="train", out="0" * 32 + ".dir", digest="d")
    facts = Facts().with_result("train", result).without_result("merge", "job-1/complete")
    assert facts.results == {"train": result}
    assert facts.absent == {"merge": "job-1/complete"}


def test_a_job_ends_what_was_found_without_one_and_nothing_else() -> None:
    facts = Facts(gone=frozenset({"train", "merge"}), absent={"train": NO_JOB, "merge": NO_JOB})
    after = facts.with_job("train")
    assert after.gone == {"merge"}
    assert after.absent == {"merge": NO_JOB}
    ended = Facts(absent={"train": "job-1/failed"})
    assert ended.with_job("train") is ended
