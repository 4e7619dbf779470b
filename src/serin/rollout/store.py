"""A rollout as a log of steps: objects that are written once, under numbers without a gap. The newest one is its state.

<prefix>ids/<id>                        says that there is such a rollout
<prefix>runs/<id>/steps/<number>.jsonl  a step, and below it the units that it counted, one a line

One write makes a step: before it nothing has happened, after it everything has. Of two processes that write the same
number, one is told that the other was first. So a rollout's processes may be killed or doubled at any moment, in a folder
and in a bucket alike.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from serin.clients.storage import Storage
from serin.core.errors import InputError, UsageError
from serin.rollout.evidence import Closed
from serin.rollout.policy import RolloutState

Action = Literal["create", "start", "count", "advance", "promote", "abort", "pause", "resume"]


class Step(BaseModel):
    """One step of a rollout."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int
    """Counts up from 0."""
    t: float
    """When, in Unix seconds."""
    action: Action
    """``create``: it is declared, and has no traffic yet. ``count``: units were counted, and nothing else."""
    reason: str = ""
    person: str = ""
    """Who did it by hand; empty where the evidence or time did."""
    positions: dict[str, int] = {}
    """Where a process that starts anew reads each source of evidence."""
    state: RolloutState
    """What holds after it."""


class RolloutStore:
    """The steps of one rollout."""

    def __init__(self, storage: Storage, rollout: str, prefix: str = "") -> None:
        self.id = rollout
        self._storage = storage
        self._mark = f"{prefix}ids/{rollout}"
        self._steps = f"{prefix}runs/{rollout}/steps/"
        self._known: Step | None = None

    def newest(self) -> Step | None:
        """The last step; None where the rollout does not exist. Raises StorageError, and InputError where it is damaged."""
        if self._known is None:
            keys = self._storage.list(self._steps)
            if not keys:
                return None
            self._known = self._parsed(keys[-1], self._storage.read(keys[-1]))[0]
        while (found := self._at(self._known.number + 1)) is not None:
            self._known = found[0]
        return self._known

    def read(self) -> RolloutState:
        """The state. Raises InputError where there is none, or it is damaged."""
        newest = self.newest()
        if newest is None:
            raise InputError(
                f"{self._storage.uri(self._steps)} holds no step: see 'serin rollout history' for what there is"
            )
        return newest.state

    def append(self, step: Step, closed: Sequence[Closed] = ()) -> bool:
        """Write a step; False means that another process wrote one of this number."""
        if step.number == 0:
            self._storage.write(self._mark, b"")
        lines = [step.model_dump_json(), *(json.dumps(asdict(each), separators=(",", ":")) for each in closed)]
        if not self._storage.write_new(self._key(step.number), "".join(f"{line}\n" for line in lines).encode()):
            return False
        self._known = step
        return True

    def steps(self, first: int = 0) -> Iterator[tuple[Step, list[Closed]]]:
        """Every step from a number on, with the units that it counted."""
        number = first
        while (found := self._at(number)) is not None:
            yield found
            number += 1

    def _key(self, number: int) -> str:
        return f"{self._steps}{number:08d}.jsonl"

    def _at(self, number: int) -> tuple[Step, list[Closed]] | None:
        data, _ = self._storage.read_versioned(self._key(number))
        return None if data is None else self._parsed(self._key(number), data)

    def _parsed(self, key: str, data: bytes) -> tuple[Step, list[Closed]]:
        try:
            head, *rows = data.splitlines()
            return Step.model_validate_json(head), [Closed(**json.loads(row)) for row in rows]
        except (ValidationError, ValueError, TypeError) as error:
            raise InputError(
                f"{self._storage.uri(key)} is damaged, or of another version of serin ({_first_line(error)}): "
                "start another rollout"
            ) from error


class Rollouts:
    """All rollouts of one place: a folder's storage, or a bucket's under a prefix."""

    def __init__(self, storage: Storage, prefix: str = "") -> None:
        self.storage = storage
        self.prefix = prefix

    def ids(self) -> list[str]:
        """Of all, oldest first."""
        begin = f"{self.prefix}ids/"
        return [key.removeprefix(begin) for key in self.storage.list(begin)]

    def of(self, rollout: str) -> RolloutStore:
        """The steps of one."""
        return RolloutStore(self.storage, rollout, self.prefix)

    def named(self, rollout: str | None) -> RolloutStore:
        """One by its id or the beginning of it; the newest where none is given. Raises UsageError where there is none."""
        ids = self.ids()
        if rollout is None:
            if not ids:
                raise UsageError("there is no rollout yet: start one with 'serin rollout start REVISION'")
            return self.of(ids[-1])
        matches = [each for each in ids if each == rollout] or [each for each in ids if each.startswith(rollout)]
        if len(matches) != 1:
            found = "no rollout" if not matches else f"the beginning of {len(matches)} rollouts"
            raise UsageError(f"{rollout} is {found}: 'serin rollout history' lists them")
        return self.of(matches[0])


def _first_line(error: Exception) -> Any:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
