"""What the loop tells whoever watches it."""

from dataclasses import dataclass
from typing import Literal, Protocol

from serin.train.history import History, StepRecord, ValidationRecord

Phase = Literal["training", "evaluating", "saving"]
Ending = Literal["finished", "preempted", "failed"]


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What is known of a run before its first step."""

    key: str
    """The run's identity, 64 hex digits: what it learns from and how."""
    attempt: int
    """1 at the first start, one more at each that goes on from a checkpoint."""
    start_step: int
    """The step that this attempt goes on from, 0 for a fresh start."""
    steps: int
    """All optimizer steps, unless training stops early."""
    params: dict[str, object]
    """The resolved ``train`` section."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast this attempt runs. None of it stands in an output that is hashed."""

    tokens_per_s: float
    """Tokens that are no padding, over the last steps."""
    seconds_left: float
    """For the steps that remain, evaluations included as far as they are known."""
    micro_batch_size: int


class Watcher(Protocol):
    """Hears of a run as it goes. A watcher that fails is told of and left out; it never stops the run."""

    def started(self, run: RunInfo, history: History) -> None:
        """Before the first step; ``history`` is what a run that goes on has behind it, empty otherwise."""

    def entered(self, phase: Phase, step: int) -> None:
        """The run now trains, evaluates or saves."""

    def stepped(self, record: StepRecord, speed: Speed) -> None:
        """An optimizer step was done."""

    def validated(self, record: ValidationRecord, best: bool) -> None:
        """An evaluation was done; ``best`` is whether its loss is the lowest so far."""

    def noted(self, message: str) -> None:
        """Something that people should know, such as a micro-batch that was halved."""

    def ended(self, how: Ending, message: str) -> None:
        """The last call."""
