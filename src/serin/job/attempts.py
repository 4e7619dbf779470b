"""Which attempts at a stage there were: from the status, from storage and from the pods that are still there."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serin.clients.storage import Storage
from serin.core.errors import InputError, UsageError
from serin.core.task import STAGES, Stage, attempt_prefix, prefix_of
from serin.job.follow import state_of

STAGE_LABEL = "serin.dev/stage"
UID_LABEL = "serin.dev/finetune-uid"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One pod's work at a stage."""

    stage: Stage
    number: int
    """From 1."""
    pod: str
    prefix: str
    """Where in storage the stage leaves what it has to say."""

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.stage}, attempt {self.number}, {self.pod}"


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
    state = state_of(finetune, stage)
    listed = [attempt["pod"] for attempt in state.get("attempts") or []]
    alive = [
        pod["metadata"]["name"]
        for pod in sorted(pods, key=lambda one: str(one["metadata"].get("creationTimestamp")))
        if pod["metadata"].get("labels", {}).get(STAGE_LABEL) == stage
    ]
    names = _in_order(_stored(storage, prefix), listed, alive)
    before = max(0, state.get("attemptsBefore", 0) - sum(name not in listed and name not in alive for name in names))
    return [Attempt(stage, before + number, name, prefix) for number, name in enumerate(names, 1)]


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
    """The attempt of that number or pod, or the newest; None where there is none yet.

    Raises:
        UsageError: none of that number or name.
    """
    if wanted is None:
        return found[-1] if found else None
    chosen = next((one for one in found if wanted in (str(one.number), one.pod)), None)
    if chosen is None:
        there = ", ".join(f"{one.number} ({one.pod})" for one in found) or "none yet"
        raise UsageError(f"--attempt {wanted}: {stage} has {there}")
    return chosen


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


def _stored(storage: Storage, prefix: str) -> list[str]:
    """Names of the attempts that left something, by when they began to."""
    start = attempt_prefix(prefix, "")
    first: dict[str, Any] = {}
    for file in storage.files(start):
        name = file.key.removeprefix(start).partition("/")[0]
        first[name] = min(first.get(name, file.written), file.written)
    return sorted(first, key=lambda name: (first[name], name))
