"""Greedy answers, batched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from serin.core.conversation import Conversation
from serin.lm.chat import render_prompt, stop_token_ids


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said; ``stopped`` is whether it ended its turn by itself."""

    text: str
    tokens: int
    stopped: bool


@torch.no_grad()
def answer_all(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    conversations: Sequence[Conversation],
    max_new_tokens: int,
    batch_size: int,
    on_done: Callable[[int], None] = lambda _: None,
) -> list[Answer]:
    """Answer the prompt of each conversation, greedily; ``on_done`` hears how many are finished.

    Prompts of like length share a batch, so that little is padded; answers come back in the order of the questions.
    """
    prompts = [render_prompt(tokenizer, c.prompt, c.tools) for c in conversations]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    answers: dict[int, Answer] = {}
    stops = stop_token_ids(tokenizer, model.generation_config)
    padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(stops)
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
        for i, generated in zip(rows, output[:, ids.shape[1] :].tolist(), strict=True):
            end = next((k for k, token in enumerate(generated) if token in stops), None)
            tokens = generated[:end]
            text = tokenizer.decode(tokens, skip_special_tokens=True)
            answers[i] = Answer(str(text).strip(), len(tokens), stopped=end is not None)
        on_done(len(answers))
    return [answers[i] for i in range(len(prompts))]


def _padded_left(prompts: Sequence[Sequence[int]], padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask, rows x longest; what stands in the padding is masked."""
    longest = max(len(prompt) for prompt in prompts)
    ids = [[padding] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids), torch.tensor(mask)
