"""Which attempts at a stage there were: from the status, from storage and from the pods that are still there."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from serin.clients.storage import Storage
from serin.controller.jobs.names import STAGE_LABEL, job_name
from serin.core.errors import InputError, UsageError
from serin.core.task import STAGES, Stage, attempt_prefix, prefix_of
from serin.job.follow import state_of
from serin.job.ranks import PodLife, rank_in, together
from serin.job.wording import time_of


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a stage: one pod's work, or that of several that train together."""

    stage: Stage
    number: int
    """From 1."""
    pods: Mapping[int, str]
    """Names by rank."""
    prefix: str
    """Where in storage the stage leaves what it has to say."""

    @property
    def title(self) -> str:
        """For people."""
        if list(self.pods) == [0]:
            return f"{self.stage}, attempt {self.number}, {self.pods[0]}"
        named = ", ".join(f"rank {rank} {pod}" for rank, pod in self.pods.items())
        return f"{self.stage}, attempt {self.number}, {named}"


def attempts_at(
    finetune: Mapping[str, Any], stage: Stage, storage: Storage, pods: Sequence[Mapping[str, Any]]
) -> list[Attempt]:
    """The attempts at a stage, the first one first.

    Args:
        finetune: as the API server has it.
        stage: which.
        storage: of the run.
        pods: of the FineTune, of whatever stage.
    """
    metadata = finetune["metadata"]
    prefix = prefix_of(metadata["namespace"], metadata["name"], metadata["uid"], stage)
    job = job_name(metadata["name"], metadata["uid"], stage)
    state = state_of(finetune, stage)
    listed = {
        one["pod"]: (time_of(one.get("started")), time_of(one.get("finished"))) for one in state.get("attempts") or []
    }
    alive = {
        pod["metadata"]["name"]: (time_of(pod["metadata"].get("creationTimestamp")), None)
        for pod in sorted(pods, key=lambda one: str(one["metadata"].get("creationTimestamp")))
        if pod["metadata"].get("labels", {}).get(STAGE_LABEL) == stage
    }
    stored = _stored(storage, prefix)
    times = {**alive, **stored, **listed}
    lives = [PodLife(name, rank_in(name, job), *times[name]) for name in _in_order(stored, listed, alive)]
    groups = together(lives)
    unlisted = sum(not any(pod.name in listed or pod.name in alive for pod in group) for group in groups)
    before = max(0, state.get("attemptsBefore", 0) - unlisted)
    return [
        Attempt(stage, before + number, {pod.rank: pod.name for pod in group}, prefix)
        for number, group in enumerate(groups, 1)
    ]


def left_by(name: str, namespace: str, storage: Storage) -> dict[str, Any] | None:
    """What storage knows of a FineTune that was deleted, in the form of one: the last of its name. None where there was none."""
    run = re.compile(rf"runs/{re.escape(namespace)}/{re.escape(name)}-([0-9a-f]{{8}})/([a-z]+)/")
    last: dict[str, Any] = {}
    stages: dict[str, set[str]] = {}
    for file in storage.files(f"runs/{namespace}/{name}-"):
        if found := run.match(file.key):
            uid, stage = found.groups()
            last[uid] = max(last.get(uid, file.written), file.written)
            stages.setdefault(uid, set()).add(stage)
    if not last:
        return None
    newest = max(last, key=lambda uid: last[uid])
    metadata = {"name": name, "namespace": namespace, "uid": newest}
    return {"metadata": metadata, "spec": {"run": {"stages": [stage for stage in STAGES if stage in stages[newest]]}}}


def choose(found: Sequence[Attempt], wanted: str | None, stage: Stage) -> Attempt | None:
    """The attempt of that number, or that pod's part in its attempt, or the newest; None where there is none yet.

    Raises:
        UsageError: none of that number or name.
    """
    if wanted is None:
        return found[-1] if found else None
    for one in found:
        if wanted == str(one.number):
            return one
        if part := {rank: pod for rank, pod in one.pods.items() if pod == wanted}:
            return replace(one, pods=part)
    there = ", ".join(f"{one.number} ({', '.join(one.pods.values())})" for one in found) or "none yet"
    raise UsageError(f"--attempt {wanted}: {stage} has {there}")


def only_rank(attempt: Attempt, rank: int | None) -> Attempt:
    """What the pod of that rank did; all of it where none is named. Raises UsageError where the attempt has no such pod."""
    if rank is None:
        return attempt
    if rank not in attempt.pods:
        there = ", ".join(map(str, attempt.pods))
        raise UsageError(f"--rank {rank}: attempt {attempt.number} at {attempt.stage} has {there}")
    return replace(attempt, pods={rank: attempt.pods[rank]})


def stages_of(finetune: Mapping[str, Any]) -> list[Stage]:
    """The stages of a run in their order."""
    wanted = finetune["spec"]["run"].get("stages") or STAGES
    return [stage for stage in STAGES if stage in wanted]


def check_stage(finetune: Mapping[str, Any], stage: str) -> Stage:
    """The stage of that name. Raises InputError where the run has none of it."""
    found = next((one for one in stages_of(finetune) if one == stage), None)
    if found is None:
        raise InputError(
            f"{finetune['metadata']['name']} has no stage {stage}: it has {', '.join(stages_of(finetune))}"
        )
    return found


def _in_order(stored: Iterable[str], listed: Iterable[str], alive: Iterable[str]) -> list[str]:
    """Each once. What storage alone knows is older than what the status still lists, and a pod alone is the newest."""
    stored, listed, alive = list(stored), list(listed), list(alive)
    known = {*listed, *alive}
    return list(dict.fromkeys([*(name for name in stored if name not in known), *listed, *alive]))


def _stored(storage: Storage, prefix: str) -> dict[str, tuple[datetime, datetime]]:
    """The pods that left something, by when they began to; with that time, and when they left the last of it."""
    start = attempt_prefix(prefix, "")
    times: dict[str, tuple[datetime, datetime]] = {}
    for file in storage.files(start):
        name = file.key.removeprefix(start).partition("/")[0]
        first, last = times.get(name, (file.written, file.written))
        times[name] = min(first, file.written), max(last, file.written)
    return dict(sorted(times.items(), key=lambda found: (found[1][0], found[0])))
