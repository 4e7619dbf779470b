import json
from pathlib import Path

import pytest

from serin.clients.dvc_remote import DvcRemote
from serin.clients.storage import FolderStorage
from serin.core.errors import InputError
from serin.job.inputs import content_of, hash_inputs, places_of, store_inputs


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """An output of ``serin base`` that names a folder."""
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/config.json").write_text("{}")
    folder = tmp_path / "base"
    folder.mkdir()
    record = {"model": "weights", "revision": None, "folder": str(tmp_path / "weights"), "digest": "d", "files": {}}
    (folder / "base.json").write_text(json.dumps(record))
    (folder / "manifest.json").write_text("{}")
    return folder


def test_a_base_model_that_is_a_folder_goes_along(base: Path) -> None:
    assert places_of(["base"], {"base": base}) == {"base": base, "model": base.with_name("weights")}


def test_a_base_model_of_a_hub_does_not(base: Path) -> None:
    (base / "base.json").write_text(json.dumps({"model": "a/b", "revision": "c" * 40, "folder": None}))
    assert places_of(["base"], {"base": base}) == {"base": base}


def test_an_input_that_is_missing_or_half_written_names_the_stage_that_makes_it(tmp_path: Path) -> None:
    (tmp_path / "dataset").mkdir()
    with pytest.raises(InputError, match="dataset is missing or not whole: run 'serin prepare'"):
        places_of(["dataset"], {"dataset": tmp_path / "dataset"})


def test_the_hash_is_dvcs_own(tmp_path: Path) -> None:
    """Of a folder with ``a`` (``x``) and ``b/c`` (``y``), by ``dvc add`` of DVC 3."""
    folder = tmp_path / "folder"
    (folder / "b").mkdir(parents=True)
    (folder / "a").write_text("x")
    (folder / "b/c").write_text("y")
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.meta import Meta
    from dvc_data.hashfile.tree import Tree

    tree = Tree()
    for key, content in (
        (("a",), "9dd4e461268c8034f5c8564e155c67a6"),
        (("b", "c"), "415290769594460e2e485922904f345d"),
    ):
        tree.add(key, Meta(), HashInfo("md5", content))
    tree.digest()
    assert content_of(folder) == tree.hash_info.value
    assert content_of(folder / "a") == "9dd4e461268c8034f5c8564e155c67a6"


def test_storing_and_hashing_agree_and_hashing_stores_nothing(base: Path, tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "storage")
    places = places_of(["base"], {"base": base})
    hashed = hash_inputs(places)
    assert not (tmp_path / "storage").exists()
    assert store_inputs(places, DvcRemote(storage)) == hashed
    assert all(not DvcRemote(storage).missing(content) for content in hashed.values())
