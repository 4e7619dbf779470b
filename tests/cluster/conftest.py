"""The stand-in cluster."""

from collections.abc import Iterator

import pytest

from .standin import StandIn


@pytest.fixture
def still() -> Iterator[StandIn]:
    """A cluster that works only when it is told to."""
    with StandIn(auto=False) as standin:
        yield standin
