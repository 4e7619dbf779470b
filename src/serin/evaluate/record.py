"""``answers.jsonl``: one line a question, with what each model said and how that was scored."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from serin.core.conversation import Conversation
from serin.evaluate.compare.slices import slices_of
from serin.evaluate.metrics.metric import Scores
from serin.evaluate.scoring import Answered


def lines_of(
    name: str,
    answered: Mapping[str, Answered],
    scores: Mapping[str, Mapping[str, Scores]],
    fields: Sequence[str],
) -> Iterator[dict[str, Any]]:
    """The lines of the set ``name``; ``answered`` and ``scores`` are by model, ``fields`` are the slices."""
    questions = answered["candidate"].questions
    for i, (question, slices) in enumerate(zip(questions, slices_of(questions, fields), strict=True)):
        yield {
            "set": name,
            "id": question.id,
            "group": str(question.meta.get("group", question.id)),
            "slices": slices,
            "question": _asked(question),
            "reference": question.reference,
            "models": {
                model: {
                    "text": by.answers[i].text,
                    "tokens": by.answers[i].tokens,
                    "stopped": by.answers[i].stopped,
                    "scores": {metric: found.values[i] for metric, found in scores[model].items()},
                }
                for model, by in answered.items()
            },
        }


def _asked(question: Conversation) -> str:
    """What the model was given: the user's turn, or where there were more all of them with their roles."""
    if len(question.prompt) == 1:
        return question.prompt[0].content
    return "\n\n".join(f"{turn.role}: {turn.content}" for turn in question.prompt)
