"""One look at one FineTune: observe, plan, act, write its status."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from serin.clients.kubernetes import (
    AbsentError,
    Cluster,
    ConflictError,
    ExistsError,
    ForbiddenError,
    InvalidError,
    Kind,
    Object,
)
from serin.clients.kubernetes.events import Events
from serin.clients.kubernetes.kinds import FINE_TUNES, JOB_SETS, JOBS, PODS, WORKLOADS
from serin.controller.actions import Action, ConfirmGone, CreateJob, JobKind, SuspendJob
from serin.controller.jobs.names import labels_of
from serin.controller.loop.caches import Caches
from serin.controller.loop.facts import NO_JOB, Facts, Subject
from serin.controller.loop.metrics import Metrics
from serin.controller.loop.observe import due_stage, end_lags, is_accepted, observe
from serin.controller.loop.refusals import Refusals
from serin.controller.loop.storage_facts import PATIENCE_S, StorageFacts
from serin.controller.objects import finish_of, is_running
from serin.controller.observed import Observed
from serin.controller.plan import Plan, plan
from serin.controller.plan.acceptance import read_spec, read_status
from serin.controller.plan.results import result_of
from serin.core.errors import SerinError
from serin.core.resources.finetune import FineTuneSpec, FineTuneStatus
from serin.core.task import Stage

_LOG = logging.getLogger(__name__)
STATUS_MANAGER = "serin-controller"
_JOBS: dict[JobKind, Kind] = {"Job": JOBS, "JobSet": JOB_SETS}


@dataclass
class Reconciler:
    """Looks at one FineTune after another; two workers never look at the same one at once.

    Args:
        cluster: where.
        caches: what the watches saw.
        facts: what storage said.
        events: where news go.
        metrics: what is counted.
        may_act: whether this process holds the lease, asked before every write.
        now: the time.
        clock: monotonic seconds.
    """

    cluster: Cluster
    caches: Caches
    facts: StorageFacts
    events: Events
    metrics: Metrics
    may_act: Callable[[], bool]
    now: Callable[[], datetime]
    clock: Callable[[], float] = time.monotonic
    refusals: Refusals = field(init=False)

    def __post_init__(self) -> None:
        self.refusals = Refusals(self.clock)

    def reconcile(self, name: str) -> float | None:
        """Bring a FineTune one step further; in how many seconds time alone may change something.

        Raises:
            SerinError: the API server did not take something; look again later.
        """
        finetune = self.caches.finetune(name)
        if finetune is None or finetune["metadata"].get("deletionTimestamp"):
            self.forget(name)
            return None
        status = read_status(finetune)
        spec, _ = read_spec(finetune)
        subject = None
        if spec is not None and status.phase not in ("Succeeded", "Failed"):
            subject = Subject(name, str(finetune["metadata"]["uid"]), spec.run.params.storage)
        observed = self._observe(finetune, status, subject)
        if subject is not None and spec is not None:
            if not self._asked(subject, spec, status, observed):
                return PATIENCE_S  # the answer brings it here again before that, unless there is none
            stage = due_stage(spec, status, list(observed.results))
            if stage is not None and end_lags(observed, stage, status):
                self._read_end(subject, stage)
                observed = self._observe(finetune, status, subject)
        made = plan(finetune, observed, self.now())
        if self._act(subject, made.actions):
            # With the new Job in sight, status can name it at once.
            made = plan(finetune, self._observe(finetune, status, subject), self.now())
        if not any(isinstance(action, ConfirmGone) for action in made.actions):
            self._write(finetune, status, made)
        if subject is not None and made.status.phase in ("Succeeded", "Failed"):
            self.facts.forget(name)
        return min((each for each in (self.refusals.again_s(name), made.again_s) if each is not None), default=None)

    def forget(self, name: str) -> None:
        """A FineTune is gone; the garbage collector removes what it owns."""
        self.facts.forget(name)
        self.metrics.lost(name)
        self.refusals.forget(name)

    def _observe(self, finetune: Object, status: FineTuneStatus, subject: Subject | None) -> Observed:
        name, uid = str(finetune["metadata"]["name"]), str(finetune["metadata"]["uid"])
        facts = self.facts.of(subject) if subject else Facts()
        observed = observe(self.caches, facts, name, uid, is_accepted(status), self.refusals.of(name))
        if subject is not None:
            for stage in observed.jobs:
                self.facts.is_back(subject, stage)
        return observed

    def _asked(self, subject: Subject, spec: FineTuneSpec, status: FineTuneStatus, observed: Observed) -> bool:
        """See to it that storage is asked what the plan needs; False where there is nothing to plan before it answers."""
        stage = due_stage(spec, status, list(observed.results))
        pods = observed.pods.get(stage, ()) if stage else ()
        self.facts.follow(subject, stage if any(is_running(pod) for pod in pods) else None)
        if stage is None:
            return True
        if observed.faults is None and not self.facts.check(subject, spec.run):
            return False
        job = observed.jobs.get(stage)
        if job is None:
            was_made = any(each.name == stage and each.job_uid for each in status.stages)
            if was_made or observed.faults is None or observed.faults:
                return True
            # A Job that a killed controller made may be done and gone already, and must not be made again.
            return self.facts.ask_result(subject, stage, NO_JOB) or bool(observed.unanswered)
        finish = finish_of(job)
        if finish is None or result_of(stage, pods):
            return True
        occasion = f"{job['metadata']['uid']}/{finish[0]}"
        if not self.facts.ask_result(subject, stage, occasion):
            return bool(observed.unanswered)
        if finish[0] == "complete":
            self.facts.ask_result_again(subject, stage, occasion)
        return True

    def _read_end(self, subject: Subject, stage: Stage) -> None:
        """Ask the API server itself for what a stage's Job or JobSet made."""
        for kind in (PODS, JOBS):
            found, _ = self.cluster.list(kind, labels_of(subject.name, subject.uid, stage))
            for each in found:
                self.caches.by_kind[kind].put(each)

    def _act(self, subject: Subject | None, actions: Sequence[Action]) -> bool:
        """Do what the plan says; whether it has to be made anew, since there is a Job now, or none can be."""
        changed = False
        for action in actions:
            if isinstance(action, ConfirmGone):
                if subject is not None:
                    self.facts.confirm_gone(subject, action.stage, _JOBS[action.kind], action.name)
                continue
            self._check_lease()
            if isinstance(action, CreateJob):
                changed |= subject is not None and self._create(subject, action)
            elif isinstance(action, SuspendJob):
                self._patched(_JOBS[action.kind], action.name, action.patch)
            else:
                self._patched(WORKLOADS, action.name, action.patch)
        return changed

    def _create(self, subject: Subject, action: CreateJob) -> bool:
        if self.refusals.waits(subject.name, action.stage):
            return False
        kind = _JOBS[action.kind]
        try:
            job = self._created(kind, action)
        except (InvalidError, ForbiddenError, AbsentError) as error:
            self.metrics.refused.labels(action.stage).inc()
            return self.refusals.add(subject.name, action, error)
        except SerinError:
            # It may have been created all the same, so what was found before it no longer holds.
            self.facts.is_back(subject, action.stage)
            raise
        self.refusals.drop(subject.name, action.stage)
        self.caches.by_kind[kind].put(job)
        return True

    def _created(self, kind: Kind, action: CreateJob) -> Object:
        try:
            job = self.cluster.create(kind, action.body, strict=True)
        except ExistsError:
            there = self.cluster.get(kind, action.name)
            if there is None:
                raise
            return there  # ours, or another's: the next plan looks at its owner
        self.metrics.jobs.labels(action.stage).inc()
        _LOG.info("a job is created", extra={"kind": kind.kind, "object": action.name, "stage": action.stage})
        return job

    def _patched(self, kind: Kind, name: str, patch: Mapping[str, Any]) -> None:
        try:
            self.caches.by_kind[kind].put(self.cluster.patch(kind, name, patch))
        except AbsentError:
            _LOG.info("what was to be changed is gone", extra={"kind": kind.kind, "object": name})

    def _write(self, finetune: Object, before: FineTuneStatus, made: Plan) -> None:
        """Write status where it differs from what stands there, and then tell the news."""
        metadata = finetune["metadata"]
        name, uid = str(metadata["name"]), str(metadata["uid"])
        if made.status != before or not finetune.get("status"):
            self._check_lease()
            status = made.status.model_dump(mode="json", by_alias=True, exclude_none=True)
            body = {"metadata": {"uid": uid}, "status": status}
            try:
                self.caches.by_kind[FINE_TUNES].put(self.cluster.apply_status(FINE_TUNES, name, body, STATUS_MANAGER))
            except AbsentError:
                return  # deleted meanwhile
            for event in made.events:
                self.events.tell(finetune, event, self.now())
        self.metrics.saw(name, uid, made.status)

    def _check_lease(self) -> None:
        if not self.may_act():
            raise ConflictError("the lease is lost: another controller acts; this one must not write")
