"""Greedy decoding that keeps its rows full: whoever has finished leaves, and whoever waits comes in.

In a plain batch every row computes until the longest answer ends. Here finished rows are taken out of the key-value cache, and
the next prompts are computed and laid beside the others, padded on the left (after Yu et al. 2022, Orca, OSDI, §4.1).
"""

import inspect
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.functional import pad
from transformers import DynamicCache, GenerationConfig, PreTrainedModel
from transformers.cache_utils import DynamicLayer

_FULL_ENOUGH = 0.75
"""New rows come in when fewer than this share of the places is taken: coming in costs a pass and a copy of the cache."""
_TAKEN = frozenset({"input_ids", "attention_mask", "position_ids", "past_key_values", "logits_to_keep"})
_CHANGES_THE_CHOICE = (
    *("repetition_penalty", "encoder_repetition_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size"),
    *("bad_words_ids", "suppress_tokens", "begin_suppress_tokens", "forced_bos_token_id", "forced_eos_token_id"),
    *("sequence_bias", "min_length", "min_new_tokens", "exponential_decay_length_penalty", "guidance_scale"),
)
_LEAVES_IT: tuple[Any, ...] = (None, 0, 1, 1.0, [], {})


@dataclass(slots=True)
class _Row:
    """One answer under way."""

    index: int
    tokens: list[int] = field(default_factory=list)


def decodes(model: PreTrainedModel) -> bool:
    """Whether ``decode_greedily`` knows this architecture and these settings: a cache of plain layers, and argmax alone."""
    generation = model.generation_config
    plain = all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)
    return plain and set(inspect.signature(model.forward).parameters) >= _TAKEN and _is_plain(generation)


def decode_greedily(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    stops: Collection[int],
    max_new_tokens: int,
    batch_size: int,
) -> Iterator[tuple[int, list[int]]]:
    """Each prompt's index and the tokens that follow it, with the one of ``stops`` that ended it, in the order of finishing."""
    waiting = deque(sorted(range(len(prompts)), key=lambda i: -len(prompts[i])))
    batch = _Rows(model)
    while waiting or batch.rows:
        if waiting and len(batch.rows) < max(1, _FULL_ENOUGH * batch_size):
            new = [waiting.popleft() for _ in range(min(len(waiting), batch_size - len(batch.rows)))]
            batch.come_in(new, [prompts[i] for i in new])
        else:
            batch.step()
        for row in batch.leave(stops, max_new_tokens):
            yield row.index, row.tokens


class _Rows:
    """The rows under way, and their cache: each layer's keys and values are (rows, heads, columns, width)."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.rows: list[_Row] = []
        self._model = model
        self._device = next(model.parameters()).device
        self._cache = DynamicCache(config=model.config)
        self._mask = torch.zeros(0, 0, dtype=torch.int64, device=self._device)
        self._last = torch.zeros(0, 1, dtype=torch.int64, device=self._device)

    def come_in(self, indices: Sequence[int], prompts: Sequence[Sequence[int]]) -> None:
        """Compute the prompts, and lay them beside the rows that are there."""
        longest = max(map(len, prompts))
        ids = torch.tensor([[0] * (longest - len(p)) + list(p) for p in prompts], device=self._device)
        mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=self._device)
        cache = DynamicCache(config=self._model.config)
        last = self._forward(ids, mask, (mask.cumsum(1) - 1).clamp(min=0), cache)
        if self.rows:
            columns = max(self._mask.shape[1], longest)
            for old, new in zip(_layers(self._cache), _layers(cache), strict=True):
                old.keys = torch.cat([_widened(old.keys, columns), _widened(new.keys, columns)])
                old.values = torch.cat([_widened(old.values, columns), _widened(new.values, columns)])
            self._mask = torch.cat([pad(m, (columns - m.shape[1], 0)) for m in (self._mask, mask)])
            self._last = torch.cat([self._last, last])
        else:
            self._cache, self._mask, self._last = cache, mask, last
        self.rows += [_Row(i) for i in indices]
        self._take(range(len(self.rows) - len(indices), len(self.rows)))

    def step(self) -> None:
        """One token more for every row."""
        self._mask = pad(self._mask, (0, 1), value=1)
        positions = self._mask.sum(1, keepdim=True) - 1
        self._last = self._forward(self._last, self._mask, positions, self._cache)
        self._take(range(len(self.rows)))

    def leave(self, stops: Collection[int], max_new_tokens: int) -> list[_Row]:
        """Take out the rows that have ended, and the columns that are padding in all others."""
        gone = [row for row in self.rows if row.tokens[-1] in stops or len(row.tokens) >= max_new_tokens]
        if gone:
            ended = {row.index for row in gone}
            kept = [i for i, row in enumerate(self.rows) if row.index not in ended]
            self.rows = [self.rows[i] for i in kept]
            if kept:
                chosen = torch.tensor(kept, device=self._device)
                mask = self._mask[chosen]
                first = int(mask.argmax(1).min())
                for layer in _layers(self._cache):
                    layer.keys, layer.values = (t[chosen][:, :, first:] for t in (layer.keys, layer.values))
                self._mask, self._last = mask[:, first:], self._last[chosen]
        return gone

    def _take(self, rows: range) -> None:
        tokens = self._last[rows.start :, 0].tolist()
        for i, token in zip(rows, tokens, strict=True):
            self.rows[i].tokens.append(token)

    def _forward(
        self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: DynamicCache
    ) -> torch.Tensor:
        """The likeliest next token of each row, (rows, 1)."""
        out: Any = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        likeliest: torch.Tensor = out.logits[:, -1:].float().argmax(-1)
        return likeliest


def _layers(cache: DynamicCache) -> list[Any]:
    """The layers, untyped: their keys and values are there once something was computed."""
    return list(cache.layers)


def _widened(tensor: torch.Tensor, columns: int) -> torch.Tensor:
    """Keys or values with zeros, which the mask hides, on the left up to ``columns``."""
    return pad(tensor, (0, 0, columns - tensor.shape[2], 0))


def _is_plain(generation: GenerationConfig | None) -> bool:
    return generation is None or all(getattr(generation, name, None) in _LEAVES_IT for name in _CHANGES_THE_CHOICE)
