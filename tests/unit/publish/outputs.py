"""What the stages before ``publish`` write, without their work: real manifests over tiny files."""

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serin.clients.files import digests_in, output_folder, read_manifest, seal, write_json
from serin.clients.models import read_pointer
from serin.clients.storage import FolderStorage, Storage
from serin.core.digest import digest_of_files
from serin.core.manifest import MANIFEST
from serin.core.params import PublishParams
from serin.core.revision import Revision
from serin.publish import stage
from serin.publish.evidence import Outputs
from serin.publish.record import Record

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
CARD = "---\nlicense: cc-by-4.0\n---\n\n# Dataset card\n\nOne file.\n\n```\n# no heading\n```\n"


def gain(low: float, middle: float, high: float) -> dict[str, float]:
    return {
        "gain": middle,
        "ci_low": low,
        "ci_high": high,
        "p": 0.01,
        "p_adjusted": 0.02,
        "smallest_effect": 0.05,
        "questions": 40,
    }


METRICS: dict[str, Any] = {
    "confidence": 0.95,
    "better": {"token_f1": "higher"},
    "means": {
        "candidate": {"test": {"token_f1": {"all": 0.9, "language=zh": 0.8}}},
        "base": {"test": {"token_f1": {"all": 0.2, "language=zh": 0.1}}},
    },
    "gains": {"base": {"test": {"token_f1": {"all": gain(0.6, 0.7, 0.8), "language=zh": gain(0.5, 0.7, 0.9)}}}},
    "unknown": {"test": {"bertscore": {"language=zh": 0.71}}},
}


class Project:
    """A folder with everything that one model was made from, and the storage that it lies in.

    A folder that has it already is taken as it is.
    """

    def __init__(
        self, folder: Path, storage: Storage | None = None, name: str = "law", weights: bytes = b"weights"
    ) -> None:
        self.folder = folder
        self.storage = storage if storage is not None else FolderStorage(folder / ".serin/storage")
        self.name = name
        artifacts = folder / "artifacts"
        self.outputs = Outputs(*(artifacts / n for n in ("merged", "evaluation", "adapter", "dataset", "base")))
        if self.outputs.merged.exists():
            pointer = read_pointer(self.outputs.merged)
            self.inputs, self.revision = dict(pointer.inputs), Revision(pointer.name, pointer.digest)
            return
        self.inputs = {"base": self._base()}
        self.inputs["dataset"] = self._dataset()
        self.inputs["adapter"] = self._adapter()
        self.revision = self.merge(weights)
        self.evaluate()

    @property
    def prefix(self) -> str:
        return f"models/{self.name}/{self.revision.digest}"

    def merge(self, weights: bytes) -> Revision:
        """Another model from the same adapter: storage, and the pointer to it."""
        source = self.folder / "model"
        shutil.rmtree(source, ignore_errors=True)
        (source / "parts").mkdir(parents=True)
        (source / "model.safetensors").write_bytes(weights)
        (source / "parts/config.json").write_text("{}")
        params = {"name": self.name, "dtype": "bfloat16", "base": "auto"}
        digest = seal(source, kind="model", inputs=self.inputs, params=params).digest
        prefix = f"models/{self.name}/{digest}"
        self.storage.put_folder(source, prefix, last=MANIFEST)
        with output_folder(self.outputs.merged) as out:
            pointer = {"name": self.name, "digest": digest, "prefix": prefix, "inputs": self.inputs}
            write_json(out / "pointer.json", pointer)
            seal(out, kind="pointer", inputs=self.inputs)
        self.revision = Revision(self.name, digest)
        return self.revision

    def evaluate(
        self,
        passed: bool = True,
        digest: str | None = None,
        against: Revision | None = None,
        found: float | None = None,
    ) -> None:
        """A verdict with one rule, that held or was missed by 0.1."""
        assert self.outputs.evaluation is not None
        rule: dict[str, Any] = {
            "rule": "token_f1 gain, lower bound, over base in all",
            **{"metric": "token_f1", "on": "test", "slice": "all", "over": "base"},
            "found": found if found is not None else 0.6 if passed else -0.1,
            **{"limit": 0.0, "side": "above", "passed": passed, "missed_by": None if passed else 0.1},
        }
        verdict = {
            "digest": digest or self.revision.digest,
            "against": str(against) if against else None,
            "passed": passed,
            "rules": [rule],
            "skipped": ["token_f1 over production on test: no production model is pinned"],
        }
        with output_folder(self.outputs.evaluation) as out:
            write_json(out / "verdict.json", verdict)
            write_json(out / "metrics.json", METRICS)
            inputs = {"candidate": verdict["digest"], "dataset": self.inputs["dataset"]}
            seal(out, kind="evaluation", inputs=inputs, params={"confidence": 0.95, "resamples": 4000})

    def publish(
        self, evaluation: bool = True, now: datetime = NOON, out: str = "artifacts/published", **params: Any
    ) -> Record:
        outputs = self.outputs if evaluation else self.without_evaluation
        return stage.run(
            PublishParams(**params), outputs, self.storage, self.folder, self.folder / out, clock=lambda: now
        )

    @property
    def without_evaluation(self) -> Outputs:
        outputs = self.outputs
        return Outputs(outputs.merged, None, outputs.adapter, outputs.dataset, outputs.base)

    def record(self) -> Mapping[str, Any]:
        """As serving reads it."""
        found: Mapping[str, Any] = json.loads(self.storage.read(f"published/{self.name}/{self.revision.digest}.json"))
        return found

    def read_dataset_digest(self) -> str:
        """After somebody changed the dataset."""
        return read_manifest(self.outputs.dataset, "dataset").digest

    def _base(self) -> str:
        model = self.folder / "base"
        model.mkdir(parents=True)
        (model / "model.safetensors").write_bytes(b"base")
        files = digests_in(model)
        with output_folder(self.outputs.base) as out:
            told = {"model": str(model), "revision": None, "folder": str(model), "files": files}
            write_json(out / "base.json", {**told, "digest": digest_of_files(files)})
            seal(out, kind="base")
        return digest_of_files(files)

    def _dataset(self) -> str:
        sources = [
            {"source": "laws.csv", "license": "cc-by-4.0", "read": 12, "kept": 10},
            {"source": "chats.jsonl", "license": None, "read": 4, "kept": 3},
            {"source": "empty.csv", "license": None, "read": 4, "kept": 0},
        ]
        with output_folder(self.outputs.dataset) as out:
            write_json(out / "quality.json", {"files": sources, "languages": {"en": 9, "zh": 4}})
            (out / "README.md").write_text(CARD)
            (out / "train.jsonl").write_text("{}\n")
            return seal(
                out,
                kind="dataset",
                inputs={"base": self.inputs["base"], "raw": "ab" * 32},
                params={"max_tokens": 256, "markup": "strip"},
                metrics={"records": {"train": 10, "test": 3}},
            ).digest

    def _adapter(self) -> str:
        with output_folder(self.outputs.adapter) as out:
            (out / "adapter_model.safetensors").write_bytes(b"adapter")
            return seal(
                out,
                kind="adapter",
                inputs=self.inputs,
                params={"learning_rate": 0.003, "epochs": 5.0},
                metrics={"best_validation_loss": 1.25, "examples": 10},
            ).digest
