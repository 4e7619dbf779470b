"""Pre-training of the example's base model: a small Qwen3 that knows the two languages and the form of an answer."""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from serin.base.calibrate import best_temperature, fold_temperature
from serin.base.tokenizer import save_tokenizer, train_tokenizer
from serin.clients.files import read_jsonl
from serin.core.errors import InputError
from serin.core.params import RebuildParams
from serin.lm.device import default_device
from serin.lm.save import writing_weights

Progress = Callable[[int, int, float], None]
"""Hears (step, steps, loss)."""
_HELD_OUT_EVERY = 20


def read_corpus(folder: Path) -> tuple[list[str], list[list[dict[str, str]]]]:
    """Paragraphs of every ``*.txt`` and conversations of every ``*.jsonl``. Raises InputError where there are none."""
    paragraphs = [
        paragraph.strip()
        for path in sorted(folder.glob("*.txt"))
        for paragraph in path.read_text(encoding="utf-8").split("\n\n")
        if paragraph.strip()
    ]
    chats = [record["messages"] for path in sorted(folder.glob("*.jsonl")) for record in read_jsonl(path)]
    if not paragraphs or not chats:
        raise InputError(f"{folder} holds {len(paragraphs)} paragraphs and {len(chats)} conversations: both are needed")
    return paragraphs, chats


def pretrain(params: RebuildParams, corpus: Path, out: Path, progress: Progress) -> None:
    """Learn tokenizer and model from the corpus, and write a Hugging Face folder to ``out`` (bfloat16 weights).

    One paragraph in twenty is not learnt from: on those the model's confidence is calibrated.
    """
    read, chats = read_corpus(corpus)
    held_out, paragraphs = read[::_HELD_OUT_EVERY], [p for n, p in enumerate(read) if n % _HELD_OUT_EVERY]
    tokenizer = train_tokenizer([*paragraphs, *(m["content"] for chat in chats for m in chat)], params.vocabulary)
    texts = [*paragraphs, *(str(tokenizer.apply_chat_template(chat, tokenize=False)) for chat in chats)]
    torch.manual_seed(params.seed)
    model = new_model(params, tokenizer).to(default_device())  # type: ignore[arg-type]  # overload, as in lm.load
    optimizer = torch.optim.AdamW(model.parameters(), lr=params.learning_rate, betas=(0.9, 0.95), weight_decay=0.1)
    batches = rows_of_tokens(tokenizer, texts, params)
    model.train()
    for step in range(params.steps):
        for group in optimizer.param_groups:
            group["lr"] = params.learning_rate * rate_at(step, params.steps)
        batch = next(batches).to(model.device)
        with torch.autocast(model.device.type, dtype=torch.bfloat16):
            loss = model(input_ids=batch, labels=batch, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        progress(step + 1, params.steps, float(loss.detach()))
    model.eval()
    fold_temperature(model, best_temperature(model, [torch.tensor(tokenizer(text)["input_ids"]) for text in held_out]))
    with writing_weights(out):
        model.to(torch.bfloat16).save_pretrained(str(out))
    save_tokenizer(tokenizer, out)


def new_model(params: RebuildParams, tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    """A Qwen3 with heads of 64, grouped-query attention two to one, and tied embeddings."""
    heads = params.hidden_size // 64
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=params.hidden_size,
        intermediate_size=3 * params.hidden_size,
        num_hidden_layers=params.layers,
        num_attention_heads=heads,
        num_key_value_heads=max(1, heads // 2),
        head_dim=64,
        max_position_embeddings=4 * params.row_tokens,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    model: Qwen3ForCausalLM = Qwen3ForCausalLM(config)  # type: ignore[no-untyped-call]  # untyped in transformers
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]  # untyped in transformers
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    return model


def rate_at(step: int, steps: int) -> float:
    """The share of the peak rate: linear warm-up over 5 % of the steps, then cosine to a tenth."""
    warmup = max(1, steps // 20)
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * done))


def rows_of_tokens(
    tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], params: RebuildParams
) -> Iterator[torch.Tensor]:
    """Endless batches of shape (batch_tokens / row_tokens, row_tokens): shuffled texts, laid end to end."""
    documents = [[*tokenizer(text)["input_ids"], tokenizer.pad_token_id] for text in texts]
    order = random.Random(params.seed)
    rows = max(1, params.batch_tokens // params.row_tokens)
    size = rows * params.row_tokens
    stream: list[int] = []
    while True:
        order.shuffle(documents)
        for document in documents:
            stream += document
            while len(stream) >= size:
                yield torch.tensor(stream[:size]).view(rows, params.row_tokens)
                stream = stream[size:]
