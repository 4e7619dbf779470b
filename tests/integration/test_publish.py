"""Publishing through real storage: a folder and an S3 server over HTTP, killed processes, and several publishers at once."""

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from serin.clients.storage import Storage, open_storage
from serin.core.errors import UsageError
from serin.core.params import StorageParams
from serin.core.revision import Revision
from serin.publish.evidence import CARD
from serin.publish.lineage.walk import walk
from serin.publish.record import Record
from serin.publish.registry.find import published, read_record
from serin.publish.registry.names import change_names, read_names
from serin.publish.removal.stored import stored_models
from serin.publish.verify import verify_stored

from ..unit.publish.outputs import Project
from .attempts import Attempts, Blow

AT = "2026-11-25T12:00:00+00:00"


@pytest.fixture(params=["folder", "s3"])
def params(request: pytest.FixtureRequest, tmp_path: Path) -> StorageParams:
    if request.param == "folder":
        return StorageParams(url=str(tmp_path / "storage"))
    return StorageParams(url=f"s3://serin/{tmp_path.name}", endpoint_url=request.getfixturevalue("s3_endpoint"))


@pytest.fixture
def project(params: StorageParams, tmp_path: Path) -> Project:
    project = Project(tmp_path / "project", open_storage(params))
    (project.folder / "params.yaml").write_text(yaml.safe_dump({"storage": params.model_dump()}))
    return project


def visible(storage: Storage, revision: Revision) -> Record:
    """The record, after a look at everything that it promises."""
    record = read_record(storage, revision)
    verify_stored(storage, record.prefix, revision)
    assert walk(storage, record)["dataset"]["digest"]
    assert storage.read(f"{record.evidence}/{CARD}")
    return record


def serin(project: Project, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "serin", *arguments],
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_what_is_published_can_be_walked_back_to_its_data(project: Project) -> None:
    process = serin(project, "publish")
    output, _ = process.communicate()
    assert (process.returncode, output) == (0, f"published {project.revision}\n")
    assert visible(project.storage, project.revision).model_uri == project.storage.uri(project.prefix)


def test_a_no_ends_with_3_names_the_rule_and_shows_nothing(project: Project) -> None:
    project.evaluate(passed=False)
    process = serin(project, "publish")
    output, _ = process.communicate()
    assert process.returncode == 3
    assert "lower bound, over base in all: -0.100, and has to be above 0.000, missed by 0.100" in output
    assert published(project.storage) == []


def test_of_two_that_publish_the_same_model_at_once_neither_is_lost(project: Project) -> None:
    reasons = [f"reason number {number}" for number in range(2)]
    processes = [
        serin(project, "publish", "--no-evaluation", "--override", reason, "--out", f"out-{n}")
        for n, reason in enumerate(reasons)
    ]
    for process in processes:
        output, _ = process.communicate()
        assert process.returncode == 0, output
    record = visible(project.storage, project.revision)
    assert sorted([record.override or "", *(entry.override or "" for entry in record.history)]) == reasons


def test_many_that_say_the_same_at_once_say_it_once(project: Project) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: project.publish(out=f"out-{number}"), range(6)))
    record = visible(project.storage, project.revision)
    assert record.history == ()


def test_two_that_give_the_same_version_do_not_both_get_it(project: Project) -> None:
    def give(digest: str) -> bool:
        try:
            change_names(project.storage, "law", lambda names: names.with_version("v1.0.0", digest, AT))
        except UsageError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(give, [letter * 64 for letter in "abcd"]))
    assert sum(got) == 1
    assert len(read_names(project.storage, "law").history) == 1


def test_stored_models_tell_their_size_and_age(project: Project) -> None:
    (model,) = stored_models(project.storage)
    assert (model.revision, model.prefix, model.is_complete) == (project.revision, project.prefix, True)
    assert model.size_bytes == sum(size for _, size in project.storage.sizes(f"{project.prefix}/"))


MEASURED = """
import resource, sys
from serin.clients.storage import open_storage
from serin.core.params import StorageParams
from serin.core.revision import Revision
from serin.publish.verify import verify_stored

url, endpoint_url, prefix, revision = sys.argv[1:]
storage = open_storage(StorageParams(url=url, endpoint_url=endpoint_url or None))
storage.list(prefix)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
verify_stored(storage, prefix, Revision.parse(revision))
print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""


def test_checking_a_large_model_takes_little_memory(project: Project, params: StorageParams) -> None:
    big = 96 << 20
    project.merge(b"\0" * big)
    arguments = (params.url, params.endpoint_url or "", project.prefix, str(project.revision))
    done = subprocess.run([sys.executable, "-c", MEASURED, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < big / 3


FOLDER = "serin.clients.storage.folder:FolderStorage"
BLOWS = [
    *(Blow(f"{FOLDER}.write", call, signal.SIGKILL) for call in (1, 4, 10)),
    *(Blow(f"{FOLDER}.replace", 1, signal.SIGKILL, before) for before in (True, False)),
    Blow("serin.clients.files:write_json", 1, signal.SIGKILL),
    Blow("serin.clients.files:seal", 1, signal.SIGKILL, before=False),
]


@pytest.mark.parametrize("blow", BLOWS, ids=lambda b: f"{b.function.rpartition('.')[2]}-{b.call}-{b.before}")
def test_killed_anywhere_it_is_visible_with_everything_or_not_visible(
    blow: Blow, tmp_path: Path, attempts: Attempts
) -> None:
    project = Project(tmp_path)
    (tmp_path / "params.yaml").write_text("{}\n")
    killed = attempts.run(tmp_path, "publish", blows=[blow])
    assert killed.code == -signal.SIGKILL, killed.output
    if project.revision in published(project.storage):
        visible(project.storage, project.revision)
    assert (
        not (tmp_path / "artifacts/published/published.json").exists()
        or (tmp_path / "artifacts/published/manifest.json").exists()
    )

    again = attempts.run(tmp_path, "publish")
    assert again.code == 0, again.output
    record = visible(project.storage, project.revision)
    assert record.history == ()
    assert (
        json.loads((tmp_path / "artifacts/published/published.json").read_text())["digest"] == project.revision.digest
    )
    assert len({key.split("/")[3] for key in project.storage.list("lineage/")}) == 1
