"""What ``serin rollout plan`` says of too few users, of enough, and of nonsense."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from serin.cli.rollout import command
from serin.core.errors import UsageError

PARAMS = """rollout:
  steps: [0.25, 0.5, 1.0]
  hold_s: 60
  horizon_s: 60
  max_time_s: 86400
  metrics: {error: {delta: 0.02}}
"""


def plan(folder: Path, *arguments: str) -> str:
    (folder / "params.yaml").write_text(PARAMS)
    done = CliRunner().invoke(
        command, ["plan", "--params", str(folder / "params.yaml"), *arguments], catch_exceptions=False
    )
    return done.output


def test_enough_users_decide_in_time_and_too_few_are_warned_of(tmp_path: Path) -> None:
    many = plan(tmp_path, "--users-per-day", "200000", "--rates", "error=0.01:0.1")
    assert "catch error going from 1.00% to 10.00% bad" in many
    assert "promote a canary that equals stable in all metrics" in many
    assert "100%" in many
    assert "warning" not in many

    few = plan(tmp_path, "--users-per-day", "200", "--rates", "error=0.01:0.1")
    assert "warning: 200 users a day prove all metrics within rollout.max_time_s = 86400" in few
    assert "users a day could" in few


@pytest.mark.parametrize("wrong", ["error", "error=1", "error=a:b", "charm=0.1:0.2"])
def test_rates_that_cannot_be_read_are_a_usage_error(tmp_path: Path, wrong: str) -> None:
    assert "expected METRIC=" in (said := plan(tmp_path, "--users-per-day", "9", "--rates", wrong)) or "compare" in said


@pytest.mark.parametrize("arguments", [["9", "--rates", "error=0.01:0.02"], ["0"], ["-5"], ["nan"]])
def test_nothing_to_catch_or_nobody_there_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    with pytest.raises(UsageError, match="expected"):
        plan(tmp_path, "--users-per-day", *arguments)
