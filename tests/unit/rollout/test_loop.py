"""The loop as a process of its own, which is killed, doubled and started again."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serin.clients.serving_state import Declared, FolderState, RevisionStatus
from serin.core.errors import UsageError
from serin.rollout.loop import LocalRollouts, pause_s, run
from serin.rollout.start import begin

from .traffic import CANARY, PARAMS, STABLE

LIMIT_S = 120.0


class Machine:
    """Serving with two revisions that are ready, and one gateway's log."""

    def __init__(self, folder: Path) -> None:
        self.serving = FolderState(folder / "serve")
        self.rollouts = LocalRollouts(folder / "rollouts")
        for name in (STABLE, CANARY):
            self.serving.change_topology(lambda present, name=name: present.with_revision(name, Declared("models")))  # type: ignore[misc]
        self.serving.write_status({STABLE: RevisionStatus("ready"), CANARY: RevisionStatus("ready")})
        self.serving.change_weights(lambda present: type(present)(stable=STABLE))
        self.log = self.serving.evidence_path("gateway")
        self.log.parent.mkdir(parents=True, exist_ok=True)

    def serin(self, *arguments: str) -> list[str]:
        """``serin rollout`` with these arguments."""
        folders = ["--rollouts", str(self.rollouts.folder), "--state", str(self.serving.folder)]
        return [sys.executable, "-m", "serin", "rollout", *arguments, *folders]

    @contextmanager
    def loop(self, rollout: str) -> Iterator["subprocess.Popen[bytes]"]:
        """The loop's process, which is killed in the end."""
        with subprocess.Popen(self.serin("run", rollout), stdout=subprocess.DEVNULL) as process:
            try:
                yield process
            finally:
                process.kill()

    def ask(self, number: int) -> None:
        """One user gets a good answer, every second or every fifth one from the canary, as the weight says."""
        weights = self.serving.weights()
        every = round(1 / weights.canary_weight) if weights.canary_weight else number + 2
        arm, revision = ("canary", CANARY) if number % every == 0 else ("stable", STABLE)
        row = {
            "type": "outcome",
            "t": time.time(),
            "request": str(number),
            "unit": f"{number:032x}",
            "arm": arm,
            "rollout": weights.rollout,
            "revision": revision,
            "weight": weights.canary_weight,
            "assigned_t": time.time(),
            "failover": False,
            "error": 0,
            "ttft_s": 0.1,
        }
        with self.log.open("ab") as file:
            file.write(json.dumps(row).encode() + b"\n")


def test_a_loop_that_is_killed_goes_on_from_its_steps_and_counts_every_user_once(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    params = PARAMS.model_copy(update={"warmup_s": 0.0, "horizon_s": 0.5, "hold_s": 0.5, "max_time_s": 600.0})
    params = params.model_copy(update={"metrics": {"error": params.metrics["error"]}})
    store = begin(CANARY, params, machine.serving, machine.rollouts, "eva", time.time())
    end = time.monotonic() + LIMIT_S
    number = kills = 0
    while store.read().decision == "running":
        with machine.loop(store.id) as process:
            while process.poll() is None:
                assert time.monotonic() < end, store.read()
                machine.ask(number)
                number += 1
                time.sleep(0.05)
                if kills < 2 and store.read().units["canary"] > 2 * (kills + 1):
                    kills += 1
                    break
    state = store.read()
    assert (state.decision, kills) == ("promoted", 2)
    assert machine.serving.weights().stable == CANARY
    units = [each.unit for _, closed in store.steps() for each in closed]
    assert len(units) == len(set(units)) >= sum(state.units.values())


def test_the_command_starts_one_loop_and_a_second_one_is_refused(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for words in ("has started", "goes on"):
        start = machine.serin("start", CANARY, "--params", str(tmp_path / "params.yaml"))
        (tmp_path / "params.yaml").write_text("rollout: {warmup_s: 600}\n")
        done = subprocess.run(start, check=True, timeout=LIMIT_S, capture_output=True, text=True)
        assert words in done.stdout
    [rollout] = machine.rollouts.ids()
    with pytest.raises(UsageError, match="is run by another process"):
        run(machine.rollouts, rollout, machine.serving, print)
    subprocess.run(machine.serin("abort", "--reason", "the test is over"), check=True, timeout=LIMIT_S)
    end = time.monotonic() + LIMIT_S
    while machine.rollouts.runs(rollout):
        assert time.monotonic() < end
        time.sleep(0.1)


def test_another_canary_is_refused_while_one_is_on_trial(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    other = "law@" + "c" * 64
    machine.serving.change_topology(lambda present: present.with_revision(other, Declared("models")))
    machine.serving.write_status({name: RevisionStatus("ready") for name in (STABLE, CANARY, other)})
    begin(CANARY, PARAMS, machine.serving, machine.rollouts, "eva", time.time())
    with pytest.raises(UsageError, match="is running: wait for it"):
        begin(other, PARAMS, machine.serving, machine.rollouts, "eva", time.time())


@pytest.mark.parametrize(("age_s", "expected_s"), [(0, 0.5), (600, 6), (86400, 30)])
def test_a_rollout_is_looked_at_less_often_as_it_ages(age_s: float, expected_s: float) -> None:
    assert pause_s(age_s) == expected_s
