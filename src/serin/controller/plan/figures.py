"""What a status tells in figures: attempts and their GPU-seconds, and how far training is."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from serin.controller.accounting import account
from serin.controller.jobs.pod import gpus_of, resources_of
from serin.controller.objects import true_condition
from serin.controller.observed import Observed
from serin.core.resources.finetune import FineTuneSpec, StageState, StageStatus


def counted(spec: FineTuneSpec, known: StageStatus, observed: Observed, now: datetime) -> StageStatus:
    """A stage's record with what its pods tell of their attempts."""
    placement, stage = spec.run.placement, known.name
    job, workload = observed.jobs.get(stage), observed.workloads.get(stage)
    of_job = [job and true_condition(job, type_) for type_ in ("Suspended", "Complete", "Completed", "Failed")]
    evicted = workload and true_condition(workload, "Evicted")
    ends = [str(found.get("lastTransitionTime")) for found in (*of_job, evicted) if found]
    after = account(
        known,
        observed.pods.get(stage, ()),
        gpus=gpus_of(placement, stage) * (placement.nodes if stage == "train" else 1),
        memory_limit=resources_of(placement, stage).memory,
        ends=ends,
        gone_for="Suspended" if spec.suspend else "Preempted" if evicted else "Deleted",
        now=now,
    )
    first = min((attempt.started for attempt in after.attempts if attempt.started), default=None)
    return after.model_copy(update={"started": known.started or first})


def figures(progress: Mapping[str, Any] | None, state: StageState) -> dict[str, Any]:
    """Fields of the status out of ``progress.json``; the last figures stay, and only what runs has a speed and time left."""
    told = progress or {}
    found: dict[str, Any] = {
        field: _number(told.get(field)) if state == "Running" else None for field in ("tokens_per_s", "seconds_left")
    }
    for field in ("step", "steps"):
        if (number := _number(told.get(field))) is not None:
            found[field] = int(number)
    if (loss := _number(told.get("loss"))) is not None:
        found["loss"] = loss
    return found


def _number(value: object) -> float | None:
    """JSON as others wrote it: a loss that is not a number is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
