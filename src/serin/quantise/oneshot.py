"""Runs llm-compressor in its own environment, where no Serin is: this file is started as a program, never imported.

    python oneshot.py JOB

JOB is a JSON file: ``model`` and ``out`` (folders), ``recipe`` (llm-compressor's modifiers, in order: name and arguments),
``calibration`` (token ids, a list a conversation) and ``versions`` (a file). It writes weights and config to ``out``, and what
did the work to ``versions``. It ends when its standard input does, so that it never outlives the process that started it.
Whatever goes wrong ends it with a traceback on standard error and exit code 1.
"""

import json
import os
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

_NAMED = ("llmcompressor", "compressed-tensors", "torch", "transformers")


def main(job_path: str) -> None:
    """Do one job."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = json.loads(Path(job_path).read_bytes())

    import torch
    from llmcompressor import oneshot  # type: ignore[import-not-found]  # stands in the other environment
    from llmcompressor.modifiers.gptq import GPTQModifier  # type: ignore[import-not-found]  # likewise
    from llmcompressor.modifiers.quantization import QuantizationModifier  # type: ignore[import-not-found]  # likewise
    from transformers import AutoModelForCausalLM

    modifiers: dict[str, Any] = {"gptq": GPTQModifier, "round": QuantizationModifier}
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True, warn_only=True)
    model = AutoModelForCausalLM.from_pretrained(job["model"], local_files_only=True, dtype="auto")
    rows = [{"input_ids": torch.tensor([row]), "attention_mask": torch.ones(1, len(row))} for row in job["calibration"]]
    oneshot(
        model=model,
        recipe=[modifiers[name](**arguments) for name, arguments in job["recipe"]],
        # One conversation a batch, in the order given: nothing is padded, cut or shuffled.
        **({"dataset": _batches(rows), "num_calibration_samples": len(rows)} if rows else {}),
    )
    model.save_pretrained(job["out"], save_compressed=True)
    Path(job["versions"]).write_text(json.dumps({name: version(name) for name in _NAMED}))


def _batches(rows: list[dict[str, Any]]) -> Any:
    from torch.utils.data import DataLoader

    return DataLoader(rows, batch_size=None, shuffle=False)  # type: ignore[arg-type]  # a list is a dataset


def _end_with_parent() -> None:
    os.read(0, 1)  # of nothing that is ever written: it returns when the other end is gone
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
