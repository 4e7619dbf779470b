"""What a run has measured of itself: a record a step, and one an evaluation. Checkpoints carry it whole."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One optimizer step; ``loss`` in nats a trained token, before the update."""

    step: int
    epoch: float
    loss: float
    learning_rate: float
    grad_norm: float
    """Of the whole gradient, before it is shortened."""
    tokens: int
    """All tokens of the step; none is padding."""
    trained_tokens: int
    """Those that the loss is taken on."""


@dataclass(frozen=True, slots=True)
class ValidationRecord:
    """The loss on the validation split after ``step`` steps, in nats a trained token."""

    step: int
    epoch: float
    loss: float
    trained_tokens: int


@dataclass(slots=True)
class History:
    """Records in order; appended to as training goes on."""

    steps: list[StepRecord] = field(default_factory=list)
    validations: list[ValidationRecord] = field(default_factory=list)

    @property
    def best(self) -> ValidationRecord | None:
        """The evaluation with the lowest loss, the earliest of equals; None before the first."""
        return min(self.validations, key=lambda v: (v.loss, v.step), default=None)

    def as_dict(self) -> dict[str, Any]:
        """A JSON value that ``from_dict`` reads back, float for float."""
        return {"steps": [asdict(s) for s in self.steps], "validations": [asdict(v) for v in self.validations]}

    @classmethod
    def from_dict(cls, value: Mapping[str, Sequence[Mapping[str, Any]]]) -> "History":
        """Read what ``as_dict`` made."""
        return cls(
            [StepRecord(**record) for record in value["steps"]],
            [ValidationRecord(**record) for record in value["validations"]],
        )
