"""The sets of questions that every model answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serin.clients.files import read_jsonl
from serin.core.conversation import Conversation
from serin.core.errors import ConfigError
from serin.core.params import EvaluateParams
from serin.evaluate.forgetting.general import load_general, without_trained
from serin.evaluate.safety.red_team import load_red_team

WITH_REFERENCES = ("test", "control", "general")


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked."""

    sets: Mapping[str, list[Conversation]]
    """By name: ``test`` and ``control`` of the dataset, ``general`` and ``red_team``; an empty set is left out."""
    trained: tuple[str, ...]
    """Ids of general questions that are left out, since the train split asks them."""


def load_questions_of(params: EvaluateParams, dataset: Path) -> Questions:
    """Read every set.

    Raises:
        ConfigError: no test question, or a file of questions that is missing.
        InputError: a damaged file.
    """
    test, control = (
        [Conversation.from_dict(r) for r in read_jsonl(dataset / f"{s}.jsonl")] for s in ("test", "control")
    )
    if not test:
        raise ConfigError(
            f"{dataset} has no test questions, so nothing can be judged: set prepare.split.test above 0, and run prepare"
        )
    train = (Conversation.from_dict(record) for record in read_jsonl(dataset / "train.jsonl"))
    general, trained = without_trained(load_general(params.forgetting.general), train)
    found = {"test": test, "control": control, "general": general, "red_team": load_red_team(params.safety.red_team)}
    return Questions({name: questions for name, questions in found.items() if questions}, tuple(trained))
