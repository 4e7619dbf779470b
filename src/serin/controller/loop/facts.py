"""What storage says of each run, asked in the background: a reconcile takes what is known and never waits."""

import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from pydantic import ValidationError

from serin.clients.kubernetes import Cluster, Kind, Object
from serin.clients.storage import Storage
from serin.controller.loop.inputs import faults_of
from serin.controller.loop.queue import WorkQueue
from serin.controller.observed import Fault
from serin.core.errors import SerinError
from serin.core.params import StorageParams
from serin.core.resources.finetune import Run
from serin.core.task import Result, Stage, prefix_of, progress_key, result_key

_LOG = logging.getLogger(__name__)
_LANES = 4
_THREADS = 4
_MOST_STORAGES = 16
_PROGRESS_S = 5.0
_RESULT_AGAIN_S = 10.0
_TIMEOUT_S = 5.0
PATIENCE_S = 1.0
"""How long the check of the inputs may take before status says that it goes on."""
NO_JOB = "no Job"
"""The occasion of looking for a result before a stage gets its Job."""

Open = Callable[[StorageParams], Storage]


@dataclass(frozen=True, slots=True)
class Subject:
    """A FineTune as far as storage is concerned."""

    name: str
    uid: str
    storage: StorageParams = field(compare=False, hash=False, repr=False)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known."""

    faults: tuple[Fault, ...] | None = None
    """Of the inputs; None: not known yet."""
    results: Mapping[Stage, Result] = field(default_factory=dict)
    absent: Mapping[Stage, str] = field(default_factory=dict)
    """Stages without a result, each with the occasion on which that was found."""
    gone: frozenset[Stage] = frozenset()
    progress: Mapping[str, Any] | None = None
    progress_of: Stage | None = None
    unanswered: Mapping[str, str] = field(default_factory=dict)
    """By what was asked: why there is no answer."""


@dataclass(frozen=True, slots=True)
class _Ask:
    sort: Literal["check", "result", "gone", "progress"]
    subject: Subject
    stage: Stage | None = None
    occasion: str = ""
    kind: Kind | None = None
    job: str = ""
    run: Run | None = field(default=None, compare=False, hash=False, repr=False)


class StorageFacts:
    """Asks, remembers, and tells by name whose facts have changed. Safe between threads.

    A storage that does not answer holds up only the runs that share one of a few lanes with it.

    Args:
        cluster: where queues and Jobs are.
        open_storage: from params to storage.
        changed: is told the name of a FineTune.
        found: is given a Job that the API server has, though it was taken for gone.
    """

    def __init__(
        self,
        cluster: Cluster,
        open_storage: Open,
        changed: Callable[[str], None],
        found: Callable[[Kind, Object], None],
    ) -> None:
        self._cluster = cluster
        self._open = open_storage
        self._changed = changed
        self._found = found
        self._facts: dict[Subject, Facts] = {}
        self._following: dict[Subject, Stage] = {}
        self._checking: dict[Subject, float] = {}
        self._storages: OrderedDict[str, Storage] = OrderedDict()
        self._opening = threading.Lock()
        self._lock = threading.Lock()
        self._lanes: list[WorkQueue[_Ask]] = [WorkQueue() for _ in range(_LANES)]

    def start(self) -> None:
        """Begin to ask."""
        for lane in self._lanes:
            for _ in range(_THREADS):
                threading.Thread(target=self._work, args=(lane,), name="storage", daemon=True).start()

    def close(self) -> None:
        """Ask no more."""
        for lane in self._lanes:
            lane.close()

    def of(self, subject: Subject) -> Facts:
        """What is known now."""
        with self._lock:
            return self._facts.get(subject, Facts())

    def check(self, subject: Subject, run: Run) -> bool:
        """Look at the inputs, unless that has been done or is under way; whether it takes so long that people should know."""
        facts = self.of(subject)
        if facts.faults is not None or "check" in facts.unanswered:
            return True
        with self._lock:
            since = self._checking.setdefault(subject, time.monotonic())
        self._ask(_Ask("check", subject, run=run))
        return time.monotonic() - since > PATIENCE_S

    def ask_result(self, subject: Subject, stage: Stage, occasion: str) -> bool:
        """Look for a stage's result; whether it is known that there was none on this occasion."""
        facts = self.of(subject)
        if facts.absent.get(stage) == occasion:
            return True
        self._ask(_Ask("result", subject, stage, occasion))
        return False

    def ask_result_again(self, subject: Subject, stage: Stage, occasion: str) -> None:
        """Look once more in a while: a result that ought to be there may come late."""
        self._lane(subject).add_after(_Ask("result", subject, stage, occasion), _RESULT_AGAIN_S)

    def confirm_gone(self, subject: Subject, stage: Stage, kind: Kind, job: str) -> None:
        """Ask the API server for the Job, and then storage for the stage's result: where both say no, it is gone."""
        self._ask(_Ask("gone", subject, stage, kind=kind, job=job))

    def is_back(self, subject: Subject, stage: Stage) -> None:
        """The stage has a Job, so what was found without one no longer holds."""
        with self._lock:
            facts = self._facts.get(subject)
            if facts is not None and (stage in facts.gone or facts.absent.get(stage) == NO_JOB):
                absent = {each: on for each, on in facts.absent.items() if (each, on) != (stage, NO_JOB)}
                self._facts[subject] = replace(facts, gone=facts.gone - {stage}, absent=absent)

    def follow(self, subject: Subject, stage: Stage | None) -> None:
        """Read the progress of this stage every few seconds from now on; None: of none."""
        with self._lock:
            if self._following.get(subject) == stage:
                return
            if stage is None:
                del self._following[subject]
                return
            self._following[subject] = stage
            facts = self._facts.get(subject)
            if facts is not None and facts.progress_of != stage:
                self._facts[subject] = replace(facts, progress=None, progress_of=None)
        self._ask(_Ask("progress", subject, stage))

    def forget(self, name: str) -> None:
        """The FineTune of this name is gone, or over."""
        with self._lock:
            for subject in [subject for subject in self._facts if subject.name == name]:
                del self._facts[subject]
            for subject in [subject for subject in self._following if subject.name == name]:
                del self._following[subject]
            for subject in [subject for subject in self._checking if subject.name == name]:
                del self._checking[subject]

    # ---- in the background ---------------------------------------------------------------------------------------------
    def _lane(self, subject: Subject) -> "WorkQueue[_Ask]":
        return self._lanes[hash(subject.storage.url) % _LANES]

    def _ask(self, ask: _Ask) -> None:
        self._lane(ask.subject).add(ask)

    def _work(self, lane: "WorkQueue[_Ask]") -> None:
        while (ask := lane.take()) is not None:
            try:
                self._answer(ask, self._storage(ask.subject.storage))
                self._learn(ask.subject, partial(_heard, ask=ask, why=""))
                lane.succeeded(ask)
            except SerinError as error:
                self._learn(ask.subject, partial(_heard, ask=ask, why=str(error)))
                pause_s = lane.retry(ask)
                _LOG.warning(
                    "storage gives no answer",
                    extra={
                        "finetune": ask.subject.name,
                        "asked": ask.sort,
                        "error": str(error),
                        "again_s": round(pause_s, 1),
                    },
                )
            except Exception:
                # A thread that ends here would never ask again, for no run of its lane.
                _LOG.exception("asking storage failed", extra={"finetune": ask.subject.name, "asked": ask.sort})
                lane.retry(ask)
            finally:
                lane.done(ask)

    def _answer(self, ask: _Ask, storage: Storage) -> None:
        if ask.run is not None:
            self._check(ask.subject, ask.run, storage)
        elif ask.stage is not None and ask.sort == "progress":
            self._read_progress(ask, storage, ask.stage)
        elif ask.stage is not None:
            self._look_for_result(ask, storage, ask.stage)

    def _check(self, subject: Subject, run: Run, storage: Storage) -> None:
        if self.of(subject).faults is None:
            faults = tuple(faults_of(run, self._cluster, storage, subject.name, subject.uid))
            if not faults:
                # The question that comes next; answered now, its Job need not wait for another round.
                self._look_for_result(_Ask("result", subject, run.stages[0], NO_JOB), storage, run.stages[0])
            self._learn(subject, lambda facts: replace(facts, faults=faults))

    def _look_for_result(self, ask: _Ask, storage: Storage, stage: Stage) -> None:
        subject = ask.subject
        if ask.kind is not None:
            # The Job first: its result was written before it ended, so where both are missing, it never ended.
            job = self._cluster.get(ask.kind, ask.job)
            if job is not None:
                self._found(ask.kind, job)
                self._changed(subject.name)
                return
        result = _result(storage, result_key(self._prefix(subject, stage)))
        if result is not None:
            self._learn(subject, lambda facts: replace(facts, results={**facts.results, stage: result}))
        elif ask.sort == "gone":
            self._learn(subject, lambda facts: replace(facts, gone=facts.gone | {stage}))
        else:
            if ask.occasion != NO_JOB and self.of(subject).progress_of != stage:
                # A run that failed while nobody looked says here how much memory it was planned to take.
                self._read_progress(ask, storage, stage)
            self._learn(subject, lambda facts: replace(facts, absent={**facts.absent, stage: ask.occasion}))

    def _prefix(self, subject: Subject, stage: Stage) -> str:
        return prefix_of(self._cluster.namespace, subject.name, subject.uid, stage)

    def _read_progress(self, ask: _Ask, storage: Storage, stage: Stage) -> None:
        if ask.sort == "progress":
            with self._lock:
                if self._following.get(ask.subject) != stage:
                    return
        data, _ = storage.read_versioned(progress_key(self._prefix(ask.subject, stage)))
        progress = _object(data)
        if progress is not None:
            self._learn(ask.subject, lambda facts: replace(facts, progress=progress, progress_of=stage))
        if ask.sort == "progress":
            self._lane(ask.subject).add_after(ask, _PROGRESS_S)

    def _learn(self, subject: Subject, change: Callable[[Facts], Facts]) -> None:
        with self._lock:
            before = self._facts.get(subject, Facts())
            after = change(before)
            if after == before:
                return
            self._facts[subject] = after
        self._changed(subject.name)

    def _storage(self, params: StorageParams) -> Storage:
        key = params.model_dump_json()
        # One at a time: a client takes seconds of looking for credentials, and megabytes.
        with self._opening:
            found = self._storages.get(key)
            if found is None:
                found = self._open(params.model_copy(update={"connections": _THREADS, "timeout_s": _TIMEOUT_S}))
                self._storages[key] = found
            self._storages.move_to_end(key)
            if len(self._storages) > _MOST_STORAGES:
                self._storages.popitem(last=False)
            return found


def _heard(facts: Facts, ask: _Ask, why: str) -> Facts:
    """With why there was no answer, or without where there was one."""
    rest = {sort: said for sort, said in facts.unanswered.items() if sort != ask.sort}
    return replace(facts, unanswered={**rest, ask.sort: why} if why else rest)


def _result(storage: Storage, key: str) -> Result | None:
    data, _ = storage.read_versioned(key)
    if data is None:
        return None
    try:
        return Result.model_validate_json(data)
    except ValidationError as error:
        _LOG.warning("a result is damaged", extra={"key": storage.uri(key), "error": str(error)})
        return None


def _object(data: bytes | None) -> Mapping[str, Any] | None:
    try:
        found = json.loads(data or b"null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
