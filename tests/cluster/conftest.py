"""The stand-in cluster; and which tests want a real one."""

from collections.abc import Iterator

import pytest

from .standin import StandIn


@pytest.fixture
def still() -> Iterator[StandIn]:
    """A cluster that works only when it is told to."""
    with StandIn(auto=False) as standin:
        yield standin


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
