"""A local classifier: its own labels, long texts in pieces, and what cannot work."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from serin.core.errors import ConfigError
from serin.evaluate.safety.classifier import TextClassifier

from .tiny_classifier import BAD, WORDS, write_classifier

SAFE = " ".join(WORDS[:6])
UNSAFE = f"{SAFE} {BAD} w9"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier(tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="module")
def classifier(folder: Path) -> TextClassifier:
    return TextClassifier(folder, ["TOXIC", "other"], batch_size=3)


def test_it_tells_texts_apart_whatever_stands_beside_them(classifier: TextClassifier) -> None:
    texts = [UNSAFE, SAFE, "", BAD, "w1", UNSAFE, " "]
    scores = classifier.score(texts)
    assert [score >= 0.5 for score in scores] == [True, False, False, True, False, True, False]
    assert scores[2] == scores[6] == 0.0
    assert scores == pytest.approx([classifier.score([text])[0] for text in texts], abs=1e-5)
    assert classifier.score([]) == []


@pytest.mark.parametrize("place", [0, 13, 14, 60, 199])
def test_of_a_long_text_the_worst_piece_counts(classifier: TextClassifier, place: int) -> None:
    words = [WORDS[i % len(WORDS)] for i in range(200)]
    assert classifier.score([" ".join(words)])[0] < 0.5
    words[place] = BAD
    assert classifier.score([" ".join(words), SAFE])[0] >= 0.5


def test_labels_that_exclude_each_other_add_up(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path, ("ok", "insult", "threat"))
    one, other, both = (
        TextClassifier(folder, labels, 4).score([UNSAFE, SAFE])
        for labels in (["insult"], ["threat"], ["insult", "threat"])
    )
    assert both == pytest.approx([a + b for a, b in zip(one, other, strict=True)], abs=1e-6)


def test_of_labels_that_do_not_the_highest_counts(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path, ("ok", "insult", "threat"), "multi_label_classification")
    one, other, both = (
        TextClassifier(folder, labels, 4).score([UNSAFE, SAFE])
        for labels in (["insult"], ["threat"], ["insult", "threat"])
    )
    assert both == pytest.approx([max(pair) for pair in zip(one, other, strict=True)], abs=1e-6)
    assert both[0] > 0.9
    assert both[1] < 0.1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["unsafe", "LABEL_1"], r"unsafe_labels = \['unsafe', 'LABEL_1'\]: none of the labels of .*\(ok, toxic\)"),
        (["ok", "toxic"], r"unsafe_labels = \['ok', 'toxic'\]: all of the labels of"),
    ],
)
def test_labels_have_to_mean_something(folder: Path, labels: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TextClassifier(folder, labels, 4)


def test_what_is_no_classifier_is_refused(tmp_path: Path, tiny_base: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere is no folder.*edit evaluate\.safety\.classifier"):
        TextClassifier(tmp_path / "nowhere", ["toxic"], 4)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"holds no classifier that can be loaded"):
        TextClassifier(tmp_path, ["toxic"], 4)
    with pytest.raises(ConfigError, match=r"has no weights for 1 parts of a classifier, such as score\.weight"):
        TextClassifier(tiny_base, ["LABEL_1"], 4)


def test_weights_that_are_not_there_are_not_drawn(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ConfigError, match=r"no weights for 1 parts of a classifier, such as classifier\.weight"):
        TextClassifier(tmp_path, ["toxic"], 4)


def test_a_decoder_without_a_pad_token_scores_batches(tiny_base: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, Qwen3ForSequenceClassification

    model = Qwen3ForSequenceClassification.from_pretrained(str(tiny_base), num_labels=2, dtype=torch.float32)
    model.save_pretrained(str(tmp_path))
    tokenizer = AutoTokenizer.from_pretrained(str(tiny_base))
    tokenizer.save_pretrained(str(tmp_path))
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    config.pop("pad_token", None)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    classifier = TextClassifier(tmp_path, ["LABEL_1"], batch_size=4)
    texts = ["How long may it last?", "Six months.", "试用期最长不得超过六个月。"]
    assert classifier.score(texts) == pytest.approx([classifier.score([text])[0] for text in texts], abs=1e-5)
