"""Greedy answers, batched."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from serin.core.conversation import Conversation
from serin.lm.chat import render_prompt, stop_token_ids
from serin.lm.decode import decode_greedily, decodes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said; ``stopped`` is whether it ended its turn by itself."""

    text: str
    tokens: int
    stopped: bool


def answer_all(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    conversations: Sequence[Conversation],
    max_new_tokens: int,
    batch_size: int,
) -> list[Answer]:
    """Answer the prompt of each conversation, greedily; in the order of the questions."""
    found = dict(answers_as_they_come(model, tokenizer, conversations, max_new_tokens, batch_size))
    return [found[i] for i in range(len(conversations))]


@torch.no_grad()
def answers_as_they_come(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    conversations: Sequence[Conversation],
    max_new_tokens: int,
    batch_size: int,
) -> Iterator[tuple[int, Answer]]:
    """Each question's index and its greedy answer, as soon as there is one."""
    prompts = [render_prompt(tokenizer, c.prompt, c.tools) for c in conversations]
    stops = stop_token_ids(tokenizer, model.generation_config)
    if decodes(model):
        finished = decode_greedily(model, prompts, stops, max_new_tokens, batch_size)
    else:
        finished = _in_batches(model, tokenizer, prompts, stops, max_new_tokens, batch_size)
    for i, generated in finished:
        end = next((k for k, token in enumerate(generated) if token in stops), None)
        tokens = generated[:end]
        text = tokenizer.decode(tokens, skip_special_tokens=True)
        yield i, Answer(str(text).strip(), len(tokens), stopped=end is not None)


def _in_batches(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    stops: Collection[int],
    max_new_tokens: int,
    batch_size: int,
) -> Iterator[tuple[int, list[int]]]:
    """By transformers' own loop, for caches and settings that it alone knows; prompts of like length share a batch."""
    padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(stops)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        ids, mask = _padded_left([prompts[i] for i in rows], padding)
        output = model.generate(  # type: ignore[operator]  # typed as Tensor | Module by nn.Module.__getattr__
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=sorted(stops),
            pad_token_id=padding,
        )
        yield from zip(rows, output[:, ids.shape[1] :].tolist(), strict=True)


def _padded_left(prompts: Sequence[Sequence[int]], padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask, rows x longest; what stands in the padding is masked."""
    longest = max(len(prompt) for prompt in prompts)
    ids = [[padding] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids), torch.tensor(mask)
