"""The stand-in cluster; and which tests want a real one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..integration.conftest import s3_endpoint  # noqa: F401 - a fixture
from .standin import StandIn

ACCESS = Path(__file__).parents[2] / "k8s" / "base" / "access.yaml"


@pytest.fixture
def still() -> Iterator[StandIn]:
    """A cluster that works only when it is told to."""
    with StandIn(auto=False) as standin:
        yield standin


@pytest.fixture
def standin() -> Iterator[StandIn]:
    """A cluster that works by itself, and lets a controller do what its Role says."""
    objects = yaml.safe_load_all(ACCESS.read_text())
    (role,) = [each for each in objects if each["kind"] == "Role" and each["metadata"]["name"] == "serin-controller"]
    with StandIn() as standin:
        for token in ("controller", "first", "second"):
            standin.access.rules[token] = role["rules"]
        yield standin
        assert not standin.jobs.violations
        assert not [call for call in standin.calls if call.code == 403]


@pytest.fixture
def where(s3_endpoint: str, request: pytest.FixtureRequest) -> dict[str, Any]:  # noqa: F811 - the fixture
    """Storage of one test."""
    return {"url": f"s3://serin/{request.node.name[:60]}", "endpoint_url": s3_endpoint}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave a real cluster alone unless ``-m`` names it."""
    if "cluster" in config.option.markexpr:
        return
    left = [item for item in items if item.get_closest_marker("cluster") is None]
    if len(left) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("cluster") is not None])
        items[:] = left


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What a real cluster could not be asked, and why."""
    skipped = [each for each in terminalreporter.stats.get("skipped", ()) if "test_real.py::" in each.nodeid]
    if skipped:
        terminalreporter.section("not run on this cluster")
    for each in skipped:
        reason = each.longrepr[2] if isinstance(each.longrepr, tuple) else str(each.longrepr)
        terminalreporter.write_line(f"{each.nodeid.partition('::')[2]}: {reason.removeprefix('Skipped: ')}")
