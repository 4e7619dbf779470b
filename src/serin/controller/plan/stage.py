"""The stage that is due: from its Job, pods and Workload to what is done about it, and to a word for how it stands."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from serin.controller.actions import SUSPENDED, Action, ActivateWorkload, ConfirmGone, JobKind, SuspendJob
from serin.controller.jobs.names import is_owned_by
from serin.controller.jobs.pod import resources_of
from serin.controller.objects import (
    container_state,
    finish_of,
    has_ended,
    is_leaving,
    is_running,
    name_of,
    newest_last,
    uid_of,
)
from serin.controller.observed import Manifest, Observed
from serin.controller.reasons.cause import Cause
from serin.controller.reasons.jobs import failure_of
from serin.controller.reasons.pods import DISRUPTIONS, ended_by, waits_for
from serin.controller.reasons.queueing import given_up, is_active, is_admitted, preempted, queued
from serin.controller.times import read
from serin.core.params.cluster import PlacementParams
from serin.core.resources.finetune import StageState, StageStatus
from serin.core.task import Stage

RESULT_WAIT_S = 600
"""How long after a Job's end its result may be missing from a storage that answers."""
STORAGE_RETRY_S = 30.0
POD_WAIT_S = 30.0
"""How long a Job that may run may have no pod at all before it is said to be refused one."""
MOST_REMADE = 1
"""How often a Job that was deleted by hand is made again."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the stage that is due stands."""

    state: StageState
    running: Cause | None = None
    """Why no pod computes; None: one does."""
    failed: Cause | None = None
    """Why the run is over."""
    disrupted: Cause | None = None
    """What took its place."""
    admitted: Cause | None = None
    """Why Kueue has not admitted it; None where it has, or where there is no queue."""
    create: bool = False
    """Whether its Job has to be created."""
    actions: Sequence[Action] = field(default=())
    again_s: float | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """The stage that is due, and all that is known of it."""

    stage: Stage
    known: StageStatus
    kind: JobKind
    name: str
    uid: str
    """Of the FineTune."""
    placement: PlacementParams
    suspend: bool
    was_suspended: bool
    """Whether the run was suspended when it was last looked at."""
    observed: Observed
    now: datetime

    @property
    def pods(self) -> list[Manifest]:
        """Its pods, the newest last."""
        return newest_last(self.observed.pods.get(self.stage, ()))

    @property
    def memory_limit(self) -> str:
        """Of one pod."""
        return resources_of(self.placement, self.stage).memory

    @property
    def estimate_bytes(self) -> int | None:
        """What training was planned to take of main memory."""
        found = (self.observed.progress or {}).get("memory_estimate_bytes")
        return int(found) if isinstance(found, int | float) else None


def standing(due: Due) -> Standing:
    """Decide about a stage that has no result yet."""
    job = due.observed.jobs.get(due.stage)
    if job is None:
        return _without_job(due)
    if not is_owned_by(job, due.uid):
        taken = (
            f"{due.kind} {due.name} is there and belongs to something else: delete it, or start the run by another name"
        )
        return _failed(Cause("NameTaken", taken, 1))
    if is_leaving(job):
        return Standing(due.known.state, Cause("Stopping", f"{due.kind} {due.name} is being deleted"))
    finish = finish_of(job)
    if finish and finish[0] == "failed":
        placement = due.placement
        cause = failure_of(
            job,
            due.observed.children.get(due.stage, ()),
            due.pods,
            due.known.attempts,
            retries=placement.retries,
            deadline_s=placement.deadline_s,
            memory_limit=due.memory_limit,
            estimate_bytes=due.estimate_bytes,
        )
        return _failed(cause)
    if finish:
        ended = (job.get("status") or {}).get("completionTime") or finish[1].get("lastTransitionTime")
        return _without_result(due, read(ended))
    return _alive(due, job)


