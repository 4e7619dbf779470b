"""``serin evaluate --pin``: the production revision stands in params.yaml, and everything else there stays."""

from pathlib import Path

import pytest

from serin.clients.storage import FolderStorage
from serin.core.errors import ConfigError
from serin.core.params import MergeParams, Params, StorageParams
from serin.project.pin import pin_stage, set_param
from serin.publish.registry.names import Names, change_names

DIGEST = "3f9a" * 16
TEXT = """\
# What we do.
storage: {url: store}

evaluate:
  batch_size: 8   # enough
  rules:
    - {metric: token_f1, over: base, above: 0.1}  # better
"""


def project(folder: Path) -> tuple[Params, Path]:
    path = folder / "params.yaml"
    path.write_text(TEXT)
    storage = StorageParams(url=str(folder / "store"))
    return Params(storage=storage, merge=MergeParams(name="law-qa")), path


def test_the_revision_of_the_stage_is_written_and_comments_stay(tmp_path: Path) -> None:
    params, path = project(tmp_path)

    def promoted(names: Names) -> Names:
        return names.with_stage("production", DIGEST, "2026-11-25T00:00:00Z")

    change_names(FolderStorage(tmp_path / "store"), "law-qa", promoted)
    assert str(pin_stage(params, path, "production")) == f"law-qa@{DIGEST}"
    assert path.read_text() == TEXT.replace("evaluate:\n", f"evaluate:\n  against: law-qa@{DIGEST}\n")


def test_nothing_in_that_stage_is_said_with_what_to_do(tmp_path: Path) -> None:
    params, path = project(tmp_path)
    with pytest.raises(ConfigError, match=r"no revision of law-qa is in production: .*serin models tag"):
        pin_stage(params, path, "production")
    assert path.read_text() == TEXT


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("train: {epochs: 2}\n", "train: {epochs: 2}\n\nevaluate:\n  against: a@b\n"),
        ("", "evaluate:\n  against: a@b\n"),
        ("evaluate:  # later\ntrain: {}\n", "evaluate:\n  against: a@b  # later\ntrain: {}\n"),
        ("evaluate: {}\n", "evaluate: {against: a@b}\n"),
        ("evaluate: {seed: 3}\n", "evaluate: {against: a@b, seed: 3}\n"),
        ("evaluate:\n    # ours\n    seed: 3\n", "evaluate:\n    # ours\n    against: a@b\n    seed: 3\n"),
        ("evaluate:\n  against: null  # none\n", "evaluate:\n  against: a@b  # none\n"),
        ("evaluate:\n  seed: 3\n  against: 'x@y'\n", "evaluate:\n  seed: 3\n  against: a@b\n"),
    ],
)
def test_one_field_is_set_and_every_other_character_stays(before: str, after: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(before)
    set_param(path, "evaluate", "against", "a@b")
    assert path.read_text() == after
