"""A gateway's tests run in the event loop that Ray gives its replicas."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

Factory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Factory]:
    both: dict[str, Factory] = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    # RAY_USE_UVLOOP=0 gives it the other one, which the protocol of a connection must get on with too.
    return both if item.path.name == "test_connections.py" else {"uvloop": both["uvloop"]}
