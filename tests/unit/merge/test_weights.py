import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from serin.core.errors import ConfigError, InputError
from serin.merge.weights import INDEX, stored_in, stored_in_model, weight_files


def write_shards(folder: Path) -> None:
    for name in ("one", "two"):
        save_file({name: torch.zeros(2)}, folder / f"{name}.safetensors")
    weight_map = {"one": "one.safetensors", "two": "two.safetensors"}
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))


def with_header(path: Path, header: bytes, data: bytes = b"\0" * 8) -> Path:
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


def test_the_index_says_which_files_count(tmp_path: Path) -> None:
    write_shards(tmp_path)
    save_file({"again": torch.zeros(2)}, tmp_path / "consolidated.safetensors")
    assert stored_in_model(tmp_path).keys() == {"one", "two"}


def test_a_tensor_is_read_whole_and_by_rows_as_the_library_reads_it(tmp_path: Path) -> None:
    tensors = {
        "w": torch.randn(6, 4).bfloat16(),
        "b": torch.randn(6),
        "scalar": torch.tensor(3.0),
        "none": torch.empty(0, 2),
        "mask": torch.tensor([True, False]),
    }
    save_file(tensors, tmp_path / "model.safetensors")
    stored = stored_in(tmp_path / "model.safetensors")
    for name, tensor in load_file(tmp_path / "model.safetensors").items():
        assert torch.equal(stored[name].read(), tensor)
        assert stored[name].dtype == tensor.dtype
    assert torch.equal(stored["w"].rows(2, 5), tensors["w"][2:5])


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    write_shards(tmp_path)
    (tmp_path / "two.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no two\.safetensors"):
        weight_files(tmp_path)


@pytest.mark.parametrize("index", [{}, {"weight_map": ["one"]}, [], {"weight_map": {"one": 1}}])
def test_an_index_that_is_none_is_refused(index: object, tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text(json.dumps(index))
    with pytest.raises(InputError, match="has no weight_map"):
        weight_files(tmp_path)


def test_an_index_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"one": "../other/model.safetensors"}}))
    with pytest.raises(InputError, match="not a file of its folder"):
        weight_files(tmp_path)


@pytest.mark.parametrize("lost", [3, -40])
def test_a_truncated_or_lengthened_shard_is_named(lost: int, tmp_path: Path) -> None:
    write_shards(tmp_path)
    path = tmp_path / "two.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-lost] if lost > 0 else data + b"\0" * -lost)
    with pytest.raises(InputError, match=r"two\.safetensors is damaged"):
        stored_in_model(tmp_path)


def test_a_tensor_that_two_shards_hold_is_refused(tmp_path: Path) -> None:
    write_shards(tmp_path)
    save_file({"one": torch.zeros(2), "two": torch.ones(2)}, tmp_path / "two.safetensors")
    with pytest.raises(InputError, match="has one in one"):
        stored_in_model(tmp_path)


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        b"[]",
        b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}',  # longer than the file
        b'{"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}',  # a shape of other bytes
        b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}',
        b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"v":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        b'{"w":{"dtype":"X9","shape":[2],"data_offsets":[0,8]}}',
        b'{"w":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}',
    ],
)
def test_a_header_that_lies_is_refused(header: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is damaged"):
        stored_in(with_header(tmp_path / "model.safetensors", header))


def test_a_header_longer_than_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes((1 << 40).to_bytes(8, "little") + b"{}")
    with pytest.raises(InputError, match="is damaged"):
        stored_in(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="is damaged"):
        stored_in(tmp_path / "model.safetensors")


def test_a_file_that_is_cut_after_its_header_was_read_gives_no_wrong_values(tmp_path: Path) -> None:
    write_shards(tmp_path)
    stored = stored_in(tmp_path / "two.safetensors")["two"]
    path = tmp_path / "two.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match="ended within two"):
        stored.read()


def test_a_model_without_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match="take a model whose weights are safetensors"):
        weight_files(tmp_path)
