"""What is refused before llm-compressor is started. That it works is shown with the real one, in tests/integration."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from serin.clients.files import output_folder, seal, write_jsonl
from serin.clients.models import store_model
from serin.clients.storage import FolderStorage
from serin.core.conversation import Conversation, Message
from serin.core.errors import ConfigError, FinalError, InputError
from serin.core.params import QuantiseParams
from serin.quantise import stage
from serin.quantise.scheme import SCHEMES, SchemeName

TRAIN = [
    Conversation((Message("user", f"Rule {i}?"), Message("assistant", "Six months.")), {"id": f"{i}"}) for i in range(9)
]


class Stand:
    """A stored model, a dataset, and a program in the place of the other environment's Python."""

    def __init__(self, folder: Path, base: Path, body: str = "touch {folder}/started; exit 1") -> None:
        self.folder = folder
        self.storage = FolderStorage(folder / "storage")
        self.dataset = self.write_dataset("dataset", TRAIN)
        shutil.copytree(base, folder / "model")
        self.python = folder / "python"
        self.python.write_text(f"#!/bin/sh\n{body.format(folder=folder)}\n")
        self.python.chmod(0o755)

    def write_dataset(self, name: str, train: Sequence[Conversation]) -> Path:
        with output_folder(self.folder / name) as scratch:
            write_jsonl(scratch / "train.jsonl", [c.as_dict() for c in train])
            seal(scratch, kind="dataset")
        return self.folder / name

    def store(self, **inputs: str) -> None:
        manifest = seal(self.folder / "model", kind="model", inputs=inputs)
        store_model(manifest, self.folder / "model", "law-qa", self.storage, self.folder / "merged")

    def quantise(self, scheme: SchemeName, dataset: Path | None) -> None:
        stage.run(
            QuantiseParams(),
            SCHEMES[scheme],
            self.folder / "merged",
            dataset,
            self.storage,
            self.python,
            self.folder / "models",
            os.environ,
            self.folder / "out",
            lambda *_: None,
        )

    @property
    def was_started(self) -> bool:
        return (self.folder / "started").exists()


def test_another_dataset_than_the_models_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    stand = Stand(tmp_path, tiny_base)
    stand.store(base="ab", dataset="cd" * 32)
    with pytest.raises(ConfigError, match="the model was trained on cdcdcdcdcdcd: calibrate on that one"):
        stand.quantise("w8a8-int8", stand.dataset)
    assert not stand.was_started


def test_a_scheme_that_looks_at_activations_needs_a_dataset(tiny_base: Path, tmp_path: Path) -> None:
    stand = Stand(tmp_path, tiny_base)
    stand.store(base="ab")
    with pytest.raises(ConfigError, match="name the dataset"):
        stand.quantise("w4a16", None)


def test_damaged_weights_are_found_before_hours_are_spent_on_them(tiny_base: Path, tmp_path: Path) -> None:
    stand = Stand(tmp_path, tiny_base)
    stand.store(base="ab")
    (stored,) = (tmp_path / "storage").rglob("model.safetensors")
    stored.write_bytes(stored.read_bytes()[:-1])
    with pytest.raises(InputError, match="is damaged"):
        stand.quantise("fp8", None)
    assert not stand.was_started


def test_a_failure_leaves_nothing(tiny_base: Path, tmp_path: Path) -> None:
    stand = Stand(tmp_path, tiny_base)
    stand.store(base="ab")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FinalError, match="exit code 1"):
        stand.quantise("w8a8-int8", stand.dataset)
    assert stand.was_started
    assert sorted({*tmp_path.rglob("*")} - {tmp_path / "started"}) == before


def test_what_comes_back_is_checked_before_it_is_stored(tiny_base: Path, tmp_path: Path) -> None:
    """A process that copies the model and claims that it is quantised."""
    body = """mkdir "$(dirname "$3")/made" && cd "$(dirname "$3")" && cp {folder}/model/model.safetensors made/
        echo '{{"quantization_config": {{}}}}' > made/config.json && echo '{{}}' > versions.json"""
    stand = Stand(tmp_path, tiny_base, body)
    stand.store(base="ab")
    with pytest.raises(FinalError, match="14 of 14 layers are not quantised"):
        stand.quantise("fp8", None)
    assert not (tmp_path / "out").exists()
    assert len(list((tmp_path / "storage").rglob("manifest.json"))) == 1
