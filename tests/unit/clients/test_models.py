"""A stored model and the pointer to it."""

from pathlib import Path

import pytest

from serin.clients.files import read_manifest, seal
from serin.clients.models import POINTER, Pointer, read_pointer, store_model
from serin.clients.storage import FolderStorage
from serin.core.errors import InputError


def test_a_stored_model_is_found_by_its_pointer(tmp_path: Path) -> None:
    model, storage = tmp_path / "model", FolderStorage(tmp_path / "storage")
    model.mkdir()
    (model / "weights").write_bytes(b"1")
    manifest = seal(model, kind="model", inputs={"base": "ab"}, params={"scheme": "w4a16"})
    stored = store_model(manifest, model, "law-qa", storage, tmp_path / "out")
    assert stored == Pointer("law-qa", manifest.digest, f"models/law-qa/{manifest.digest}", {"base": "ab"})
    assert read_pointer(tmp_path / "out") == stored
    found = storage.fetch_folder(stored.prefix, tmp_path / "unused")
    assert read_manifest(found, "model", verify=True).digest == stored.digest
    assert read_manifest(tmp_path / "out", "pointer", verify=True).params == {"scheme": "w4a16"}


@pytest.mark.parametrize("text", ["[]", "{}", '{"name": "law-qa", "digest": "ab", "prefix": "models/law-qa/ab"}'])
def test_another_file_is_no_pointer(text: str, tmp_path: Path) -> None:
    (tmp_path / POINTER).write_text(text)
    with pytest.raises(InputError, match=r"is no pointer to a stored model .*: run 'serin merge' again"):
        read_pointer(tmp_path)
