"""The stage ``merge`` on adapters that ``train`` made: which base is chosen, what a kill leaves, what is refused."""

import json
import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from bitsandbytes.functional import dequantize_4bit
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from serin.base import stage as base_stage
from serin.clients.files import read_json, read_manifest, seal, write_json
from serin.clients.storage import FolderStorage, S3Storage
from serin.core.errors import ConfigError, FinalError, InputError, StorageError
from serin.core.params import BaseParams, MergeParams, Params, TrainParams
from serin.lm.load import load_for_training
from serin.merge import stage as merge_stage
from serin.train import stage as train_stage
from serin.train.watch.watchers import Watchers

from .attempts import Attempts, Blow, Ended
from .training import write_dataset

TRAIN = TrainParams(epochs=10, batch_size=8, micro_batch_size=8, learning_rate=1e-2)


def silent(*_: object) -> None:
    """No progress wanted."""


@pytest.fixture(scope="module")
def sharded_base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base in several files."""
    folder = tmp_path_factory.mktemp("sharded") / "base"
    shutil.copytree(tiny_base, folder)
    (folder / "model.safetensors").unlink()
    AutoModelForCausalLM.from_pretrained(str(tiny_base)).save_pretrained(str(folder), max_shard_size="150KB")
    assert len(list(folder.glob("*.safetensors"))) > 3
    return folder


@pytest.fixture(scope="module")
def work(sharded_base: Path, tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a verified base, and an adapter that was trained on it in NF4."""
    folder = tmp_path_factory.mktemp("merge")
    base = base_stage.run(BaseParams(model=str(sharded_base)), folder / "base", silent)
    inputs = train_stage.Inputs(base.folder, base.digest, tiny_dataset)
    train_stage.run(Params(train=TRAIN), inputs, folder / "adapter", lambda _: Watchers([]))
    return folder


def merge(
    work: Path, out: Path, params: Mapping[str, Any], adapter: Path | None = None, dataset: Path | None = None
) -> Path:
    """The stage; returns the folder in storage."""
    base = base_stage.load(work / "base")
    storage = FolderStorage(out / "storage")
    merge_stage.run(
        MergeParams.model_validate(params),
        *(base.folder, base.digest, adapter or work / "adapter", storage, out / "merged", dataset),
    )
    folder = out / "storage" / read_json(out / "merged" / "pointer.json")["prefix"]
    read_manifest(folder, "model", verify=True)
    return folder


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}


# ---- which base ----------------------------------------------------------------------------------------------------------


def test_training_notes_the_weights_that_it_quantised(work: Path) -> None:
    made = read_manifest(work / "adapter", "adapter", verify=True)
    notes = read_json(work / "adapter" / "nf4.json")
    assert len(made.inputs["nf4"]) == 64
    assert len(notes) == 14
    assert set(notes["model.layers.0.mlp.down_proj.weight"]) == {"digest", "offset"}


def test_onto_the_dequantised_base_every_tensor_is_the_sum_of_what_training_had_rounded_once(
    work: Path, tmp_path: Path
) -> None:
    base = base_stage.load(work / "base").folder
    folder = merge(work, tmp_path, {"base": "dequantised"})
    merged, before, adapter = (
        tensors_of(folder),
        tensors_of(base),
        load_file(work / "adapter/adapter_model.safetensors"),
    )
    trained_on = dict(load_for_training(base, True, torch.float32, "sdpa").named_parameters())
    scale = TRAIN.lora.alpha / TRAIN.lora.r
    for name, tensor in merged.items():
        lora = f"base_model.model.{name.removesuffix('.weight')}.lora_"
        if f"{lora}A.weight" not in adapter:
            assert torch.equal(tensor, before[name].bfloat16())
            continue
        weight = dequantize_4bit(trained_on[name].data, trained_on[name].quant_state)
        exact = weight + scale * (adapter[f"{lora}B.weight"] @ adapter[f"{lora}A.weight"])
        assert torch.equal(tensor, exact.bfloat16())
        assert not torch.equal(tensor, (before[name].float() + exact - weight).bfloat16())
    manifest = read_manifest(folder, "model")
    assert manifest.metrics["base"] == {"kind": "dequantised", "why": "merge.base: dequantised"}
    assert manifest.metrics["parity"]["difference_to_adapter_on_nf4"] < 0.05


