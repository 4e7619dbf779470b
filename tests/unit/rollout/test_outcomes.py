"""Every unit has an outcome in every metric, whatever became of its request."""

from typing import Any

import pytest

from serin.core.params import RolloutParams
from serin.rollout.eprocess import Arm
from serin.rollout.outcomes import Exposure, bad_in, exposure_of

PARAMS = RolloutParams(ttft_tolerance=0.5, tpot_tolerance=0.5)


def seen(arm: Arm = "canary", **other: Any) -> Exposure:
    usual = {"error": False, "ttft_s": 0.1, "tpot_s": 0.01, "tokens": 20}
    return Exposure("u", "r", arm, 0.1, 5.0, **{**usual, **other})


def bad(metric: str, exposure: Exposure, score: float | None = None) -> int:
    return bad_in(metric, exposure, score, PARAMS, ttft_threshold_s=1.0, tpot_threshold_s=0.1)


def test_a_failed_request_is_bad_in_errors_time_per_token_and_feedback() -> None:
    failed = seen(error=True)
    assert [bad(metric, failed) for metric in ("error", "tpot", "feedback")] == [1, 1, 1]
    assert bad("feedback", failed, score=1.0) == 1


@pytest.mark.parametrize(("metric", "field", "threshold_s"), [("ttft", "ttft_s", 1.0), ("tpot", "tpot_s", 0.1)])
def test_a_slow_answer_is_bad_and_the_canary_alone_has_the_tolerance(
    metric: str, field: str, threshold_s: float
) -> None:
    taken = {field: threshold_s * 1.2}
    assert bad(metric, seen("stable", **taken)) == 1
    assert bad(metric, seen("canary", **taken)) == 0
    assert bad(metric, seen("canary", **{field: threshold_s * 1.6})) == 1


def test_no_first_token_is_slow_also_where_the_client_went_away() -> None:
    assert bad("ttft", seen(ttft_s=None, tokens=0)) == 1


@pytest.mark.parametrize("arm", ["stable", "canary"])
def test_an_answer_of_one_token_does_not_pass_for_a_fast_one(arm: Arm) -> None:
    assert bad("tpot", seen(arm, tpot_s=None, tokens=1)) == 1


def test_silence_is_no_bad_feedback() -> None:
    assert [bad("feedback", seen(), score) for score in (None, 0.5, 0.49)] == [0, 0, 1]


def test_latency_without_a_threshold_is_refused() -> None:
    for metric in ("ttft", "tpot", "charm"):
        with pytest.raises(ValueError, match=metric):
            bad_in(metric, seen(), None, PARAMS, None)


ROW = {"unit": "u", "request": "r", "arm": "canary", "weight": 0.1, "assigned_t": 5.0, "error": 0, "ttft_s": 0.1}


def test_rows_are_read_with_and_without_the_newer_fields() -> None:
    assert exposure_of(ROW) == Exposure("u", "r", "canary", 0.1, 5.0, False, 0.1)
    newer = exposure_of({**ROW, "error": 1, "tpot_s": 0.02, "tokens": 7, "kind": "timeout"})
    assert (newer.error, newer.tpot_s, newer.tokens, newer.kind) == (True, 0.02, 7, "timeout")
    assert exposure_of({**ROW, "ttft_s": None, "tpot_s": None, "kind": None}).tpot_s is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"arm": "third"},
        {"weight": 1.5},
        {"weight": float("nan")},
        {"assigned_t": float("inf")},
        {"ttft_s": -1.0},
        {"tpot_s": float("nan")},
        {"ttft_s": "soon"},
    ],
)
def test_rows_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        exposure_of({**ROW, **wrong})
