"""From caches and what storage said to ``Observed``."""

from collections.abc import Mapping, Sequence

from serin.clients.kubernetes import Object
from serin.clients.kubernetes.kinds import JOB_SETS, JOBS, PODS
from serin.controller.jobs.names import STAGE_LABEL, UID_LABEL, job_name
from serin.controller.loop.caches import Caches, owner_uids
from serin.controller.loop.facts import Facts
from serin.controller.objects import finish_of, has_ended, name_of
from serin.controller.observed import Fault, Manifest, Observed
from serin.core.resources.finetune import FineTuneSpec, FineTuneStatus
from serin.core.task import STAGES, Stage


def observe(
    caches: Caches, facts: Facts, name: str, uid: str, accepted: bool, refused: Mapping[Stage, Fault] | None = None
) -> Observed:
    """What was seen of one FineTune.

    Args:
        caches: of the cluster.
        facts: of storage.
        name: of the FineTune.
        uid: of the FineTune.
        accepted: whether its inputs were found before: they are not looked for again.
        refused: stages whose Job the API server does not take, and why.
    """
    jobs: dict[Stage, Manifest] = {}
    children: dict[Stage, list[Manifest]] = {}
    for stage in STAGES:
        for kind in (JOB_SETS, JOBS):
            # By name alone: one that belongs to somebody else has none of our labels.
            if (job := caches.by_kind[kind].get(job_name(name, uid, stage))) is not None:
                jobs[stage] = job
    for job in caches.children(JOBS, name):
        if owner_uids(job, "JobSet") and (of := _stage_of(job, uid)):
            children.setdefault(of, []).append(job)
    pods: dict[Stage, list[Manifest]] = {}
    for pod in caches.children(PODS, name):
        if of := _stage_of(pod, uid):
            pods.setdefault(of, []).append(pod)
    workloads: dict[Stage, Manifest] = {}
    for stage, owner in jobs.items():
        if found := caches.workloads_of(str(owner["metadata"].get("uid", ""))):
            workloads[stage] = _newest(found)
    return Observed(
        jobs=jobs,
        children=children,
        pods=pods,
        workloads=workloads,
        results=facts.results,
        progress=facts.progress,
        faults=() if accepted else facts.faults,
        unanswered=facts.silence,
        gone=facts.gone,
        refused=refused or {},
    )


def is_accepted(status: FineTuneStatus) -> bool:
    """Whether its inputs were found."""
    return any(each.type == "Accepted" and each.status == "True" for each in status.conditions)


def due_stage(spec: FineTuneSpec, status: FineTuneStatus, results: Sequence[Stage]) -> Stage | None:
    """The first stage without a result; None where all have one."""
    done = {each.name for each in status.stages if each.state == "Done"}.union(results)
    return next((stage for stage in spec.run.stages if stage not in done), None)


def end_lags(observed: Observed, stage: Stage, status: FineTuneStatus) -> bool:
    """Whether a stage's Job or JobSet is seen to have ended, and not all that ended it: each kind has a watch of its own.

    What the last pod said is told once, when the stage ends, so it must not be missed for being on its way. Pods that were
    removed unseen, and those that a failed JobSet still stops, look the same: to read them once more costs little.

    Args:
        observed: what was seen.
        stage: the one that is due.
        status: what is remembered of pods that are gone.
    """
    job = observed.jobs.get(stage)
    finish = None if job is None else finish_of(job)
    if job is None or finish is None:
        return False
    children = observed.children.get(stage, ())
    if finish[0] == "failed" and children and not any(finish_of(child) for child in children):
        return True
    pods = observed.pods.get(stage, ())
    ended = {name_of(pod) for pod in pods if has_ended(pod)}
    known = status.of_stage(stage)
    gone = {attempt.pod for attempt in known.attempts if attempt.finished is not None}
    told = job.get("status") or {}
    counted = int(told.get("failed") or 0) + int(told.get("succeeded") or 0)
    return len(ended) < len(pods) or len(ended | gone) + known.attempts_before < counted


def _stage_of(found: Object, uid: str) -> Stage | None:
    labels = found["metadata"].get("labels") or {}
    if labels.get(UID_LABEL) != uid:
        return None
    stage = labels.get(STAGE_LABEL)
    return next((each for each in STAGES if each == stage), None)


def _newest(found: Sequence[Object]) -> Object:
    return max(found, key=lambda each: str(each["metadata"].get("creationTimestamp") or ""))
