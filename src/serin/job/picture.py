"""How a run stands at this moment, in the few words that fit beside a bar. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from serin.job.wording import condition_line, current_attempt, phase_of, progress_parts, time_of

_NOT_RUNNING = ("Accepted", "Admitted", "Running")
"""Conditions that say why nothing runs, the earliest cause first."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One moment of a FineTune."""

    name: str
    stage: str
    """The one that is due; empty before there is any."""
    done: int | None
    """Steps of training; None in the other stages, and before the first."""
    total: int | None
    figures: str
    """Loss, speed and time left, as far as they are known."""
    standing: str
    """What it is doing, where, or what it waits for."""
    since: datetime | None
    """When the attempt that runs began."""


def picture_of(finetune: Mapping[str, Any]) -> Picture:
    """How it stands, as its status says."""
    status = finetune.get("status") or {}
    stage = status.get("stage") or ""
    trains = stage == "train"
    attempt = current_attempt(status)
    return Picture(
        name=finetune["metadata"]["name"],
        stage=stage,
        done=status.get("step") if trains else None,
        total=status.get("steps") if trains else None,
        figures=", ".join(progress_parts(status)) if trains else "",
        standing=_standing(finetune, attempt),
        since=time_of(attempt.get("started")) if attempt else None,
    )


def _standing(finetune: Mapping[str, Any], attempt: Mapping[str, Any] | None) -> str:
    phase = phase_of(finetune)
    if phase == "Running" and attempt is not None:
        on = f" on {attempt['node']}" if attempt.get("node") else ""
        return f"running, attempt {attempt['number']}, {attempt['pod']}{on}"
    conditions = {one["type"]: one for one in (finetune.get("status") or {}).get("conditions") or []}
    waits = [
        conditions[kind] for kind in _NOT_RUNNING if conditions.get(kind, {}).get("status") in ("False", "Unknown")
    ]
    return f"{phase.lower()}, {condition_line(waits[0])}" if waits else phase.lower()
