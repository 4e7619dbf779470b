from datetime import UTC, datetime, timedelta

import pytest

from serin.job.ranks import PodLife, rank_in, together

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def pod(name: str, rank: int, began_s: float | None, ended_s: float | None) -> PodLife:
    began, ended = (None if s is None else START + timedelta(seconds=s) for s in (began_s, ended_s))
    return PodLife(name, rank, began, ended)


def names(*pods: PodLife) -> list[list[str]]:
    return [[each.name for each in attempt] for attempt in together(pods)]


@pytest.mark.parametrize(
    ("name", "rank"),
    [
        ("law-train-12345678-bcdfg", 0),
        ("law-train-12345678-run-0-0-bcdfg", 0),
        ("law-train-12345678-run-0-1-bcdfg", 1),
        ("law-train-12345678-run-0-13-bcdfg", 13),
        ("law-train-12345678-run--63-bcdfg", 63),
        ("p1", 0),
        ("another-train-12345678-run-0-1-bcdfg", 0),
    ],
)
def test_the_rank_stands_in_the_pods_name(name: str, rank: int) -> None:
    assert rank_in(name, "law-train-12345678") == rank


def test_pods_of_one_node_are_an_attempt_each_in_the_order_that_was_given() -> None:
    assert names(pod("a", 0, 0, 10), pod("b", 0, 5, 20), pod("c", 0, None, None)) == [["a"], ["b"], ["c"]]


def test_pods_that_lived_together_are_one_attempt_by_rank() -> None:
    first = [pod("a1", 1, 0, 60), pod("a0", 0, 2, 61)]
    second = [pod("b0", 0, 80, None), pod("b2", 2, 81, None), pod("b1", 1, 82, None)]
    assert names(*first, *second) == [["a0", "a1"], ["b0", "b1", "b2"]]


def test_a_pod_that_did_not_live_to_meet_the_first_one_is_with_the_nearest() -> None:
    assert names(pod("a0", 0, 0, 5), pod("a1", 1, 8, 12), pod("b0", 0, 60, 90), pod("b1", 1, 58, 90)) == [
        ["a0", "a1"],
        ["b0", "b1"],
    ]


def test_an_attempt_whose_second_pod_never_came_stays_without() -> None:
    assert names(pod("a0", 0, 0, 30), pod("b0", 0, 60, 90), pod("b1", 1, 60, 90)) == [["a0"], ["b0", "b1"]]


def test_an_attempt_whose_first_pod_never_came_stands_where_it_began() -> None:
    found = names(
        pod("a0", 0, 0, 30), pod("a1", 1, 0, 30), pod("b1", 1, 50, 55), pod("c0", 0, 80, 99), pod("c1", 1, 80, 99)
    )
    assert found == [["a0", "a1"], ["b1"], ["c0", "c1"]]
