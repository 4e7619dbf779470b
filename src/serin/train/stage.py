"""The stage ``train``: base + dataset to an adapter."""

import random
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from serin.clients.files import output_folder, read_json, read_manifest, seal, write_json
from serin.core.errors import ConfigError, GateError
from serin.core.manifest import Manifest
from serin.core.params import TrainParams
from serin.lm.load import load_nf4, load_tokenizer
from serin.lm.save import writing_weights
from serin.train.examples import read_split, render_split
from serin.train.qlora import Progress, attach_adapter, fit

if TYPE_CHECKING:  # at run time serin.lm.load comes first: it keeps bitsandbytes from warning when peft imports it
    from peft import PeftModel

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def run(params: TrainParams, base: Path, base_digest: str, dataset: Path, out: Path, progress: Progress) -> Manifest:
    """Train, and write the adapter, its log and its manifest to ``out``.

    Raises:
        ConfigError: the base model or the data cannot be trained on.
        GateError: the dataset misses a limit of ``prepare.limits``.
        InputError: the dataset is missing or damaged.
    """
    prepared = read_manifest(dataset, "dataset", verify=True)
    refuse_below_quality(dataset, prepared)
    inputs = {"base": base_digest, "dataset": prepared.digest}
    tokenizer = load_tokenizer(base)
    train = read_split(dataset, "train")
    held_out = {c.id for split in ("validation", "test", "control") for c in read_split(dataset, split)}
    if both := sorted(held_out & {c.id for c in train}):
        raise ConfigError(
            f"{len(both)} records stand in train and in a held-out split, such as {both[0]}: prepare again"
        )
    examples = render_split(tokenizer, train, params.max_tokens)
    seed_everything(params.seed)
    model = attach_adapter(load_nf4(base), params.lora)
    scratch = Path(tempfile.mkdtemp(prefix="serin-train-"))
    try:
        steps, log = fit(model, tokenizer, examples, params, scratch, progress)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    trained, total = model.get_nb_trainable_parameters()
    with output_folder(out) as folder:
        save_adapter(model, folder)
        write_json(folder / "log.json", log)
        return seal(
            folder,
            kind="adapter",
            inputs=inputs,
            params=params.model_dump(),
            metrics={
                "examples": len(examples),
                "steps": steps,
                "final_loss": log[-1]["loss"],
                "trainable_parameters": trained,
                "parameters": total,
            },
        )


def refuse_below_quality(dataset: Path, prepared: Manifest) -> None:
    """Raises GateError where ``prepare`` found the data worse than ``prepare.limits`` allow."""
    misses = [f"  {rule['says']}" for rule in prepared.metrics.get("gate", {}).get("rules", ()) if not rule["passed"]]
    if misses:
        raise GateError(
            "\n".join(
                [f"{dataset} is not to be trained on, by prepare.limits:", *misses, "mend the data, or move the limits"]
            )
        )


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def save_adapter(model: "PeftModel", folder: Path) -> None:
    """Write the adapter as PEFT does, with ``target_modules`` sorted: PEFT writes a set in hash-seed order."""
    with writing_weights(folder):
        model.save_pretrained(str(folder))
    for path in folder.iterdir():
        if path.name not in ADAPTER_FILES:
            path.unlink()
    config = read_json(folder / "adapter_config.json")
    if isinstance(config.get("target_modules"), list):
        config["target_modules"] = sorted(config["target_modules"])
    config["base_model_name_or_path"] = None  # the manifest pins the base by digest; a path would differ by machine
    write_json(folder / "adapter_config.json", config)
