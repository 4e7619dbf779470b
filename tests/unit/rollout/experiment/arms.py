"""Three arms in this process, the same in every telling: users, a gateway's log, weights, storage, and a clock."""

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serin.clients.evidence.folder import FolderReader
from serin.core.params import ExperimentParams
from serin.core.traffic import assign
from serin.rollout.experiment.engine import Counter, claim
from serin.rollout.experiment.state import STABLE as STABLE_ARM
from serin.rollout.experiment.state import new_experiment
from serin.rollout.experiment.store import ExperimentStep, ExperimentStore

from ..traffic import STABLE, Killed, MemoryServing, MemoryStorage, Strikes

X, Y = "law@" + "1" * 64, "law@" + "2" * 64
WEIGHTS = {STABLE_ARM: 0.5, X: 0.3, Y: 0.2}
PARAMS = ExperimentParams(warmup_s=2.0, horizon_s=3.0, slow_after_s=0.14, alpha=0.2)


@dataclass
class Arms:
    """``bad`` is how often answers are rated badly, by arm."""

    folder: Path
    strikes: Strikes = field(default_factory=Strikes)
    bad: dict[str, float] = field(default_factory=lambda: {STABLE_ARM: 0.4, X: 0.4, Y: 0.02})
    t: float = 1000.0

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.storage = MemoryStorage(self.strikes)
        self.serving = MemoryServing(self.strikes)
        self.state = new_experiment("e", STABLE, WEIGHTS, PARAMS, self.t)
        self.strikes.writes = -2  # the first write to count is the counter's
        assert self.new_store().append(ExperimentStep(number=0, t=self.t, action="create", state=self.state))
        claim(self.state, self.serving)  # type: ignore[arg-type]  # as much of it as is needed
        self.counter = self.new_counter()

    def new_store(self) -> ExperimentStore:
        return ExperimentStore(self.storage, "e")  # type: ignore[arg-type]  # as much of it as is needed

    def new_counter(self) -> Counter:
        """What a process that starts now knows: nothing."""
        return Counter(self.new_store(), FolderReader(self.folder), self.serving)  # type: ignore[arg-type]  # likewise

    def turn(self) -> ExperimentStep:
        """A turn; where it is killed, a new process takes it."""
        try:
            return self.counter.turn(self.t)
        except Killed:
            self.counter = self.new_counter()
            return self.counter.turn(self.t)

    def end(self) -> ExperimentStep:
        """Stop it; likewise."""
        try:
            return self.counter.end("enough", self.t, "eva", Y)[0]
        except Killed:
            self.counter = self.new_counter()
            return self.counter.end("enough", self.t, "eva", Y)[0]

    def run(self, until_t: float, look: bool = True) -> None:
        """Second by second: users come, and somebody looks."""
        while self.t < until_t:
            self.t += 1.0
            draw = random.Random(int(self.t))
            for number in range(10):
                # Half of the users have been here before; the first exposure is what counts.
                person = draw.randrange(200) if number % 2 else int(self.t) * 100 + number
                self._ask(draw, f"{person:032x}", f"{self.t:.0f}-{number}")
            if look:
                self.turn()

    def told(self) -> Any:
        """Everything that was concluded, and from what: equal where nothing was lost or counted twice."""
        steps = list(self.new_store().steps())
        units = [unit for _, counted in steps for unit in counted]
        assert len({unit.unit for unit in units}) == len(units), "a unit was counted twice"
        return (steps[-1][0].state, units, self.serving.present.experiment, dict(self.serving.present.variants))

    def log(self, row: dict[str, Any]) -> None:
        with (self.folder / "gateway.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")

    def _ask(self, draw: random.Random, unit: str, request: str) -> None:
        weights = self.serving.present
        arm = assign(unit, weights.salt, weights.arms())
        row = {
            "request": request,
            "unit": unit,
            "arm": arm,
            "rollout": weights.experiment,
            "revision": STABLE if arm == STABLE_ARM else arm,
            "weight": weights.arms()[arm],
            "assigned_t": self.t - 0.5 + draw.random() / 4,
            "failover": False,
        }
        outcome = {
            "type": "outcome",
            "t": self.t,
            "error": int(draw.random() < 0.03),
            "ttft_s": 0.1 + 0.05 * draw.random(),
        }
        self.log({**outcome, **row})
        if draw.random() < 0.7:
            score = 1.0 - draw.random() * (draw.random() < self.bad[arm]) * 1.2
            self.log({"type": "feedback", "t": self.t, "score": max(0.0, score), **row})
