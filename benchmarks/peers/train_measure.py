"""What is measured of a peer's training, by the same callback in both: time, tokens, memory, and whether examples leak."""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

CHANGED_TOKENS, COMPARED_TOKENS = 20, 10


class Measure(TrainerCallback):
    """Times are those of the ends of steps, so that collating and all bookkeeping count.

    ``inputs`` are what the trainer gives to the model beside a batch.
    """

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self.inputs = inputs
        self.began = 0.0
        self.ended: list[float] = []
        self.tokens: list[int] = []
        self.peak_mib = 0.0
        self.leak = 0.0
        self.collate: Callable[[list[Any]], dict[str, Any]]

    def on_train_begin(self, *_: Any, **given: Any) -> None:
        """Count the tokens of every batch."""
        loader = getattr(given["train_dataloader"], "base_dataloader", given["train_dataloader"])  # accelerate wraps it
        self.collate = loader.collate_fn

        def counted(rows: list[Any]) -> dict[str, Any]:
            batch = self.collate(rows)
            self.tokens.append(tokens_in(batch))
            return batch

        loader.collate_fn = counted

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """The first one ends the start-up."""
        self.began = self.began or time.time()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """The optimizer has stepped."""
        self.ended.append(time.time())

    def on_train_end(self, args: Any, *_: Any, **given: Any) -> None:
        """Note the most memory that was held; only then look for leaks."""
        self.peak_mib = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
        rows = given["train_dataloader"].dataset
        batch = self.collate([rows[i] for i in range(min(2, args.per_device_train_batch_size))])
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            self.leak = leak_of(given["model"], batch, self.inputs)

    def report(self) -> None:
        """Print one line of JSON."""
        print(
            json.dumps(
                {
                    "start_up_s": self.began - float(os.environ["STARTED"]),
                    "seconds": [
                        end - before for before, end in zip([self.began, *self.ended], self.ended, strict=False)
                    ],
                    "tokens": self.tokens[: len(self.ended)],
                    "peak_mib": self.peak_mib,
                    "leak": self.leak,
                }
            )
        )


def tokens_in(batch: Mapping[str, Any]) -> int:
    """Tokens that are no padding."""
    mask = batch.get("attention_mask")
    return int(batch["input_ids"].numel() if mask is None or mask.ndim != 2 else (mask != 0).sum())


@torch.no_grad()
def leak_of(model: Any, batch: dict[str, Any], inputs: Mapping[str, Any]) -> float:
    """How far logits of the batch's last example move where the first tokens of its first example are changed.

    The model stays in training mode: in evaluation mode bitsandbytes would repack its weights.
    """
    labels = batch.pop("labels")
    at = (labels[-1] != -100).nonzero().flatten()[-COMPARED_TOKENS:] - 1
    logits = []
    for shift in (0, 7):
        batch["input_ids"][0, :CHANGED_TOKENS] = (batch["input_ids"][0, :CHANGED_TOKENS] - shift).abs()
        logits.append(model(**batch, **inputs).logits[-1, at].float())
    return float((logits[0] - logits[1]).abs().max())
