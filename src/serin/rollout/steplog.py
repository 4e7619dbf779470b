"""A rollout or an experiment as a log of steps: objects that are written once, under numbers without a gap.

<prefix>ids/<id>                        says that there is such a one
<prefix>runs/<id>/steps/<number>.jsonl  a step, and below it the units that it counted, one a line

The newest step is its state. One write makes a step: before it nothing has happened, after it everything has. Of two
processes that write the same number, one is told that the other was first. So they may be killed or doubled at any moment,
in a folder and in a bucket alike.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from serin.clients.storage import Storage
from serin.core.errors import InputError, UsageError

_AT_ONCE = 8
"""Reads of a whole log that run side by side: as many as a storage has connections."""
_AHEAD = 64
"""Steps that are held before they are asked for."""


class NumberedStep(BaseModel):
    """What every step has."""

    number: int
    """Counts up from 0."""


class Counted(Protocol):
    """A dataclass that says which unit was counted, and as what."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


StepT = TypeVar("StepT", bound=NumberedStep)
CountedT = TypeVar("CountedT", bound=Counted)


class StepLog(Generic[StepT, CountedT]):
    """The steps of one.

    Args:
        storage: where they are.
        name: its id.
        prefix: in storage.
        step: the type of its steps.
        counted: the type of the units that a step counted.
        noun: what it is, for messages.
    """

    def __init__(
        self, storage: Storage, name: str, prefix: str, step: type[StepT], counted: type[CountedT], noun: str
    ) -> None:
        self.id = name
        self._storage = storage
        self._step, self._counted, self._noun = step, counted, noun
        self._mark = f"{prefix}ids/{name}"
        self._steps = f"{prefix}runs/{name}/steps/"
        self._known: StepT | None = None

    def newest(self) -> StepT | None:
        """The last step; None where there is none. Raises StorageError, and InputError where it is damaged."""
        if self._known is None:
            keys = self._storage.list(self._steps)
            if not keys:
                return None
            self._known = self._parsed(keys[-1], self._storage.read(keys[-1]))[0]
        while (found := self._at(self._known.number + 1)) is not None:
            self._known = found[0]
        return self._known

    def last(self) -> StepT:
        """The last step. Raises InputError where there is none, or it is damaged."""
        newest = self.newest()
        if newest is None:
            raise InputError(
                f"{self._storage.uri(self._steps)} holds no step: its {self._noun} was removed, or killed while it began"
            )
        return newest

    def append(self, step: StepT, counted: Sequence[CountedT] = ()) -> bool:
        """Write a step; False means that another process wrote one of this number."""
        if step.number == 0:
            self._storage.write(self._mark, b"")
        lines = [step.model_dump_json(), *(json.dumps(asdict(each), separators=(",", ":")) for each in counted)]
        if not self._storage.write_new(self._key(step.number), "".join(f"{line}\n" for line in lines).encode()):
            return False
        self._known = step
        return True

    def steps(self, first: int = 0) -> Iterator[tuple[StepT, list[CountedT]]]:
        """Every step from a number on, with the units that it counted; a whole log is read several steps at a time."""
        number = first
        if first == 0:
            for found in self._listed():
                yield found
                number += 1
        while (following := self._at(number)) is not None:
            yield following
            number += 1

    def _listed(self) -> Iterator[tuple[StepT, list[CountedT]]]:
        count = len(self._storage.list(self._steps))
        with ThreadPoolExecutor(_AT_ONCE, "steps") as readers:
            for begin in range(0, count, _AHEAD):
                for found in readers.map(self._at, range(begin, min(begin + _AHEAD, count))):
                    if found is None:
                        return
                    yield found

    def _key(self, number: int) -> str:
        return f"{self._steps}{number:08d}.jsonl"

    def _at(self, number: int) -> tuple[StepT, list[CountedT]] | None:
        data, _ = self._storage.read_versioned(self._key(number))
        return None if data is None else self._parsed(self._key(number), data)

    def _parsed(self, key: str, data: bytes) -> tuple[StepT, list[CountedT]]:
        try:
            head, *rows = data.splitlines()
            return self._step.model_validate_json(head), [self._counted(**json.loads(row)) for row in rows]
        except (ValidationError, ValueError, TypeError) as error:
            raise InputError(
                f"{self._storage.uri(key)} is damaged, or of another version of serin ({_first_line(error)}): "
                f"start another {self._noun}"
            ) from error


LogT = TypeVar("LogT")


class StepLogs(ABC, Generic[LogT]):
    """All of one place: a folder's storage, or a bucket's under a prefix."""

    noun: ClassVar[str]
    listed_by: ClassVar[str]
    """The command that says what there is."""

    def __init__(self, storage: Storage, prefix: str = "") -> None:
        self.storage = storage
        self.prefix = prefix

    @abstractmethod
    def of(self, name: str) -> LogT:
        """The steps of one."""

    def ids(self) -> list[str]:
        """Of all, oldest first."""
        begin = f"{self.prefix}ids/"
        return [key.removeprefix(begin) for key in self.storage.list(begin)]

    def named(self, name: str | None) -> LogT:
        """One by its id or the beginning of it; the newest where none is given. Raises UsageError where there is none."""
        ids = self.ids()
        if name is None:
            if not ids:
                raise UsageError(f"there is no {self.noun} yet: start one with 'serin {self.noun} start REVISION'")
            return self.of(ids[-1])
        matches = [each for each in ids if each == name] or [each for each in ids if each.startswith(name)]
        if len(matches) != 1:
            found = f"no {self.noun}" if not matches else f"the beginning of {len(matches)} {self.noun}s"
            raise UsageError(f"{name} is {found}: {self.listed_by}")
        return self.of(matches[0])


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
