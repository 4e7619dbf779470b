"""Greedy answers, batched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from serin.core.conversation import Conversation
from serin.lm.chat import render_prompt


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
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = tokenizer.pad({"input_ids": [prompts[i] for i in rows]}, padding_side="left", return_tensors="pt")
        output = model.generate(  # type: ignore[operator]  # typed as Tensor | Module by nn.Module.__getattr__
            **batch.to(model.device),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        for i, generated in zip(rows, output[:, batch["input_ids"].shape[1] :].tolist(), strict=True):
            stopped = tokenizer.eos_token_id in generated
            tokens = generated[: generated.index(tokenizer.eos_token_id)] if stopped else generated
            text = tokenizer.decode(tokens, skip_special_tokens=True)
            answers[i] = Answer(str(text).strip(), len(tokens), stopped)
        on_done(len(answers))
    return [answers[i] for i in range(len(prompts))]
