"""A tiny real model that tests train, merge, evaluate and serve: Qwen3 with ChatML, made in a second."""

import signal
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell starts background jobs with SIGINT ignored, and their children inherit that: tests send it on purpose."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder: two layers, random weights, its own byte-level BPE tokenizer."""
    import torch

    from serin.base.pretrain import new_model
    from serin.base.tokenizer import save_tokenizer, train_tokenizer
    from serin.core.params import RebuildParams

    folder = tmp_path_factory.mktemp("tiny") / "base"
    text = ["How long may a probation period last? At most six months.", "试用期最长不得超过六个月。第十九条。"] * 20
    tokenizer = train_tokenizer(text, 512)
    torch.manual_seed(0)
    model = new_model(RebuildParams(hidden_size=128, layers=2, row_tokens=128), tokenizer)
    model.to(torch.bfloat16).save_pretrained(str(folder))
    save_tokenizer(tokenizer, folder)
    return folder
