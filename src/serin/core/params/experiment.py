"""Section ``experiment``: what several revisions are compared by, and how sure a winner has to be."""

from typing import Literal

from pydantic import Field, model_validator

from serin.core.params.section import Section

Goal = Literal["error", "feedback", "ttft"]


class ExperimentParams(Section):
    """``serin experiment``: several revisions beside stable at fixed shares of the users."""

    goal: Goal = "feedback"
    """In what the winner has to beat all others: bad feedback, failed requests or slow first tokens."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """Chance of naming a winner that does not beat all others; likewise that some interval of a column misses."""
    margin: float = Field(default=0.0, ge=0, lt=1)
    """The winner has to be better by more than this, as a difference of shares."""
    warmup_s: float = Field(default=60.0, ge=0)
    """Users who come this early are not counted, in any arm."""
    horizon_s: float = Field(default=600.0, gt=0)
    """How long after its assignment a user's outcome stays open for feedback."""
    feedback_bad_below: float = Field(default=0.5, gt=0, le=1)
    """A feedback score below this is bad."""
    slow_after_s: float | None = Field(default=None, gt=0)
    """A first token that comes later is slow; null: first tokens are not compared."""

    @property
    def metrics(self) -> list[Goal]:
        """What is compared, the goal among it."""
        always: list[Goal] = ["error", "feedback"]
        return always if self.slow_after_s is None else [*always, "ttft"]

    @model_validator(mode="after")
    def _slow_is_defined_where_it_decides(self) -> "ExperimentParams":
        if self.goal not in self.metrics:
            raise ValueError("goal ttft needs slow_after_s: how late a first token is slow")
        return self
