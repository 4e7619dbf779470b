"""What can be asked: a model in this process, or one behind an endpoint."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from serin.core.conversation import Conversation
from serin.evaluate.metrics.metric import Scores
from serin.lm.generate import Answer
from serin.lm.score import Likelihood

RunTasks = Callable[[PreTrainedModel, PreTrainedTokenizerBase, int], Mapping[str, Scores]]
"""Scores of each document of tasks, given a model, its tokenizer and how many documents to take at once."""


class Answerer(Protocol):
    """One model. It is loaded at the first question, so one whose answers are all kept costs nothing."""

    @property
    def identity(self) -> dict[str, str | int]:
        """What its answers depend on, for the answers that are kept: digests and settings."""

    def answers(self, questions: Sequence[Conversation]) -> Iterator[tuple[int, Answer]]:
        """Each question's index and its greedy answer, as they come."""

    def likelihoods(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Likelihood]]:
        """Each conversation's index and how likely its last assistant turn is; nothing where it cannot tell."""

    def score_tasks(self, run: RunTasks) -> Mapping[str, Scores]:
        """What ``run`` makes of the model itself, by task; nothing where it is not in this process."""

    def close(self) -> None:
        """Give back what it holds."""
