from typing import Any

import pytest

from serin.core.resources.bounds import Bounds, faults_of_size

BOUNDS = Bounds(text=5, item=3, items=2)


@pytest.mark.parametrize(
    "value",
    [{"a": "12345"}, {"a": ["123", "123"]}, {"a": {"b": "12345", "c": 1}}, {"a": [{"b": "12345"}]}, None, 10**9, True],
)
def test_what_just_fits_is_taken(value: Any) -> None:
    assert faults_of_size(value, BOUNDS) == []


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"a": "123456"}, "a: 6 characters, and an object on a cluster holds 5 there"),
        ({"a": ["1", "1234"]}, "a.1: 4 characters, and an object on a cluster holds 3 there"),
        ({"a": [1, 2, 3]}, "a: 3 entries, and an object on a cluster holds 2 there"),
        ({"a": {"b": {"x": 1, "y": 2, "z": 3}}}, "a.b: 3 entries"),
        ({"a": [{"b": "123456"}]}, "a.0.b: 6 characters"),
    ],
)
def test_what_is_too_large_is_named_with_its_path_and_bound(value: Any, fault: str) -> None:
    (found,) = faults_of_size(value, BOUNDS)
    assert fault in found
