"""What a FineTune's status says, in words and rows. The status is the controller's; nothing is concluded from its absence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

HEADERS = ("NAME", "PHASE", "STAGE", "STEP", "LOSS", "GPU TIME", "QUEUE", "AGE")
ENDED = ("Succeeded", "Failed")
_UNSEEN = "Unseen"
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


@dataclass(frozen=True, slots=True)
class Row:
    """One FineTune in ``serin job list``."""

    name: str
    phase: str
    stage: str
    step: str
    loss: str
    gpu_time: str
    queue: str
    age: str

    def cells(self) -> tuple[str, ...]:
        """In the order of ``HEADERS``."""
        return (self.name, self.phase, self.stage, self.step, self.loss, self.gpu_time, self.queue, self.age)


def row_of(finetune: Mapping[str, Any], now: datetime) -> Row:
    """One FineTune at ``now``; what is not known is a hyphen."""
    status = finetune.get("status") or {}
    placement = finetune["spec"]["run"].get("placement") or {}
    loss = status.get("loss")
    return Row(
        name=finetune["metadata"]["name"],
        phase=phase_of(finetune),
        stage=status.get("stage") or "-",
        step=_steps(status) or "-",
        loss="-" if loss is None else f"{loss:.3f}",
        gpu_time=gpu_time(status.get("gpuSeconds", 0.0)),
        queue=placement.get("queue") or "-",
        age=_age(finetune, now),
    )


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns side by side, two spaces between them."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def phase_of(finetune: Mapping[str, Any]) -> str:
    """The phase, or ``Unseen`` before a controller has looked at it."""
    return str((finetune.get("status") or {}).get("phase") or _UNSEEN)


def described(finetune: Mapping[str, Any], now: datetime) -> list[str]:
    """All that is known of one FineTune, and what can be done next."""
    status, metadata = finetune.get("status") or {}, finetune["metadata"]
    spec = finetune["spec"]
    placement = spec["run"].get("placement") or {}
    lines = [f"{metadata['name']}: {_headline(finetune)}", f"  {_asked(spec, placement)}, {_age(finetune, now)} old"]
    if progress := progress_line(status):
        lines.append(f"  {progress}")
    if stages := status.get("stages"):
        rows = [("STAGE", "STATE", "ATTEMPTS", "GPU TIME", "OUT"), *(_stage_row(stage) for stage in stages)]
        lines += ["", *table(rows)]
    attempts = [
        _attempt(stage, number, attempt)
        for stage in status.get("stages") or []
        for number, attempt in enumerate(stage.get("attempts") or [], stage.get("attemptsBefore", 0) + 1)
    ]
    if attempts:
        lines += ["", *table([("ATTEMPT", "POD", "NODE", "TOOK", "GPU TIME", "ENDED"), *attempts])]
    if told := [line for condition in status.get("conditions") or [] if (line := condition_line(condition))]:
        lines += ["", *told]
    if missed := status.get("missed"):
        lines += ["", *(f"the gate missed: {rule}" for rule in missed)]
    return [*lines, "", f"GPU time: {gpu_time(status.get('gpuSeconds', 0.0))} over all attempts", *next_steps(finetune)]


def condition_line(condition: Mapping[str, Any]) -> str:
    """One condition as people say it; empty where it says nothing but its name."""
    state = {"True": "", "False": "not ", "Unknown": "not known whether "}[condition["status"]]
    told = f"{state}{_word(condition['type'])}: {condition['reason']}"
    return f"{told}: {condition['message']}" if condition.get("message") else told


def progress_line(status: Mapping[str, Any]) -> str:
    """Step, loss, speed and time left of training, as far as they are known; empty once another stage is due."""
    if status.get("stage") != "train":
        return ""
    steps = _steps(status)
    parts = [f"step {steps}"] if steps else []
    parts += progress_parts(status)
    return f"train: {', '.join(parts)}" if parts else ""


def progress_parts(status: Mapping[str, Any]) -> list[str]:
    """What training tells beside its step."""
    parts = []
    if (loss := status.get("loss")) is not None:
        parts.append(f"loss {loss:.3f}")
    if (speed := status.get("tokensPerS")) is not None:
        parts.append(f"{speed:,.0f} tokens/s")
    if (left := status.get("secondsLeft")) is not None:
        parts.append(f"{duration(left)} left")
    return parts


def current_attempt(status: Mapping[str, Any]) -> dict[str, Any] | None:
    """The newest attempt at the stage that is due, with its ``number`` from 1; None where none has begun."""
    stages: Sequence[Mapping[str, Any]] = status.get("stages") or []
    stage = next((one for one in stages if one["name"] == status.get("stage")), {})
    attempts = stage.get("attempts") or []
    if not attempts:
        return None
    return {**attempts[-1], "number": len(attempts) + stage.get("attemptsBefore", 0)}


def next_steps(finetune: Mapping[str, Any]) -> list[str]:
    """What can be done now, as command lines."""
    name, status = finetune["metadata"]["name"], finetune.get("status") or {}
    phase = phase_of(finetune)
    if phase == _UNSEEN:
        return ["next: no controller has looked at it yet; is one running in this namespace?"]
    if phase == "Succeeded":
        revision = status.get("revision")
        return [f"next: serin deploy {revision}"] if revision else []
    if phase == "Failed":
        if status.get("exitCode") == 3:
            return [f"next: serin job logs {name} --stage evaluate, or look at the evaluation in storage"]
        return [f"next: serin job logs {name}; then mend the cause, 'serin job delete {name}', and submit it again"]
    if finetune["spec"].get("suspend"):
        return [f"next: serin job resume {name}"]
    return [f"next: serin job follow {name}, or serin job stop {name}"]


def gpu_time(seconds: float) -> str:
    """GPU-seconds, as long as that is readable."""
    return "-" if not seconds else duration(seconds)


def duration(seconds: float) -> str:
    """The two largest units of a time: ``42s``, ``5m10s``, ``3h05m``, ``2d04h``."""
    whole = max(0, round(seconds))
    if whole < _MINUTE_S:
        return f"{whole}s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S}m{whole % _MINUTE_S:02d}s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S}h{whole % _HOUR_S // _MINUTE_S:02d}m"
    return f"{whole // _DAY_S}d{whole % _DAY_S // _HOUR_S:02d}h"


def time_of(text: str | None) -> datetime | None:
    """RFC 3339, UTC where it does not say."""
    if text is None:
        return None
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _headline(finetune: Mapping[str, Any]) -> str:
    phase, status = phase_of(finetune), finetune.get("status") or {}
    if phase == "Succeeded" and status.get("revision"):
        return f"succeeded, {status['revision']} is published"
    if phase == "Failed":
        return f"failed in {status.get('stage') or 'its inputs'}, exit code {status.get('exitCode', 1)}"
    stage = f" in {status['stage']}" if status.get("stage") and phase not in ENDED else ""
    return f"{phase.lower()}{stage}"


def _asked(spec: Mapping[str, Any], placement: Mapping[str, Any]) -> str:
    stages = spec["run"].get("stages") or ["train", "merge", "evaluate", "publish"]
    queue = f", queue {placement['queue']}" if placement.get("queue") else ""
    return f"{' -> '.join(stages)}{queue}, image {placement.get('image', '-')}"


def _stage_row(stage: Mapping[str, Any]) -> tuple[str, ...]:
    count = len(stage.get("attempts") or []) + stage.get("attemptsBefore", 0)
    seconds = stage.get("gpuSeconds", 0.0)
    return (stage["name"], stage.get("state", "Waiting"), str(count), gpu_time(seconds), stage.get("out") or "-")


def _attempt(stage: Mapping[str, Any], number: int, attempt: Mapping[str, Any]) -> tuple[str, ...]:
    """Of nodes that train together the first pod stands for all."""
    took = _seconds(attempt.get("started"), attempt.get("finished"))
    code = attempt.get("exitCode")
    ended = attempt.get("reason") or ("-" if attempt.get("finished") is None else "ended")
    return (
        f"{stage['name']} {number}",
        attempt["pod"],
        attempt.get("node") or "-",
        "-" if took is None else duration(took),
        "-" if took is None else gpu_time(took * attempt.get("gpus", 0)),
        ended if code is None else f"{ended}, exit code {code}",
    )


def _steps(status: Mapping[str, Any]) -> str:
    step, steps = status.get("step"), status.get("steps")
    if step is None:
        return ""
    return f"{step}/{steps}" if steps is not None else str(step)


def _age(finetune: Mapping[str, Any], now: datetime) -> str:
    created = time_of(finetune["metadata"].get("creationTimestamp"))
    return "-" if created is None else duration((now - created).total_seconds())


def _seconds(started: str | None, finished: str | None) -> float | None:
    begin, end = time_of(started), time_of(finished)
    return None if begin is None or end is None else (end - begin).total_seconds()


def _word(kind: str) -> str:
    """``GatePassed`` as ``gate passed``."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in kind).strip()
