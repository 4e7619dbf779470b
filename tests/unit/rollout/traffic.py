"""A small production in this process, the same in every telling: users, gateways, weights, storage, and a clock.

Whoever turns the engine may be killed at any write of storage or of the weights, before it happens or after it did.
"""

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from serin.clients.evidence import EvidenceReader
from serin.clients.evidence.folder import FolderReader
from serin.clients.evidence.shipped import StorageReader, StorageWriter
from serin.clients.serving_state import RevisionStatus, Weights
from serin.clients.storage import StoredFile, Version
from serin.core.errors import StorageError
from serin.core.params import RolloutParams
from serin.core.traffic import assign
from serin.rollout.engine import Engine
from serin.rollout.state import RolloutState, new_rollout
from serin.rollout.store import RolloutStore, Step

STABLE, CANARY = "law@" + "a" * 64, "law@" + "b" * 64
When = Literal["before", "after"]
PARAMS = RolloutParams.model_validate(
    {
        "steps": [0.2, 0.5, 1.0],
        "min_units": 5,
        "hold_s": 3,
        "warmup_s": 2,
        "horizon_s": 3,
        "max_time_s": 60,
        "alpha_abort": 0.05,
        "metrics": {"error": {"delta": 0.2}, "feedback": {"delta": 0.3}, "ttft": {"delta": 0.3}},
    }
)


class Killed(BaseException):
    """The process is dead: nothing in it may catch this."""


@dataclass
class Strikes:
    """Counts the writes, and kills at one of them."""

    at: tuple[int, When] | None = None
    writes: int = 0
    armed: bool = True
    between: Callable[[], None] = lambda: None
    """Is called before each write of a step, as another process that is just a little faster."""

    def around(self, write: Callable[[], Any]) -> Any:
        """A write."""
        self.writes += 1
        if self.armed and self.at == (self.writes, "before"):
            self.armed = False
            raise Killed
        done = write()
        if self.armed and self.at == (self.writes, "after"):
            self.armed = False
            raise Killed
        return done


class MemoryStorage:
    """As much of ``serin.clients.storage.Storage`` as a rollout needs."""

    def __init__(self, strikes: Strikes) -> None:
        self.held: dict[str, bytes] = {}
        self.strikes = strikes
        self.away = False

    def write(self, key: str, data: bytes) -> None:
        self._answers()
        self.held[key] = data

    def write_new(self, key: str, data: bytes) -> bool:
        self._answers()
        if "/steps/" not in key:
            return self.held.setdefault(key, data) is data
        self.strikes.between()
        return bool(self.strikes.around(lambda: self.held.setdefault(key, data) is data))

    def read(self, key: str) -> bytes:
        self._answers()
        return self.held[key]

    def read_versioned(self, key: str) -> tuple[bytes, Version] | tuple[None, None]:
        self._answers()
        data = self.held.get(key)
        return (None, None) if data is None else (data, hashlib.md5(data).hexdigest())

    def list(self, prefix: str) -> list[str]:
        return sorted(key for key in self.held if key.startswith(prefix))

    def files(self, prefix: str) -> Iterator[StoredFile]:
        yield from (StoredFile(key, 0, datetime.now(UTC)) for key in self.list(prefix))

    def uri(self, key: str) -> str:
        return f"memory:{key}"

    def _answers(self) -> None:
        if self.away:
            raise StorageError("storage is away")


class MemoryServing:
    """As much of ``serin.clients.serving_state.ServingState`` as a rollout needs."""

    def __init__(self, strikes: Strikes) -> None:
        self.present = Weights(version=1, stable=STABLE)
        self.strikes = strikes

    def weights(self) -> Weights:
        return self.present

    def change_weights(self, change: Callable[[Weights], Weights]) -> Weights:
        wanted = change(self.present)
        if wanted != self.present:
            self.strikes.around(lambda: self._write(wanted))
        return self.present

    def status(self) -> Mapping[str, RevisionStatus]:
        return {STABLE: RevisionStatus("ready"), CANARY: RevisionStatus("ready")}

    def serves(self) -> bool:
        return True

    def _write(self, wanted: Weights) -> None:
        self.present = replace(wanted, version=self.present.version + 1)


