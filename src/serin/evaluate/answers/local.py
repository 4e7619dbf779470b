"""A model in this process: a folder in Hugging Face format, or an adapter on its base."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from serin.core.conversation import Conversation
from serin.core.errors import ConfigError
from serin.evaluate.answers.answerer import RunTasks
from serin.evaluate.metrics.metric import Scores
from serin.lm.adapted import is_trained_on_nf4, load_adapted
from serin.lm.chat import render_examples
from serin.lm.device import compute_dtype, default_device
from serin.lm.generate import Answer, answers_as_they_come
from serin.lm.load import load_model, load_stops, load_tokenizer
from serin.lm.score import Likelihood, likelihood_of_each

_SCORED_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that can be computed with, and its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    stops: frozenset[int]


class LocalModel:
    """Computed with transformers: in float32 on a CPU, in bfloat16 on a GPU, as training and serving do by default."""

    def __init__(
        self, folder: Path, digest: str, max_new_tokens: int, batch_size: int, adapter: Path | None = None
    ) -> None:
        """``folder`` is the base where there is an ``adapter``; ``digest`` is that of what is evaluated."""
        self._folder, self._digest, self._adapter = folder, digest, adapter
        self._max_new_tokens, self._batch_size = max_new_tokens, batch_size
        self._loaded: Loaded | None = None

    @property
    def identity(self) -> dict[str, str | int]:
        """Not the batch size, which only says how they are computed."""
        device = default_device()
        dtype = str(compute_dtype("auto", device)).removeprefix("torch.")
        return {
            "model": self._digest,
            "by": f"transformers {dtype} {device.type}",
            "max_new_tokens": self._max_new_tokens,
        }

    def load(self) -> Loaded:
        """Load it, if it is not. Raises ConfigError where it cannot be."""
        if self._loaded is None:
            dtype = compute_dtype("auto", default_device())
            own = self._folder
            if self._adapter is not None:
                model = load_adapted(self._folder, self._adapter, is_trained_on_nf4(self._adapter), dtype)
                own = self._adapter if (self._adapter / "tokenizer.json").is_file() else self._folder
                whole: PreTrainedModel = model.get_base_model()  # the layers of the adapter are in it
            else:
                whole = load_model(self._folder, dtype)
            if bad := next((name for name, w in whole.named_parameters() if not _is_finite(w)), None):
                raise ConfigError(
                    f"{self._adapter or self._folder}: {bad} holds values that are not finite; what it would say means nothing, "
                    "so make the model again"
                )
            tokenizer = load_tokenizer(own)
            self._loaded = Loaded(whole, tokenizer, load_stops(self._folder, tokenizer))
        return self._loaded

    def answers(self, questions: Sequence[Conversation]) -> Iterator[tuple[int, Answer]]:
        """Each question's index and its greedy answer, as they come."""
        loaded = self.load()
        return answers_as_they_come(loaded.model, loaded.tokenizer, questions, self._max_new_tokens, self._batch_size)

    def likelihoods(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Likelihood]]:
        """Each conversation's index and how likely its last assistant turn is."""
        loaded = self.load()
        for start in range(0, len(conversations), _SCORED_AT_ONCE):
            part = conversations[start : start + _SCORED_AT_ONCE]
            # Where each turn is an example of its own, the last one is the answer that is asked for.
            examples = [render_examples(loaded.tokenizer, c, loaded.stops)[-1] for c in part]
            yield from enumerate(likelihood_of_each(loaded.model, examples), start)

    def score_tasks(self, run: RunTasks) -> Mapping[str, Scores]:
        """What ``run`` makes of the model, by task."""
        loaded = self.load()
        return run(loaded.model, loaded.tokenizer, self._batch_size)

    def close(self) -> None:
        """Forget the weights."""
        self._loaded = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _is_finite(weight: torch.Tensor) -> bool:
    """NF4's packed bytes always are."""
    return not weight.is_floating_point() or bool(torch.isfinite(weight).all())
