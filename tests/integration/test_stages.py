"""train → merge → evaluate → publish on a tiny real model, through the stages' own functions."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from serin.base import stage as base_stage
from serin.clients.files import read_json, read_manifest
from serin.clients.storage import FolderStorage
from serin.core.errors import ConfigError, InputError
from serin.core.manifest import Manifest
from serin.core.params import BaseParams, MergeParams, Params, TrainParams
from serin.lm.load import load_model
from serin.merge import stage as merge_stage
from serin.train import stage as train_stage
from serin.train.watch.watchers import Watchers

TRAIN = TrainParams(epochs=40, batch_size=8, micro_batch_size=4, learning_rate=1e-2)


def silent(*_: object) -> None:
    """No progress wanted."""


def train(work: Path, dataset: Path, out: Path, params: TrainParams = TRAIN, fresh: bool = False) -> Manifest:
    """The stage, with nobody watching."""
    base = base_stage.load(work / "base")
    inputs = train_stage.Inputs(base.folder, base.digest, dataset)
    options = train_stage.Options(fresh=fresh)
    manifest = train_stage.run(Params(train=params), inputs, out, lambda _: Watchers([]), options)
    assert manifest is not None
    return manifest


@pytest.fixture(scope="module")
def work(tiny_base: Path, tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a verified base, a trained adapter and a merged model in storage."""
    folder = tmp_path_factory.mktemp("work")
    base = base_stage.run(BaseParams(model=str(tiny_base)), folder / "base", silent)
    train(folder, tiny_dataset, folder / "adapter")
    storage = FolderStorage(folder / "storage")
    merge_stage.run(
        MergeParams(dtype="float32"), base.folder, base.digest, folder / "adapter", storage, folder / "merged"
    )
    return folder


def merged_folder(work: Path) -> Path:
    return work / "storage" / read_json(work / "merged" / "pointer.json")["prefix"]


def test_the_loss_falls_and_the_adapter_is_float32(work: Path) -> None:
    log = read_json(work / "adapter" / "log.json")
    assert log["steps"][-1]["loss"] < log["steps"][0]["loss"] - 1
    from safetensors.torch import load_file

    dtypes = {tensor.dtype for tensor in load_file(work / "adapter" / "adapter_model.safetensors").values()}
    assert dtypes == {torch.float32}


def test_training_again_gives_the_same_bytes(work: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    again = train(work, tiny_dataset, tmp_path / "adapter", fresh=True)
    assert again == read_manifest(work / "adapter", "adapter")


def test_the_merged_model_answers_as_base_with_adapter_does(work: Path) -> None:
    base = load_model(base_stage.load(work / "base").folder)
    adapted = PeftModel.from_pretrained(base, str(work / "adapter")).eval()
    ids = torch.arange(10, 60).unsqueeze(0)
    with torch.no_grad():
        expected = adapted(ids).logits
        found = load_model(merged_folder(work))(ids).logits
    assert torch.allclose(found, expected, atol=2e-4)


def test_the_merged_folder_is_complete_and_named_by_its_content(work: Path) -> None:
    folder = merged_folder(work)
    assert read_manifest(folder, "model", verify=True).digest == folder.name
    assert {"config.json", "tokenizer.json", "chat_template.jinja", "generation_config.json"} <= {
        p.name for p in folder.iterdir()
    }


def test_an_adapter_of_another_base_is_refused(work: Path, tmp_path: Path) -> None:
    base = base_stage.load(work / "base")
    with pytest.raises(ConfigError, match="was trained on the base"):
        merge_stage.run(
            MergeParams(), base.folder, "0" * 64, work / "adapter", FolderStorage(tmp_path / "s"), tmp_path / "merged"
        )
    assert not (tmp_path / "merged").exists()


def test_a_damaged_adapter_is_refused(work: Path, tmp_path: Path) -> None:
    shutil.copytree(work / "adapter", tmp_path / "adapter")
    weights = tmp_path / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    base = base_stage.load(work / "base")
    with pytest.raises(InputError, match="is damaged"):
        merge_stage.run(
            MergeParams(),
            base.folder,
            base.digest,
            tmp_path / "adapter",
            FolderStorage(tmp_path / "s"),
            tmp_path / "out",
        )


def test_a_base_that_changed_after_it_was_pinned_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_base, tmp_path / "model")
    base_stage.run(BaseParams(model=str(tmp_path / "model")), tmp_path / "base", silent)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps({**config, "rope_theta": 1.0}))
    with pytest.raises(ConfigError, match=r"config\.json differ"):
        base_stage.load(tmp_path / "base")


def test_target_modules_that_match_nothing_are_refused(work: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    params = TrainParams.model_validate({"lora": {"target_modules": ["no_such_layer"]}})
    with pytest.raises(ConfigError, match=r"train\.lora\.target_modules"):
        train(work, tiny_dataset, tmp_path / "adapter", params)
    assert not (tmp_path / "adapter").exists()