@dataclass
class Production:
    """``bad`` is how often the canary's answers are rated badly and how often it fails."""

    folder: Path
    source: Literal["folder", "storage"] = "folder"
    bad: float = 0.05
    strikes: Strikes = field(default_factory=Strikes)
    t: float = 1000.0
    rows: dict[str, list[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.storage = self.new_storage()
        self.serving = MemoryServing(self.strikes)
        self.writers: dict[str, StorageWriter] = {}
        self.store = self.new_store()
        state = new_rollout("r", STABLE, CANARY, "salt", PARAMS, self.t)
        self.strikes.writes = -1  # the first write to count is the engine's
        assert self.store.append(Step(number=0, t=self.t, action="create", state=state))
        self.engine = self.new_engine()

    def new_storage(self) -> Any:
        """What holds steps, and evidence where that does not come from a folder."""
        return MemoryStorage(self.strikes)

    def new_store(self) -> RolloutStore:
        return RolloutStore(self.storage, "r")

    def new_engine(self) -> Engine:
        """What a process that starts now knows: nothing."""
        reader: EvidenceReader = FolderReader(self.folder)
        if self.source == "storage":
            reader = StorageReader(self.storage, now=lambda: self.t)
        return Engine(self.new_store(), reader, self.serving)  # type: ignore[arg-type]

    def turn(self) -> Step:
        """The engine's turn; where it is killed, a new one takes it."""
        try:
            return self.engine.turn(self.t)
        except Killed:
            self.engine = self.new_engine()
            return self.engine.turn(self.t)

    def run(self, until: Callable[[RolloutState], bool] = lambda state: state.decision != "running") -> RolloutState:
        """Second by second: users come, gateways write, the engine turns. Until something holds, or for two minutes."""
        while True:
            self.pass_second()
            step = self.turn()
            if until(step.state) or self.t > 1120:
                return step.state

    def pass_second(self) -> None:
        """Users of one second; the second gateway restarts now and then, and its file ends in mid-line for a while."""
        self.t += 1.0
        draw = random.Random(int(self.t))
        for number in range(12):
            # Half of the users have been here before; the first exposure is what counts.
            person = draw.randrange(300) if number % 2 else int(self.t) * 100 + number
            gateway = f"gateway-{number % 2}" if number % 2 == 0 else f"gateway-1-{int(self.t) // 7}"
            self._ask(draw, gateway, f"{person:032x}", f"{self.t:.0f}-{number}")
        for gateway, lines in self.rows.items():
            if self.source == "folder":
                with (self.folder / f"{gateway}.jsonl").open("ab") as file:
                    file.write(b"".join(lines))
                lines.clear()
        for writer in self.writers.values():
            self.ship(writer)

    def ship(self, writer: StorageWriter) -> None:
        """All that waits."""
        while writer.ship():
            pass

    def _ask(self, draw: random.Random, gateway: str, unit: str, request: str) -> None:
        weights = self.serving.present
        arm = assign(unit, weights.salt, weights.arms()) if weights.rollout else "stable"
        bad = self.bad if arm == "canary" else 0.05
        common = {
            "request": request,
            "unit": unit,
            "arm": arm,
            "rollout": weights.rollout,
            "revision": CANARY if arm == "canary" else STABLE,
            "weight": weights.canary_weight,
            "assigned_t": self.t - 0.5 + draw.random() / 4,
            "failover": False,
        }
        ttft_s = 0.1 + 0.05 * draw.random()
        error = int(draw.random() < bad)
        self._log(gateway, {"type": "outcome", "t": self.t, "error": error, "ttft_s": ttft_s, **common})
        if draw.random() < 0.6:
            score = float(draw.random() >= bad)
            self._log("gateway-0", {"type": "feedback", "t": self.t + draw.random(), "score": score, **common})

    def _log(self, gateway: str, row: Mapping[str, Any]) -> None:
        if self.source == "folder":
            line = json.dumps(row).encode() + b"\n"
            lines = self.rows.setdefault(gateway, [])
            lines.append(line)
            return
        if gateway not in self.writers:
            self.writers[gateway] = StorageWriter(self.storage, gateway, ship_s=1e6, now=lambda: self.t)
        self.writers[gateway].append(row)

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()
