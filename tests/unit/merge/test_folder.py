import json
from pathlib import Path
from typing import Any

import pytest
import torch

from serin.merge.folder import copy_files, set_config
from serin.merge.placement import Changes


def folder_of(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).write_text(f"{path.name} {name}")
    return path


def copied(base: Path, trained: Path | None, out: Path) -> dict[str, str]:
    out.mkdir()
    copy_files(base, trained, out)
    return {path.name: path.read_text().split()[0] for path in out.iterdir()}


BASE = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "added_tokens.json",
    "generation_config.json",
    "LICENSE",
)
NO_PART = (
    "README.md",
    ".gitattributes",
    "manifest.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "a.gguf",
)


def test_weights_in_other_formats_and_pages_about_the_base_are_left_behind(tmp_path: Path) -> None:
    base = folder_of(tmp_path / "base", *BASE, *NO_PART)
    assert copied(base, None, tmp_path / "out").keys() == set(BASE)


def test_an_adapter_without_a_tokenizer_leaves_that_of_the_base(tmp_path: Path) -> None:
    base = folder_of(tmp_path / "base", *BASE)
    adapter = folder_of(tmp_path / "adapter", "adapter_config.json", "metrics.json", "log.json", "training.tsv")
    assert copied(base, adapter, tmp_path / "out") == dict.fromkeys(BASE, "base")


def test_a_tokenizer_takes_the_place_of_all_files_of_the_old_one(tmp_path: Path) -> None:
    base = folder_of(tmp_path / "base", *BASE)
    adapter = folder_of(tmp_path / "adapter", "adapter_config.json", "tokenizer.json", "chat_template.jinja")
    assert copied(base, adapter, tmp_path / "out") == {
        "config.json": "base",
        "generation_config.json": "base",
        "LICENSE": "base",
        "tokenizer.json": "adapter",
        "chat_template.jinja": "adapter",
    }


def test_a_whole_model_brings_its_config_and_the_base_its_licence(tmp_path: Path) -> None:
    base = folder_of(tmp_path / "base", *BASE)
    weights = folder_of(tmp_path / "weights", "config.json", "tokenizer.json", "metrics.json")
    assert copied(base, weights, tmp_path / "out") == {
        "config.json": "weights",
        "tokenizer.json": "weights",
        "generation_config.json": "base",
        "LICENSE": "base",
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            {"vocab_size": 8, "torch_dtype": "float32"},
            {"vocab_size": 9, "dtype": "bfloat16", "tie_word_embeddings": False},
        ),
        (
            {"text_config": {"vocab_size": 8, "tie_word_embeddings": True}},
            {
                "text_config": {"vocab_size": 9, "tie_word_embeddings": False},
                "dtype": "bfloat16",
                "tie_word_embeddings": False,
            },
        ),
    ],
)
def test_the_config_follows_the_weights(before: dict[str, Any], after: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(before))
    set_config(tmp_path, Changes(unties=True, vocabulary=9), torch.bfloat16)
    assert json.loads((tmp_path / "config.json").read_text()) == after
