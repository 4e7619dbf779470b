"""From one look at a FineTune to the next: what is new, and whether it has ended. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from serin.core.errors import FinalError
from serin.job.wording import ENDED, condition_line, current_attempt, phase_of, progress_line

_UNSEEN_AFTER_S = 30.0
_PROGRESS_EVERY_S = 10.0
_TOLD_AT_THE_END = ("Succeeded", "Failed")
_ECHOES = (("True", "Running"), ("False", "Failed"), ("False", "Done"))
"""Status and reason of conditions that repeat what the stages' states, or the last line, say."""


@dataclass(frozen=True, slots=True)
class View:
    """What was shown until now."""

    uid: str = ""
    conditions: tuple[tuple[str, str, str, str], ...] = ()
    """Type, status, reason and message of each that was told."""
    states: tuple[tuple[str, str], ...] = ()
    """Of each stage."""
    progress: str = ""
    progress_at: datetime | None = None
    since: datetime | None = None
    """Of the first look."""
    told_unseen: bool = False
    exit_code: int | None = None
    """How it ended, as the stages' commands would have ended on this machine; None: it goes on."""


def look(view: View, finetune: Mapping[str, Any], now: datetime, tells_progress: bool = True) -> tuple[View, list[str]]:
    """The view after one more look, and the lines that are new.

    Args:
        view: before.
        finetune: as the API server has it.
        now: the time.
        tells_progress: with a line for it every ten seconds; false where it is shown otherwise.

    Raises:
        FinalError: the name means another object now: the one that was followed has been deleted.
    """
    metadata, status = finetune["metadata"], finetune.get("status") or {}
    name, uid = metadata["name"], metadata["uid"]
    if view.uid and view.uid != uid:
        raise FinalError(f"{name} was deleted and made anew while it was followed: follow the new one, if it is yours")
    lines: list[str] = []
    view = replace(view, uid=uid, since=view.since or now)
    if not status and not view.told_unseen and view.since and (now - view.since).total_seconds() >= _UNSEEN_AFTER_S:
        lines.append(f"{name}: no controller has looked at it yet; is one running in {metadata.get('namespace')}?")
        view = replace(view, told_unseen=True)
    states = tuple((stage["name"], stage.get("state", "Waiting")) for stage in status.get("stages") or [])
    for stage, state in states:
        if (stage, state) not in view.states and state != "Waiting":
            lines.append(f"{stage}: {state.lower()}{_attempt(status, stage, state)}")
    conditions = tuple(
        (one["type"], one["status"], one["reason"], one.get("message", "")) for one in status.get("conditions") or []
    )
    told = set(view.conditions)
    lines += [
        f"  {condition_line(one)}"
        for one, key in zip(status.get("conditions") or [], conditions, strict=True)
        if key not in told and key[0] not in _TOLD_AT_THE_END and key[1:3] not in _ECHOES
    ]
    view = replace(view, states=states, conditions=conditions)
    progress = progress_line(status) if tells_progress else ""
    due = view.progress_at is None or (now - view.progress_at).total_seconds() >= _PROGRESS_EVERY_S
    if progress and progress != view.progress and due:
        lines.append(progress)
        view = replace(view, progress=progress, progress_at=now)
    if phase_of(finetune) in ENDED:
        view = replace(view, exit_code=exit_code_of(finetune))
    return view, lines


def exit_code_of(finetune: Mapping[str, Any]) -> int:
    """Of a FineTune that has ended: the run's own, 0 where it succeeded, and 1 where it failed before anything ran."""
    status = finetune.get("status") or {}
    if status.get("phase") == "Succeeded":
        return 0
    return int(status.get("exitCode") or 1)


def ending_line(finetune: Mapping[str, Any]) -> str:
    """How it ended, in one line."""
    name, status = finetune["metadata"]["name"], finetune.get("status") or {}
    if status.get("phase") == "Succeeded":
        made = status.get("revision") or ", ".join(
            f"{stage['name']} {stage['out']}" for stage in status.get("stages") or [] if stage.get("out")
        )
        return f"{name} succeeded: {made}"
    failed = next((one for one in status.get("conditions") or [] if one["type"] == "Failed"), None)
    why = f"{failed['reason']}: {failed.get('message', '')}".rstrip(": ") if failed else "no reason was given"
    return f"{name} failed: {why}; 'serin job logs {name}' has what it printed"


def _attempt(status: Mapping[str, Any], name: str, state: str) -> str:
    attempt = current_attempt(status) if status.get("stage") == name and state == "Running" else None
    return f" (attempt {attempt['number']}, {attempt['pod']})" if attempt else ""