def _without_job(due: Due) -> Standing:
    made_before = due.known.job_uid is not None
    if made_before and due.stage not in due.observed.gone:
        waits = Cause(
            "Creating", f"{due.kind} {due.name} was there and is no longer seen: the API server is asked for it"
        )
        return Standing(due.known.state, waits, actions=[ConfirmGone(due.stage, due.kind, due.name)])
    if made_before and any(not has_ended(pod) for pod in due.pods):
        # The pods of a deleted Job outlive it by their grace period, and no second trainer may start beside them.
        return Standing(
            due.known.state, Cause("Stopping", f"{due.kind} {due.name} was deleted, and its pods still end")
        )
    if made_before and due.known.remade >= MOST_REMADE:
        again = f"{due.kind} {due.name} was deleted by hand twice: it is not made a third time; start a new run"
        return _failed(Cause("JobDeleted", again, 1))
    if due.suspend:
        return Standing("Suspended", Cause("Suspended", "spec.suspend is true: it starts when it is false"))
    if made_before:
        remade = f"{due.kind} {due.name} was deleted by hand: it is made again, once"
        return Standing("Waiting", Cause("JobDeleted", remade), create=True)
    if due.observed.unanswered:
        # It may have been done by a Job that is gone already, and must not be made again before storage says so.
        asked = f"{due.kind} {due.name} is created when storage has said that the stage is not done yet"
        return Standing("Waiting", Cause("NoAnswer", f"{asked}: {due.observed.unanswered}"))
    return Standing("Waiting", Cause("Creating", f"{due.kind} {due.name} is being created"), create=True)


def _without_result(due: Due, ended: datetime | None) -> Standing:
    """The Job is complete, so its result stands in storage, or somebody removed it."""
    last = f"{due.kind} {due.name} is complete, and its result is not"
    if due.observed.unanswered:
        waits = Cause("ResultPending", f"{last} known yet: {due.observed.unanswered}")
        return Standing(due.known.state, waits, again_s=STORAGE_RETRY_S)
    left_s = RESULT_WAIT_S - (due.now - (ended or due.now)) / timedelta(seconds=1)
    if left_s <= 0:
        missing = f"{last} in storage after {RESULT_WAIT_S} s: look at its log, and at who else writes to storage"
        return _failed(Cause("ResultMissing", missing, 1))
    return Standing(
        due.known.state, Cause("ResultPending", f"{last} in storage yet"), again_s=min(left_s, STORAGE_RETRY_S)
    )


def _alive(due: Due, job: Manifest) -> Standing:
    workload = due.observed.workloads.get(due.stage) if due.placement.queue is not None else None
    if gave_up := given_up(workload, due.placement.deadline_s):
        return _failed(gave_up)
    actions = _switch(due, job, workload)
    running = any(is_running(pod) for pod in due.pods)
    if due.suspend:
        if running:
            return Standing(
                "Running", Cause("Stopping", "spec.suspend is true: it saves a checkpoint"), actions=actions
            )
        stopped = "spec.suspend is true: it goes on from its newest checkpoint when it is false"
        return Standing("Suspended", Cause("Suspended", stopped), admitted=_stopped(due), actions=actions)
    waits_in_queue = due.placement.queue is not None and not is_admitted(workload)
    admitted = queued(workload, due.placement.queue or "") if waits_in_queue else None
    held_up = _holds_up(due)
    if running and held_up is None:
        return Standing("Running", admitted=admitted, actions=actions)
    taken = preempted(workload) or _disruption(due)
    if admitted:
        return Standing("Queued", taken or admitted, disrupted=taken, admitted=admitted, actions=actions)
    if held_up is None and not due.pods:
        return _without_pod(due, job, taken, actions)
    return Standing("Waiting", held_up or _why_not(due), disrupted=taken, actions=actions)


def _stopped(due: Due) -> Cause | None:
    return Cause("Suspended", "spec.suspend is true: it holds no quota") if due.placement.queue is not None else None


