"""What is said of a Job that is refused, and how often it is asked for again."""

from typing import Any, cast

from serin.clients.kubernetes import AbsentError, ForbiddenError, InvalidError
from serin.controller.actions import CreateJob
from serin.controller.loop.refusals import FIRST_S, LONGEST_S, Refusals


class Clock:
    """Seconds, by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def action(kind: str = "Job") -> CreateJob:
    return CreateJob("train", cast(Any, {"kind": kind, "metadata": {"name": "law-train-1"}}))


def test_each_refusal_doubles_the_wait_up_to_the_longest() -> None:
    clock = Clock()
    refusals = Refusals(clock)
    assert refusals.again_s("law") is None
    waits = []
    for _ in range(8):
        refusals.add("law", action(), ForbiddenError("exceeded quota"))
        waits.append(refusals.again_s("law") or 0.0)
        assert refusals.waits("law", "train")
        clock.now += waits[-1]
        assert not refusals.waits("law", "train")
    assert waits[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert waits[-1] == LONGEST_S == max(waits)


def test_only_other_words_are_news() -> None:
    refusals = Refusals(Clock())
    assert refusals.add("law", action(), ForbiddenError("exceeded quota"))
    assert not refusals.add("law", action(), ForbiddenError("exceeded quota"))
    assert refusals.add("law", action(), InvalidError("a webhook said no"))
    assert "a webhook said no" in refusals.of("law")["train"].message


def test_what_was_taken_or_is_gone_is_forgotten() -> None:
    refusals = Refusals(Clock())
    refusals.add("law", action(), ForbiddenError("no"))
    refusals.drop("law", "train")
    assert refusals.again_s("law") is None
    refusals.add("law", action(), ForbiddenError("no"))
    refusals.forget("law")
    assert refusals.of("law") == {}
    assert not refusals.waits("law", "train")


def test_a_jobset_that_is_missing_or_too_old_is_named() -> None:
    refusals = Refusals(Clock())
    refusals.add("law", action("JobSet"), AbsentError("404"))
    assert refusals.of("law")["train"].reason == "JobSetMissing"
    old = 'strict decoding error: unknown field "spec.failurePolicy.rules[0].onJobFailureMessagePatterns"'
    refusals.add("law", action("JobSet"), InvalidError(old))
    fault = refusals.of("law")["train"]
    assert fault.reason == "JobSetTooOld"
    assert old in fault.message
    assert "older than 0.10" in fault.message
    refusals.add("law", action("JobSet"), InvalidError("another rule"))
    assert refusals.of("law")["train"].reason == "JobRefused"
