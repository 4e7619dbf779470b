"""Metric ``preference``: which of two models' answers a judge likes better.

Judges favour a place: many name the first answer more often, whatever stands there (Zheng et al. 2023, arXiv 2306.05685). So
each pair is shown in both orders, and only a win in both counts as one.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from serin.clients.endpoint import Endpoint, Request, Usage
from serin.core.conversation import Conversation
from serin.core.grading import is_same_answer
from serin.core.params.evaluation import JudgeParams
from serin.evaluate.draw import draw
from serin.evaluate.judge.prompt import Reply, read_reply, request_comparison

_SHOWN_CHARS = 80
# Greedily, the same would be said again.
_TEMPERATURE_AGAIN = 0.7
_UNPAID = "the budget is spent: raise evaluate.judge.endpoint.max_requests or max_tokens"

Failure = Literal["nonsense", "failed"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models' answers to a question; ``question.reference`` is what the data says."""

    question: Conversation
    candidate: str
    other: str

    @property
    def is_same(self) -> bool:
        """Whether there is nothing to compare."""
        return is_same_answer(self.candidate, self.other)


@dataclass(frozen=True, slots=True)
class Judged:
    """What a judge made of pairs."""

    preferences: tuple[float | None, ...]
    """In the order of the pairs: 1 where the candidate won in both orders, 0 where it lost in both, else 0.5; None where the
    question was not drawn, or no verdict was to be had."""
    same: int
    """Of the questions drawn, those with the same answer twice: a tie that nobody was asked about."""
    flips: int
    """Those where another answer won once the order was changed; they count as ties."""
    wavered: int
    """Those with a win in one order and a tie in the other; they count as ties too."""
    nonsense: int
    """Those without a verdict because the judge twice said something other than A, B or tie."""
    unanswered: int
    """Those without a verdict because the endpoint failed, or the budget was spent."""
    first_named: int
    """How often the answer shown first was named, over all replies."""
    second_named: int
    """How often the one shown second was."""
    usage: Usage
    """What asking came to."""
    last_failure: str | None
    """Why the last verdict that is missing is missing."""
    missing: frozenset[int] = frozenset()
    """Which pairs were drawn and got no verdict."""

    @property
    def wins(self) -> int:
        """Questions that the candidate won in both orders."""
        return self.preferences.count(1.0)

    @property
    def ties(self) -> int:
        """Questions that nobody won in both orders, ``same``, ``flips`` and ``wavered`` among them."""
        return self.preferences.count(0.5)

    @property
    def losses(self) -> int:
        """Questions that the other model won in both orders."""
        return self.preferences.count(0.0)

    @property
    def flip_rate(self) -> float | None:
        """Share of ``flips`` in the pairs that got two replies; None where none did."""
        replied = self.wins + self.ties + self.losses - self.same
        return self.flips / replied if replied else None

    @property
    def first_share(self) -> float | None:
        """How often the first place won, of all replies that named one: 0.5 for a judge without a bias for a place."""
        named = self.first_named + self.second_named
        return self.first_named / named if named else None

    def as_dict(self) -> dict[str, Any]:
        """Counts, rates and usage, and nothing of single pairs."""
        counts = {name: value for name, value in asdict(self).items() if name not in ("preferences", "missing")}
        rates = {"flip_rate": self.flip_rate, "first_share": self.first_share}
        return {"wins": self.wins, "ties": self.ties, "losses": self.losses, **rates, **counts}


def judge_pairs(params: JudgeParams, endpoint: Endpoint, pairs: Sequence[Pair]) -> Judged:
    """Ask about ``params.questions`` of the pairs, drawn by the hash of their ids, each in both orders.

    A reply that is neither A, B nor tie is asked for once more, sampled with another seed. The same answer twice is a tie
    without asking.

    Raises:
        ConfigError: the endpoint refuses.
    """
    before = endpoint.usage
    drawn = draw([pair.question.id for pair in pairs], params.questions, "judge")
    compared = [i for i in drawn if not pairs[i].is_same]
    replies, last_failure = _ask(endpoint, requests_to_judge(params, [pairs[i] for i in compared]))
    preferences: dict[int, float | None] = {i: 0.5 for i in drawn if pairs[i].is_same}
    kinds: Counter[str] = Counter()
    for i, one, other in zip(compared, replies[::2], replies[1::2], strict=True):
        preferences[i], kind = _settle(one, other)
        kinds[kind] += 1
    return Judged(
        preferences=tuple(preferences.get(i) for i in range(len(pairs))),
        same=len(drawn) - len(compared),
        flips=kinds["flipped"],
        wavered=kinds["wavered"],
        nonsense=kinds["nonsense"],
        unanswered=kinds["failed"],
        first_named=replies.count("first"),
        second_named=replies.count("second"),
        usage=endpoint.usage.since(before),
        last_failure=last_failure,
        missing=frozenset(i for i in drawn if preferences[i] is None),
    )


def requests_to_judge(params: JudgeParams, pairs: Sequence[Pair]) -> list[Request]:
    """What is asked about pairs: of each with the candidate's answer first, then second. Also for ``Endpoint.plan``."""
    return [
        request_comparison(params, pair.question, *shown)
        for pair in pairs
        for shown in ((pair.candidate, pair.other), (pair.other, pair.candidate))
    ]


def _ask(endpoint: Endpoint, requests: Sequence[Request]) -> tuple[list[Reply | Failure], str | None]:
    """The reply to each request, and why the last one that is missing is missing."""
    said = endpoint.ask(requests)
    again = [i for i, text in enumerate(said) if text is not None and read_reply(text) is None]
    for i, text in zip(again, endpoint.ask([_redrawn(requests[i]) for i in again]), strict=True):
        said[i] = text
    replies: list[Reply | Failure] = []
    last_failure = (endpoint.last_failure or _UNPAID) if None in said else None
    for text in said:
        reply = "failed" if text is None else read_reply(text)
        if reply is None:
            assert text is not None
            last_failure = f"replied {text[:_SHOWN_CHARS]!r}, expected A, B or tie"
        replies.append(reply or "nonsense")
    return replies, last_failure


def _redrawn(request: Request) -> Request:
    return replace(request, temperature=_TEMPERATURE_AGAIN, seed=request.seed + 1)


def _settle(one: Reply | Failure, other: Reply | Failure) -> tuple[float | None, str]:
    """The preference for the candidate, shown first in ``one`` and second in ``other``, and how it came about."""
    for failure in ("failed", "nonsense"):
        if failure in (one, other):
            return None, failure
    if one == "tie" or other == "tie":
        return 0.5, "tied" if one == other else "wavered"
    if one == other:
        return 0.5, "flipped"
    return (1.0 if one == "first" else 0.0), "won"