def _switch(due: Due, job: Manifest, workload: Manifest | None) -> list[Action]:
    """Stop or go on, where it is not so already: by Kueue's Workload where there is a queue, since Kueue owns ``suspend``."""
    if due.placement.queue is None:
        is_suspended = bool((job.get("spec") or {}).get("suspend"))
        return [] if is_suspended == due.suspend else [SuspendJob(due.stage, due.kind, name_of(job), due.suspend)]
    if workload is None or is_active(workload) != due.suspend:
        return []
    marks = workload["metadata"].get("annotations") or {}
    if not due.suspend and not due.was_suspended and SUSPENDED not in marks:
        return []  # a person stopped it, and not by the FineTune
    return [ActivateWorkload(due.stage, name_of(workload), active=not due.suspend)]


def _without_pod(due: Due, job: Manifest, taken: Cause | None, actions: Sequence[Action]) -> Standing:
    """A pod that the API server refuses to the Job leaves nothing but an Event, which this controller may not read."""
    children = due.observed.children.get(due.stage, ())
    told = [(each.get("status") or {}).get("startTime") for each in (job, *children)]
    started = max(
        (time for each in told if (time := read(each))), default=read(job["metadata"].get("creationTimestamp"))
    )
    waited_s = (due.now - (started or due.now)) / timedelta(seconds=1)
    if waited_s < POD_WAIT_S:
        starting = Cause("Starting", f"{due.kind} {due.name} starts its pod")
        return Standing("Waiting", starting, disrupted=taken, actions=actions, again_s=POD_WAIT_S - waited_s)
    why = (
        f"{due.kind} {due.name} has no pod: its Events say why (kubectl describe {due.kind.lower()} {due.name}); often the "
        f"ServiceAccount {due.placement.service_account} or a PriorityClass is missing, or a quota or Pod Security refuses it"
    )
    return Standing("Waiting", Cause("NoPod", why), disrupted=taken, actions=actions)


def _holds_up(due: Due) -> Cause | None:
    """What keeps a pod from running; of those that train together one is enough, for the others wait for it."""
    causes = (waits_for(pod) for pod in due.pods if not has_ended(pod))
    return next((cause for cause in causes if cause), None)


def _why_not(due: Due) -> Cause:
    """Why no pod runs although nothing holds one up: how the last one ended, or that it takes its time."""
    if last := _last_ending(due):
        name, cause = last
        if cause.reason != "Completed":
            return Cause(cause.reason, f"pod {name}: {cause.message}. Another one follows", cause.exit_code)
    return Cause("Starting", f"{due.kind} {due.name} starts its pod")


def _disruption(due: Due) -> Cause | None:
    """What the cluster did to the last pod, while no other runs."""
    last = _last_ending(due)
    if last is None or last[1].reason not in DISRUPTIONS:
        return None
    return Cause(last[1].reason, f"pod {last[0]}: {last[1].message}. It goes on from its newest checkpoint")


def _last_ending(due: Due) -> tuple[str, Cause] | None:
    ended = [pod for pod in due.pods if has_ended(pod)]
    if not ended:
        return None
    last = max(ended, key=lambda pod: str((container_state(pod, "terminated") or {}).get("finishedAt") or ""))
    cause = ended_by(last, due.memory_limit, due.estimate_bytes)
    return (name_of(last), cause) if cause else None


def _failed(cause: Cause) -> Standing:
    return Standing("Failed", Cause("Failed", cause.message), failed=cause)


def seen(known: StageStatus, job: Manifest | None, uid: str) -> StageStatus:
    """A stage's record with the Job that is there now; another uid under the name means that it was made again."""
    if job is None or not is_owned_by(job, uid) or known.job_uid == uid_of(job):
        return known
    again = known.job_uid is not None
    return known.model_copy(
        update={"job": name_of(job), "job_uid": uid_of(job), "remade": known.remade + (1 if again else 0)}
    )
