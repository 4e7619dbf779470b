import json
from pathlib import Path

import pytest

from serin.core.errors import ConfigError, UsageError
from serin.project.base_model import find_base

COMMIT = "0123456789abcdef" * 2 + "01234567"


def test_a_folder_says_how_long_its_context_is(base: Path) -> None:
    found = find_base(str(base), None)
    assert found.folder == base
    assert found.context_tokens == json.loads((base / "config.json").read_text())["max_position_embeddings"]


def test_a_model_of_several_parts_has_the_context_of_its_text_part(base: Path) -> None:
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({"text_config": config | {"max_position_embeddings": 77}}))
    assert find_base(str(base), None).context_tokens == 77


def test_a_hub_id_is_taken_with_its_commit() -> None:
    found = find_base("someone/a-model-1.5", COMMIT)
    assert (found.folder, found.revision, found.context_tokens) == (None, COMMIT, None)


@pytest.mark.parametrize(
    ("name", "revision", "words"),
    [
        ("someone/model", None, "no --revision"),
        ("someone/model", "main", "--revision main"),
        ("models/no/such", COMMIT, "no such folder, and no hub id"),
        ("./model", None, "no such folder, and no hub id"),
        ("model", None, "no such folder, and no hub id"),
    ],
)
def test_what_names_no_model_is_refused(name: str, revision: str | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        find_base(name, revision)


def test_a_folder_with_a_revision_is_refused(base: Path) -> None:
    with pytest.raises(UsageError, match="only a hub id has one"):
        find_base(str(base), COMMIT)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("config.json", r"no config\.json"),
        ("tokenizer.json", r"no tokenizer\.json"),
        ("tokenizer_config.json", r"no tokenizer_config\.json"),
        ("model.safetensors", r"no \*\.safetensors"),
        ("chat_template.jinja", "no chat template"),
    ],
)
def test_a_folder_that_lacks_something_is_refused(base: Path, file: str, words: str) -> None:
    (base / file).unlink()
    with pytest.raises(ConfigError, match=words):
        find_base(str(base), None)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_a_damaged_file_is_named(base: Path, file: str) -> None:
    (base / file).write_text("{")
    with pytest.raises(ConfigError, match=file):
        find_base(str(base), None)
