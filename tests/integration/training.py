"""A small run of training that attempts are made at."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from serin.clients.files import output_folder, read_json, read_manifest, seal, write_jsonl

from .attempts import Attempts, Blow, Ended

STEPS, STEPS_PER_EPOCH = 14, 6

TRAIN = {
    "lora": {"r": 4, "alpha": 8, "dropout": 0.2},
    "neftune_alpha": 5.0,
    "learning_rate": 0.02,
    "max_steps": STEPS,
    "batch_size": 4,
    "micro_batch_size": 2,
}
RUNS = {"checkpoints": {"every_steps": 4, "keep": 2, "to_storage": "never"}}


def write_dataset(folder: Path, **splits: Sequence[Mapping[str, Any]]) -> Path:
    """A dataset folder as ``prepare`` writes it; splits that are not given are empty."""
    with output_folder(folder) as scratch:
        for split in ("train", "validation", "test", "control"):
            write_jsonl(scratch / f"{split}.jsonl", splits.get(split, ()))
        seal(scratch, kind="dataset")
    return folder


class Project:
    """A folder with params and a verified base, whose runs keep their checkpoints in ``runs``."""

    def __init__(self, folder: Path, base: Path, dataset: Path, attempts: Attempts, **params: Any) -> None:
        self.folder = folder
        self.dataset = dataset
        self.attempts = attempts
        self.environment: dict[str, str] = {}
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(base, folder / "base")
        values = {"train": TRAIN, "runs": RUNS, **params}
        (folder / "params.yaml").write_text(yaml.safe_dump(values))

    def train(self, *arguments: str, blows: Sequence[Blow] = (), spare_bytes: int | None = None) -> Ended:
        return self.attempts.run(
            self.folder,
            *("train", "--base", "base", "--dataset", str(self.dataset), "--out", "adapter"),
            *arguments,
            blows=blows,
            environment={**self.environment, "SERIN_RUNS": str(self.folder / "runs")},
            spare_bytes=spare_bytes,
        )

    @property
    def run_folder(self) -> Path:
        (folder,) = (self.folder / "runs").iterdir()
        return folder

    def result(self) -> tuple[str, bytes, dict[str, Any]]:
        """The digest of the output, the adapter's bytes, and the log of losses with the evaluations."""
        adapter = self.folder / "adapter"
        weights = (adapter / "adapter_model.safetensors").read_bytes()
        return read_manifest(adapter, "adapter", verify=True).digest, weights, read_json(adapter / "log.json")
