"""Which records are made, in which order, and what that came to."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal

from serin.clients.endpoint import Endpoint, Request, Usage
from serin.core.conversation import Conversation
from serin.core.errors import ConfigError
from serin.core.params import AugmentParams
from serin.prepare.augment.documents import find_documents, read_passages
from serin.prepare.augment.frames import choose_frames, frames_for
from serin.prepare.augment.paraphrases import LONGEST_CHARS, read_paraphrases, request_paraphrases
from serin.prepare.augment.questions import read_questions, request_questions

Kind = Literal["rules", "paraphrase", "questions"]
KINDS: tuple[Kind, ...] = ("rules", "paraphrase", "questions")

# Records whose requests are sent together: enough to keep the endpoint busy, and few to hold.
_TOGETHER = 256
# Where the first question is less of what the users say, its paraphrase would leave a near duplicate.
_LEAST_SHARE_OF_FIRST_TURN = 0.5


class Augmented:
    """The records as they are made, and what that came to; see ``augment``."""

    def __init__(
        self, params: AugmentParams, train: Iterable[Conversation], endpoint: Endpoint | None, dry_run: bool
    ) -> None:
        self._params = params
        self._train = train
        self._endpoint = endpoint
        self._dry_run = dry_run
        self._before = endpoint.usage if endpoint is not None else Usage()
        self._planned = Usage()
        self._generated: Counter[Kind] = Counter()
        self._documents = find_documents(params.documents)  # before anything is paid for
        self.records = self._make()
        """Raw records, made as they are taken: those of each train record in turn, then those of the documents."""

    def report(self) -> dict[str, Any]:
        """The section ``augmentation`` of ``quality.json``, whole once ``records`` are exhausted."""
        usage = self._planned
        if self._endpoint is not None and not self._dry_run:
            usage = self._endpoint.usage.since(self._before)
        return {
            "generated": {kind: self._generated[kind] for kind in KINDS},
            "requests": usage.requests,
            "cached": usage.cached,
            "failed": usage.failed,
            "tokens": usage.tokens,
            "unasked": usage.unasked,
            "dry_run": self._dry_run,
        }

    def _make(self) -> Iterator[dict[str, Any]]:
        originals = (c for c in self._train if "augmented" not in c.meta and c.user_text)
        if self._params.rules or self._params.paraphrases:
            while some := list(islice(originals, _TOGETHER)):
                paraphrases = self._paraphrases_of(some)
                for conversation in some:
                    yield from self._counted("rules", self._variants_of(conversation))
                    yield from self._counted("paraphrase", paraphrases.get(conversation.id, []))
        passages = (
            passage for document in self._documents for passage in read_passages(document, self._params.passage_chars)
        )
        while few := list(islice(passages, _TOGETHER)):
            yield from self._counted("questions", self._questions_about(few))

    def _counted(self, kind: Kind, records: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for record in records:
            self._generated[kind] += 1
            yield record

    def _variants_of(self, conversation: Conversation) -> Iterator[dict[str, Any]]:
        if conversation.language not in ("en", "zh"):
            return
        language: Literal["en", "zh"] = "en" if conversation.language == "en" else "zh"
        question = _first_question(conversation)
        frames = frames_for(question, language, len(conversation.user_text))
        for frame in choose_frames(frames, self._params.rules, self._params.seed, conversation.id):
            made = {"by": "rules", "of": conversation.id, "rule": frame.name}
            yield _asked_as(frame.around(question, language), conversation, made)

    def _paraphrases_of(self, conversations: Sequence[Conversation]) -> dict[str, list[dict[str, Any]]]:
        """Records by the id of their parent."""
        count = self._params.paraphrases
        if not count or self._endpoint is None:
            return {}
        questions = {c.id: (c, _first_question(c)) for c in conversations if _may_be_paraphrased(c)}
        answers = self._ask([request_paraphrases(q, count, self._params.seed) for _, q in questions.values()])
        made = {"by": "paraphrase", "model": self._endpoint.model}
        return {
            of: [
                _asked_as(text, conversation, {**made, "of": of}) for text in read_paraphrases(answer, question, count)
            ]
            for (of, (conversation, question)), answer in zip(questions.items(), answers, strict=True)
        }

    def _questions_about(self, passages: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
        if self._endpoint is None:
            return
        count = self._params.questions_a_passage
        answers = self._ask([request_questions(text, count, self._params.seed) for _, text in passages])
        for (of, _), answer in zip(passages, answers, strict=True):
            for asked, answered in read_questions(answer, count):
                turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
                made = {"by": "questions", "of": of, "model": self._endpoint.model}
                yield {"messages": turns, "meta": {"augmented": made}}

    def _ask(self, requests: Sequence[Request]) -> list[str]:
        """An answer to each request, empty where there is none."""
        if self._endpoint is None:
            return [""] * len(requests)
        if self._dry_run:
            self._planned = self._endpoint.plan(requests, self._planned)
            return [""] * len(requests)
        return [answer or "" for answer in self._endpoint.ask(requests)]


def augment(
    params: AugmentParams, train: Iterable[Conversation], endpoint: Endpoint | None, dry_run: bool = False
) -> Augmented:
    """Raw records made from train conversations and documents, one by one as they are taken, always in the same order.

    Each has ``messages`` (and ``tools`` where its parent has them) and ``meta.augmented``: ``by`` (one of ``KINDS``), ``of``
    (the parent's id, or ``document:passage``), and ``rule`` or ``model``. Variants and paraphrases change the first
    question alone and keep the parent's ``group`` and ``language``; the language of questions from documents is left to be
    found. Records that are augmented themselves, languages without rules, and questions so long that a variant would stay a
    near duplicate are passed over.

    With ``dry_run`` nothing is sent: variants by rules are made, and the report says what the rest would cost at most.

    Raises:
        ConfigError: paraphrases or documents without an endpoint; or, as records are taken, the endpoint refuses.
        InputError: documents that are not there; or, as records are taken, one that cannot be read.
    """
    if endpoint is None and (params.paraphrases or params.documents):
        raise ConfigError("prepare.augment.paraphrases and documents need an endpoint: set prepare.endpoint.url")
    return Augmented(params, train, endpoint, dry_run)


def _first_question(conversation: Conversation) -> str:
    return next(message.content for message in conversation.messages if message.role == "user")


def _may_be_paraphrased(conversation: Conversation) -> bool:
    chars = len(_first_question(conversation))
    return chars <= LONGEST_CHARS and chars >= _LEAST_SHARE_OF_FIRST_TURN * len(conversation.user_text)


def _asked_as(question: str, parent: Conversation, made: dict[str, str]) -> dict[str, Any]:
    """The parent with another first question, as a raw record."""
    record = parent.as_dict()
    first = next(turn for turn in record["messages"] if turn["role"] == "user")
    first["content"] = question
    known = {name: parent.meta[name] for name in ("group", "language") if name in parent.meta}
    return {**record, "meta": {**known, "augmented": made}}
