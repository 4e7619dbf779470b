"""Asking storage in the background, and remembering what it said until its FineTune is over."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from serin.clients.kubernetes import Cluster, Kind, Object
from serin.clients.storage import Storage
from serin.controller.loop.facts import NO_JOB, Ask, Facts, Sort, Subject
from serin.controller.loop.inputs import Wanted, faults_of
from serin.controller.loop.queue import WorkQueue
from serin.controller.loop.stored import progress_in, result_in
from serin.core.errors import SerinError
from serin.core.params import StorageParams
from serin.core.resources.finetune import Run
from serin.core.task import Stage, prefix_of

_LOG = logging.getLogger(__name__)
_LANES = 4
_THREADS = 4
_MOST_STORAGES = 16
_PROGRESS_S = 5.0
_RESULT_AGAIN_S = 10.0
_TIMEOUT_S = 5.0
PATIENCE_S = 5.0
"""How long the check of the inputs may take before status says that it goes on."""
SILENCE_S = 3.0
"""How long storage may fail to answer before status says so: one request that is lost is no news."""

Open = Callable[[StorageParams], Storage]


class StorageFacts:
    """Asks, remembers, and tells by name whose facts have changed. Safe between threads.

    A storage that does not answer holds up only the runs that share one of a few lanes with it.

    Args:
        cluster: where queues and Jobs are.
        open_storage: from params to storage.
        changed: is told the name of a FineTune.
        found: is given a Job that the API server has, though it was taken for gone.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        cluster: Cluster,
        open_storage: Open,
        changed: Callable[[str], None],
        found: Callable[[Kind, Object], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._open = open_storage
        self._changed = changed
        self._found = found
        self._clock = clock
        self._facts: dict[Subject, Facts] = {}
        self._following: dict[Subject, Stage] = {}
        self._checking: dict[Subject, float] = {}
        self._silent: dict[tuple[Subject, Sort], float] = {}
        self._storages: OrderedDict[str, Storage] = OrderedDict()
        self._opening = threading.Lock()
        self._lock = threading.Lock()
        self._lanes: list[WorkQueue[Ask]] = [WorkQueue(clock) for _ in range(_LANES)]

    def start(self) -> None:
        """Begin to ask, in threads."""
        for lane in self._lanes:
            for _ in range(_THREADS):
                threading.Thread(target=self._work, args=(lane,), name="storage", daemon=True).start()

    def answer_now(self) -> None:
        """Ask all that is due, in this thread: for who starts no threads."""
        for lane in self._lanes:
            while (ask := lane.take_now()) is not None:
                self._put(ask, lane)

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
            since = self._checking.setdefault(subject, self._clock())
        self._ask(Ask("check", subject, wanted=Wanted.of(run)))
        return self._clock() - since > PATIENCE_S

    def ask_result(self, subject: Subject, stage: Stage, occasion: str) -> bool:
        """Look for a stage's result; whether it is known that there was none on this occasion."""
        facts = self.of(subject)
        if facts.absent.get(stage) == occasion:
            return True
        self._ask(Ask("result", subject, stage, occasion))
        return False

    def ask_result_again(self, subject: Subject, stage: Stage, occasion: str) -> None:
        """Look once more in a while: a result that ought to be there may come late."""
        self._ask(Ask("result", subject, stage, occasion), _RESULT_AGAIN_S)

    def confirm_gone(self, subject: Subject, stage: Stage, kind: Kind, job: str) -> None:
        """Ask the API server for the Job, and then storage for the stage's result: where both say no, it is gone."""
        self._ask(Ask("gone", subject, stage, kind=kind, job=job))

    def is_back(self, subject: Subject, stage: Stage) -> None:
        """The stage has a Job, so what was found without one no longer holds."""
        with self._lock:
            if (facts := self._facts.get(subject)) is not None:
                self._facts[subject] = facts.with_job(stage)

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
        self._ask(Ask("progress", subject, stage))

    def forget(self, name: str) -> None:
        """The FineTune of this name is gone, or over."""
        with self._lock:
            for known in (self._facts, self._following, self._checking):
                for subject in [subject for subject in known if subject.name == name]:
                    del known[subject]
            for key in [key for key in self._silent if key[0].name == name]:
                del self._silent[key]

    # ---- in the background ---------------------------------------------------------------------------------------------
    def _lane(self, subject: Subject) -> WorkQueue[Ask]:
        return self._lanes[hash(subject.storage.url) % _LANES]

    def _ask(self, ask: Ask, after_s: float = 0.0) -> None:
        with self._lock:
            self._facts.setdefault(ask.subject, Facts())
        if after_s:
            self._lane(ask.subject).add_after(ask, after_s)
        else:
            self._lane(ask.subject).add(ask)

    def _work(self, lane: WorkQueue[Ask]) -> None:
        while (ask := lane.take()) is not None:
            self._put(ask, lane)

    def _put(self, ask: Ask, lane: WorkQueue[Ask]) -> None:
        """Put a question, and learn from what comes of it."""
        began = self._clock()
        try:
            if self._is_wanted(ask):
                self._answer(ask, self._storage(ask.subject.storage))
        except SerinError as error:
            self._heard_nothing(ask, str(error), began)
            pause_s = lane.retry(ask)
            told = {"finetune": ask.subject.name, "asked": ask.sort, "error": str(error), "again_s": round(pause_s, 1)}
            _LOG.warning("storage gives no answer", extra=told)
        except Exception:
            # A thread that ends here would never ask again, for no run of its lane.
            _LOG.exception("asking storage failed", extra={"finetune": ask.subject.name, "asked": ask.sort})
            lane.retry(ask)
        else:
            with self._lock:
                self._silent.pop((ask.subject, ask.sort), None)
            self._learn(ask.subject, lambda facts: facts.answered(ask.sort))
            lane.succeeded(ask)
        finally:
            lane.done(ask)

    def _is_wanted(self, ask: Ask) -> bool:
        """Whether anybody still wants to know: a FineTune that is gone or over is asked about no more, and not remembered."""
        with self._lock:
            if ask.sort == "progress":
                return ask.subject in self._facts and self._following.get(ask.subject) == ask.stage
            return ask.subject in self._facts

    def _heard_nothing(self, ask: Ask, why: str, began: float) -> None:
        with self._lock:
            since = self._silent.setdefault((ask.subject, ask.sort), began)
        if self._clock() - since >= SILENCE_S:
            self._learn(ask.subject, lambda facts: facts.silent(ask.sort, why))

    def _answer(self, ask: Ask, storage: Storage) -> None:
        if ask.wanted is not None:
            self._check(ask.subject, ask.wanted, storage)
        elif ask.stage is not None and ask.sort == "progress":
            self._follow(ask, storage, ask.stage)
        elif ask.stage is not None:
            self._look_for_result(ask, storage, ask.stage)

    def _check(self, subject: Subject, wanted: Wanted, storage: Storage) -> None:
        if self.of(subject).faults is None:
            faults = tuple(faults_of(wanted, self._cluster, storage))
            if not faults:
                # The question that comes next; answered now, its Job need not wait for another round.
                self._look_for_result(Ask("result", subject, wanted.first, NO_JOB), storage, wanted.first)
            self._learn(subject, lambda facts: replace(facts.answered("check"), faults=faults))

    def _look_for_result(self, ask: Ask, storage: Storage, stage: Stage) -> None:
        subject = ask.subject
        if ask.kind is not None:
            # The Job first: its result was written before it ended, so where both are missing, it never ended.
            job = self._cluster.get(ask.kind, ask.job)
            if job is not None:
                self._found(ask.kind, job)
                self._changed(subject.name)
                return
        result = result_in(storage, self._prefix(subject, stage))
        if result is not None:
            self._learn(subject, lambda facts: facts.answered(ask.sort).with_result(stage, result))
        elif ask.sort == "gone":
            self._learn(subject, lambda facts: replace(facts.answered(ask.sort), gone=facts.gone | {stage}))
        else:
            if ask.occasion != NO_JOB and self.of(subject).progress_of != stage:
                # A run that failed while nobody looked says here how much memory it was planned to take.
                self._read_progress(subject, storage, stage)
            self._learn(subject, lambda facts: facts.answered(ask.sort).without_result(stage, ask.occasion))

    def _follow(self, ask: Ask, storage: Storage, stage: Stage) -> None:
        self._read_progress(ask.subject, storage, stage)
        self._lane(ask.subject).add_after(ask, _PROGRESS_S)

    def _read_progress(self, subject: Subject, storage: Storage, stage: Stage) -> None:
        progress = progress_in(storage, self._prefix(subject, stage))
        if progress is not None:
            self._learn(subject, lambda facts: replace(facts, progress=progress, progress_of=stage))

    def _prefix(self, subject: Subject, stage: Stage) -> str:
        return prefix_of(self._cluster.namespace, subject.name, subject.uid, stage)

    def _learn(self, subject: Subject, change: Callable[[Facts], Facts]) -> None:
        with self._lock:
            before = self._facts.get(subject)
            if before is None or (after := change(before)) == before:
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
