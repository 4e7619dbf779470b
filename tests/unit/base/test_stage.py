"""``base.json``: the same for the same model on every machine, whose files are found where that machine has them."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from serin.base import stage
from serin.clients.dvc_remote import put
from serin.core.errors import ConfigError
from serin.core.params import BaseParams, StorageParams

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OF_HUB = BaseParams(model="owner/tiny", revision=COMMIT)


def silent(*_: object) -> None:
    """No progress wanted."""


class Hub:
    """The hub, with one model; ``cache`` is what a machine has of it."""

    def __init__(self, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.model = model
        self.asked = 0
        self.cache = Path()
        monkeypatch.setattr("huggingface_hub.snapshot_download", self.download)
        monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", self.cached)

    def download(self, model: str, *, revision: str, **_: Any) -> str:
        assert (model, revision) == ("owner/tiny", COMMIT)
        self.asked += 1
        shutil.copytree(self.model, self.cache, dirs_exist_ok=True)
        return str(self.cache)

    def cached(self, model: str, name: str, *, revision: str) -> str | None:
        assert (model, revision) == ("owner/tiny", COMMIT)
        return str(self.cache / name) if (self.cache / name).is_file() else None


@pytest.fixture
def hub(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    return Hub(tiny_base, monkeypatch)


def test_a_model_of_the_hub_has_one_hash_wherever_it_is_cached(hub: Hub, tmp_path: Path) -> None:
    storage = StorageParams(url=str(tmp_path / "storage"))
    found = []
    for machine in ("one", "other"):
        hub.cache = tmp_path / machine / "cache"
        base = stage.run(OF_HUB, tmp_path / machine / "base", silent)
        assert base.folder == hub.cache
        found.append(put(tmp_path / machine / "base", storage))
    assert found[0] == found[1]
    assert stage.model_folder(tmp_path / "one" / "base") is None


def test_another_machine_downloads_the_commit_once_and_compares_it(hub: Hub, tmp_path: Path) -> None:
    hub.cache = tmp_path / "cache"
    stage.run(OF_HUB, tmp_path / "base", silent)
    hub.cache, hub.asked = tmp_path / "pod" / "cache", 0
    assert stage.load(tmp_path / "base", {}).folder == hub.cache
    assert stage.load(tmp_path / "base", {}).folder == hub.cache
    assert hub.asked == 1
    (hub.cache / "model.safetensors").unlink()  # a download that was broken off
    assert stage.load(tmp_path / "base", {}).folder == hub.cache
    assert hub.asked == 2
    (hub.cache / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"config\.json differ"):
        stage.load(tmp_path / "base", {})


def test_a_plan_needs_the_config_alone_of_a_model_that_is_pinned(hub: Hub, tmp_path: Path) -> None:
    hub.cache = tmp_path / "cache"
    stage.run(OF_HUB, tmp_path / "base", silent)
    assert stage.find_config(OF_HUB, tmp_path / "base", {}) == hub.cache
    hub.cache, hub.asked = tmp_path / "elsewhere", 0
    with pytest.raises(ConfigError, match=f"hf download owner/tiny --revision {COMMIT} config.json"):
        stage.find_config(OF_HUB, tmp_path / "base", {})
    assert hub.asked == 0


def test_a_folder_is_found_where_the_environment_says_and_compared(tiny_base: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_base, tmp_path / "laptop")
    stage.run(BaseParams(model=str(tmp_path / "laptop")), tmp_path / "base", silent)
    assert stage.model_folder(tmp_path / "base") == tmp_path / "laptop"
    (tmp_path / "laptop").rename(tmp_path / "pod")
    with pytest.raises(ConfigError, match="is gone"):
        stage.load(tmp_path / "base", {})
    elsewhere = {"SERIN_BASE_MODEL": str(tmp_path / "pod")}
    assert stage.load(tmp_path / "base", elsewhere).folder == tmp_path / "pod"
    assert stage.find_config(BaseParams(), tmp_path / "base", elsewhere) == tmp_path / "pod"
    (tmp_path / "pod" / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"pod is not the one that .*base\.json pins"):
        stage.load(tmp_path / "base", elsewhere)


def test_a_model_that_was_rebuilt_lies_in_the_output_itself_wherever_that_is(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pretrain(params: object, corpus: Path, out: Path, progress: object) -> None:  # noqa: ARG001 - pretrain's own
        shutil.copytree(tiny_base, out)

    monkeypatch.setattr("serin.base.pretrain.pretrain", pretrain)
    stage.run(BaseParams(rebuild=True), tmp_path / "base", silent)
    assert stage.model_folder(tmp_path / "base") is None
    (tmp_path / "base").rename(tmp_path / "pod")
    assert stage.load(tmp_path / "pod", {}).folder == tmp_path / "pod" / "model"
    assert stage.find_config(BaseParams(rebuild=True), tmp_path / "pod", {}) == tmp_path / "pod" / "model"
