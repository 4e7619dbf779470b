import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from serin.core.errors import ConfigError, InputError
from serin.merge.weights import INDEX, names_in, weight_files


def write_shards(folder: Path) -> None:
    for name in ("one", "two"):
        save_file({name: torch.zeros(2)}, folder / f"{name}.safetensors")
    weight_map = {"one": "one.safetensors", "two": "two.safetensors"}
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))


def test_the_index_says_which_files_count(tmp_path: Path) -> None:
    write_shards(tmp_path)
    save_file({"again": torch.zeros(2)}, tmp_path / "consolidated.safetensors")
    assert names_in(tmp_path) == {"one", "two"}


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    write_shards(tmp_path)
    (tmp_path / "two.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no two\.safetensors"):
        weight_files(tmp_path)


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    write_shards(tmp_path)
    path = tmp_path / "two.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match=r"two\.safetensors is damaged"):
        names_in(tmp_path)


def test_a_model_without_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match="take a model whose weights are safetensors"):
        weight_files(tmp_path)