def test_auto_scores_all_three_on_the_validation_split_and_keeps_the_likelier_merge(
    work: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    folder = merge(work, tmp_path, {"base": "auto"}, dataset=tiny_dataset)
    told = read_manifest(folder, "model").metrics["base"]
    scores = told["log_likelihood_per_token"]
    assert scores.keys() == {"adapter_on_nf4", "full", "dequantised"}
    assert told["kind"] == max(("full", "dequantised"), key=lambda kind: scores[kind])
    assert told["validation_tokens"] > 0
    assert abs(scores["dequantised"] - scores["adapter_on_nf4"]) < 0.1
    alone = merge(work, tmp_path / "alone", {"base": told["kind"]})
    assert alone.name == folder.name
    assert read_json(tmp_path / "merged" / "pointer.json")["onto"] == told
    assert not list((tmp_path / "storage" / ".merges").iterdir())


@pytest.mark.parametrize("reason", ["no dataset", "no records", "no notes"])
def test_auto_is_full_where_nothing_can_be_scored_and_says_why(reason: str, work: Path, tmp_path: Path) -> None:
    adapter, dataset = shutil.copytree(work / "adapter", tmp_path / "adapter"), None
    made = read_manifest(adapter, "adapter")
    inputs = dict(made.inputs)
    if reason == "no records":
        dataset = write_dataset(tmp_path / "dataset")
        inputs["dataset"] = read_manifest(dataset, "dataset").digest
    if reason == "no notes":
        (adapter / "nf4.json").unlink()
    seal(adapter, kind="adapter", inputs=inputs, params=made.params)
    told = read_manifest(merge(work, tmp_path, {"base": "auto"}, adapter, dataset), "model").metrics["base"]
    assert told["kind"] == "full"
    expected = {"no dataset": "no dataset was given", "no records": "has no records", "no notes": "holds no nf4.json"}
    assert expected[reason] in told["why"]
    if reason == "no notes":
        with pytest.raises(ConfigError, match=r"holds no nf4\.json.*train again, or set merge\.base: full"):
            merge(work, tmp_path / "wanted", {"base": "dequantised"}, adapter)


def test_weights_that_are_quantised_differently_here_are_refused_or_left(
    work: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    adapter = shutil.copytree(work / "adapter", tmp_path / "adapter")
    made, notes = read_manifest(adapter, "adapter"), read_json(adapter / "nf4.json")
    notes["model.layers.1.mlp.up_proj.weight"]["digest"] = "0" * 64
    write_json(adapter / "nf4.json", notes)
    seal(adapter, kind="adapter", inputs=made.inputs, params=made.params)
    with pytest.raises(
        ConfigError, match=r"layers\.1\.mlp\.up_proj\.weight in NF4 is not here what it was in training"
    ):
        merge(work, tmp_path, {"base": "dequantised"}, adapter)
    assert not (tmp_path / "storage" / "models").exists()
    told = read_manifest(merge(work, tmp_path, {"base": "auto"}, adapter, tiny_dataset), "model").metrics["base"]
    assert told["kind"] == "full"
    assert "is not here what it was in training" in told["why"]


def test_another_dataset_than_the_adapters_is_refused(work: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give its own dataset"):
        merge(work, tmp_path, {"base": "auto"}, dataset=write_dataset(tmp_path / "other"))


# ---- a kill, and what it leaves ------------------------------------------------------------------------------------------


class Killed:
    """A merge by command line, into a folder of its own."""

    def __init__(self, work: Path, dataset: Path, folder: Path, attempts: Attempts, base: str) -> None:
        self.folder, self.attempts = folder, attempts
        folder.mkdir()
        params = {"merge": {"base": base}, "storage": {"url": str(folder / "storage")}}
        (folder / "params.yaml").write_text(yaml.safe_dump(params))
        self.paths = [
            *("--base", str(work / "base"), "--adapter", str(work / "adapter")),
            *("--dataset", str(dataset), "--out", "merged"),
        ]

    def merge(self, *blows: Blow) -> Ended:
        credentials = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        environment = {**credentials, "SERIN_RUNS": str(self.folder / "runs")}
        return self.attempts.run(self.folder, "merge", *self.paths, blows=blows, environment=environment)

    @property
    def manifests(self) -> list[Path]:
        return list((self.folder / "storage").rglob("manifest.json"))

    @property
    def shards(self) -> dict[str, int]:
        """The weight files that are made, by name, with the number of their inode."""
        return {path.name: path.stat().st_ino for path in (self.folder / "storage").rglob("*.safetensors")}


@pytest.fixture(scope="module")
def undisturbed(work: Path, tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as it comes out when nothing happens."""
    return merge(work, tmp_path_factory.mktemp("undisturbed"), {"base": "full"}, dataset=tiny_dataset)


@pytest.mark.parametrize(
    ("function", "call", "before", "kept"),
    [
        ("serin.merge.shard:in_order", 6, True, 2),  # within the third
        ("serin.merge.write:write_shard", 3, False, 2),  # it is whole, and not noted
        ("serin.merge.write:write_shard", 4, True, 3),
        ("serin.merge.stage:check_parity", 1, True, -1),
        ("serin.merge.stage:write_json", 1, False, -1),  # the manifest
        ("serin.clients.storage:FolderStorage.move_folder", 1, False, -1),
        ("serin.merge.stage:write_pointer", 1, False, -1),
    ],
)
def test_a_killed_merge_looks_complete_nowhere_and_goes_on_where_it_was(
    function: str,
    call: int,
    before: bool,
    kept: int,
    work: Path,
    tiny_dataset: Path,
    undisturbed: Path,
    tmp_path: Path,
    attempts: Attempts,
) -> None:
    killed = Killed(work, tiny_dataset, tmp_path / "killed", attempts, "full")
    assert killed.merge(Blow(function, call, signal.SIGKILL, before=before)).code == -signal.SIGKILL
    models = killed.folder / "storage" / "models"
    stored = list(models.rglob("*.safetensors")) if models.exists() else []
    if stored:  # moved as a whole
        assert {path.name for path in killed.manifests} == {"manifest.json"}
        read_manifest(stored[0].parent, "model", verify=True)
    assert (killed.folder / "merged").exists() == (function == "serin.merge.stage:write_pointer")
    shards = killed.shards
    ended = killed.merge()
    assert ended.code == 0, ended.output
    (manifest,) = killed.manifests
    assert read_manifest(manifest.parent, "model", verify=True).digest == undisturbed.name
    assert read_json(killed.folder / "merged" / "pointer.json")["digest"] == undisturbed.name
    same = sum(killed.shards[name] == inode for name, inode in shards.items())
    assert same >= (len(killed.shards) if kept < 0 else kept)
    assert not list((killed.folder / "storage" / ".merges").iterdir())


def test_a_kill_between_the_scores_of_auto_repeats_none_of_them(
    work: Path, tiny_dataset: Path, tmp_path: Path, attempts: Attempts
) -> None:
    killed = Killed(work, tiny_dataset, tmp_path / "killed", attempts, "auto")
    score = "serin.merge.choice:response_likelihood"
    assert killed.merge(Blow(score, 2, signal.SIGKILL)).code == -signal.SIGKILL
    assert not killed.manifests
    ended = killed.merge(Blow(score, 3, signal.SIGKILL))  # two are left
    assert ended.code == 0, ended.output
    alone = merge(work, tmp_path / "alone", {"base": "auto"}, dataset=tiny_dataset)
    (manifest,) = killed.manifests
    assert read_json(manifest) == read_json(alone / "manifest.json")


def test_a_merge_that_was_killed_while_it_was_uploaded_goes_on_with_that(
    work: Path, tiny_dataset: Path, undisturbed: Path, tmp_path: Path, attempts: Attempts, s3_endpoint: str
) -> None:
    killed = Killed(work, tiny_dataset, tmp_path / "killed", attempts, "full")
    storage = {"url": "s3://serin/killed-merge", "endpoint_url": s3_endpoint}
    (killed.folder / "params.yaml").write_text(yaml.safe_dump({"merge": {"base": "full"}, "storage": storage}))
    blow = Blow("serin.clients.storage:S3Storage.put_folder", 1, signal.SIGKILL)
    assert killed.merge(blow).code == -signal.SIGKILL
    bucket = S3Storage(storage["url"], s3_endpoint)
    assert not bucket.list("models/")
    ended = killed.merge(Blow("serin.merge.write:write_shard", 1, signal.SIGKILL))  # none is left to be written
    assert ended.code == 0, ended.output
    fetched = bucket.fetch_folder(f"models/law-qa/{undisturbed.name}", tmp_path / "fetched")
    assert read_manifest(fetched, "model", verify=True).digest == undisturbed.name
    assert not list((killed.folder / "runs" / "merges").iterdir())


def test_a_full_disk_is_told_of_and_what_was_done_is_kept(
    work: Path, tiny_dataset: Path, undisturbed: Path, tmp_path: Path, attempts: Attempts
) -> None:
    killed = Killed(work, tiny_dataset, tmp_path / "killed", attempts, "full")
    ended = killed.merge(Blow("serin.merge.shard:os.fsync", 3, None, full_disk=True))
    assert ended.code == 1
    assert "No space left on device" in ended.output
    assert "run the command again" in ended.output
    assert not killed.manifests
    assert killed.merge().code == 0
    assert killed.manifests[0].parent.name == undisturbed.name


def test_a_disk_that_is_too_small_is_told_of_before_anything_is_written(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(StorageError, match=r"GB free: free some space"):
        merge(work, tmp_path, {"base": "full"})
    assert not list((tmp_path / "storage").rglob("*.safetensors"))


def test_two_of_the_same_merge_at_once_are_refused_and_other_remains_are_swept(work: Path, tmp_path: Path) -> None:
    from serin.merge.scratch import Scratch

    root = tmp_path / "storage" / ".merges"
    left = Scratch(root, "left")
    with left.lock():
        left.remember("something", 1)
    running = Scratch(root, "running")
    with running.lock():
        with pytest.raises(FinalError, match=f"process {os.getpid()} makes this very merge"), running.lock():
            pass
        merge(work, tmp_path, {"base": "full"})
        assert [path.name for path in root.iterdir()] == ["running"]


def test_a_damaged_copy_in_storage_is_mended_by_merging_again(work: Path, tmp_path: Path) -> None:
    folder = merge(work, tmp_path, {"base": "full"})
    shard = next(folder.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-5])
    assert merge(work, tmp_path, {"base": "full"}) == folder


# ---- bad input -----------------------------------------------------------------------------------------------------------


def damaged(base: Path, folder: Path, fault: str) -> Path:
    """The base with a fault."""
    shutil.copytree(base, folder)
    shard = sorted(folder.glob("*.safetensors"))[1]
    tensors = load_file(shard)
    if fault == "nan":
        name = next(name for name in tensors if tensors[name].ndim == 2)
        tensors[name][1, 1] = float("nan")
        save_file(tensors, shard, metadata={"format": "pt"})
    elif fault == "missing":
        shard.unlink()
    elif fault == "truncated":
        shard.write_bytes(shard.read_bytes()[:-7])
    elif fault == "header":
        data = shard.read_bytes()
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        name = next(name for name in header if name != "__metadata__" and len(header[name]["shape"]) == 2)
        header[name]["shape"][0] += 1
        text = json.dumps(header).encode()
        shard.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    return folder


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("nan", r"holds NaN|is not finite after the merge"),
        ("missing", r"has no model-00002-of-\d+\.safetensors, which model\.safetensors\.index\.json names"),
        ("truncated", r"model-00002-of-\d+\.safetensors is damaged"),
        ("header", r"model-00002-of-\d+\.safetensors is damaged"),
    ],
)
def test_a_damaged_base_is_refused_and_nothing_is_stored(fault: str, told: str, work: Path, tmp_path: Path) -> None:
    """As though it had been damaged after its digests were compared."""
    base = base_stage.load(work / "base")
    folder = damaged(base.folder, tmp_path / "damaged", fault)
    storage = FolderStorage(tmp_path / "storage")
    with pytest.raises((InputError, ConfigError), match=told):
        merge_stage.run(MergeParams(base="full"), folder, base.digest, work / "adapter", storage, tmp_path / "out")
    assert not list((tmp_path / "storage").rglob("manifest.json"))
    assert not (tmp_path / "out").exists()


def test_an_adapter_with_nan_is_refused(work: Path, tmp_path: Path) -> None:
    adapter = shutil.copytree(work / "adapter", tmp_path / "adapter")
    made, tensors = read_manifest(adapter, "adapter"), load_file(adapter / "adapter_model.safetensors")
    next(iter(tensors.values()))[0, 0] = float("nan")
    save_file(tensors, adapter / "adapter_model.safetensors", metadata={"format": "pt"})
    seal(adapter, kind="adapter", inputs=made.inputs, params=made.params)
    with pytest.raises(ConfigError, match="is not finite after the merge"):
        merge(work, tmp_path, {"base": "full"}, adapter)
    assert not list((tmp_path / "storage").rglob("manifest.json"))
