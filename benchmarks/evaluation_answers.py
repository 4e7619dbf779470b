"""Answers a second: ``serin evaluate`` against a plain transformers loop, one question at a time and at its best batch size.

python benchmarks/evaluation_answers.py [--questions 240] [--rounds 5]

All answer the same questions of the example, greedily, with the example's base model in float32 on the CPU, in one process.
Answers end at their end-of-turn token or at ``--new-tokens``. The plain loop is ``generate()`` on batches of questions in the
order of their length, so that little is padded; its best batch size is the fastest of several tried first. Every tool's
answers are compared with those of batch 1. Loading is not counted. In turns, medians of the rounds.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from machine import describe
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from serin.clients.files import read_jsonl, write_atomically
from serin.core.conversation import Conversation, Message
from serin.lm.chat import render_prompt
from serin.lm.generate import answer_all
from serin.lm.load import load_model, load_tokenizer

ROOT = Path(__file__).parents[1]
BASE = ROOT / "examples/labour-law/base"
RESULT = Path(__file__).parent / "results/evaluation_answers.txt"
BATCHES = (8, 16, 32, 64, 128, 240)
TRIED_ON = 120
SERIN_BATCHES = (32, 128)

Loop = Callable[[Sequence[Conversation]], list[str]]


def questions(count: int) -> list[Conversation]:
    """Questions of the example's facts, both languages in turn."""
    found = []
    for number in range(6):
        for name in ("en", "zh"):
            for fact in read_jsonl(ROOT / f"examples/labour-law/facts/{name}.jsonl"):
                asked = Message("user", fact["questions"][number % len(fact["questions"])])
                found.append(Conversation((asked,), {"id": f"{fact['id']}-{number}", "language": name}))
    return found[:: max(1, len(found) // count)][:count]


def plain(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, new_tokens: int, batch_size: int) -> Loop:
    """``generate()`` on padded batches, as most evaluation scripts have it."""

    def answer(asked: Sequence[Conversation]) -> list[str]:
        prompts = [render_prompt(tokenizer, q.prompt) for q in asked]
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        texts = [""] * len(prompts)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch = tokenizer.pad({"input_ids": [prompts[i] for i in rows]}, padding_side="left", return_tensors="pt")
            with torch.inference_mode():
                output = model.generate(**batch, max_new_tokens=new_tokens, do_sample=False)
            said = tokenizer.batch_decode(output[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
            for i, text in zip(rows, said, strict=True):
                texts[i] = text.strip()
        return texts

    return answer


def serin(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, new_tokens: int, batch_size: int) -> Loop:
    """As ``serin evaluate`` asks."""
    return lambda asked: [a.text for a in answer_all(model, tokenizer, asked, new_tokens, batch_size)]


def timed(loop: Loop, asked: Sequence[Conversation]) -> tuple[float, list[str]]:
    """Seconds, and the answers."""
    started = time.perf_counter()
    answers = loop(asked)
    return time.perf_counter() - started, answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=240)
    parser.add_argument("--new-tokens", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    model, tokenizer = load_model(BASE), load_tokenizer(BASE)
    asked = questions(options.questions)
    tried = {n: timed(plain(model, tokenizer, options.new_tokens, n), asked[:TRIED_ON])[0] for n in BATCHES}
    best = min(tried, key=lambda n: tried[n])
    tools = {f"transformers, batch {n}": plain(model, tokenizer, options.new_tokens, n) for n in (1, best)}
    tools |= {f"serin, batch {n}": serin(model, tokenizer, options.new_tokens, n) for n in SERIN_BATCHES}
    seconds: dict[str, list[float]] = {name: [] for name in tools}
    said: dict[str, list[str]] = {}
    for _ in range(options.rounds):
        for name, loop in tools.items():
            took, said[name] = timed(loop, asked)
            seconds[name].append(took)
    lengths = [len(tokenizer(text)["input_ids"]) for text in said["transformers, batch 1"]]
    first, at_best = (statistics.median(seconds[name]) for name in list(tools)[:2])
    lines = [
        describe(),
        f"{len(asked)} questions, answers of {min(lengths)} to {max(lengths)} tokens (median {statistics.median(lengths):.0f}), "
        f"{model.num_parameters() / 1e6:.1f} M parameters, float32; median of {options.rounds} rounds in turns",
        f"transformers' best batch of {', '.join(map(str, BATCHES))}: {best}",
        "",
        f"{'':<24}{'answers/s':>10}{'from':>8}{'to':>8}{'over batch 1':>14}{'over best':>11}{'other answers':>15}",
    ]
    for name, times in seconds.items():
        median = statistics.median(times)
        others = sum(a != b for a, b in zip(said[name], said["transformers, batch 1"], strict=True))
        rates = [len(asked) / t for t in (median, max(times), min(times))]
        lines.append(
            f"{name:<24}{rates[0]:>10.1f}{rates[1]:>8.1f}{rates[2]:>8.1f}{first / median:>14.2f}{at_best / median:>11.2f}"
            f"{others:>15}"
        )
    text = "\n".join(lines) + "\n"
    print(text)
    write_atomically(RESULT, text.encode())


if __name__ == "__main__":
    main()
