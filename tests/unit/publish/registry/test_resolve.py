"""What a person may write for a revision."""

import re
from pathlib import Path

import pytest

from serin.core.errors import InputError, UsageError
from serin.core.revision import Revision
from serin.publish.registry.names import change_names
from serin.publish.registry.resolve import find_record, resolve
from serin.publish.removal.delete import execute, plan

from ..outputs import Project

AT = "2026-11-25T12:00:00+00:00"


@pytest.fixture
def named(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.publish()
    digest = project.revision.digest
    change_names(
        project.storage, "law", lambda n: n.with_version("v1.2.0", digest, AT).with_stage("production", digest, AT)
    )
    return project


def test_every_form_finds_it(named: Project) -> None:
    digest = named.revision.digest
    header = str(named.revision)
    forms = (
        header,
        f"law@{digest[:8]}",
        digest,
        digest[:8],
        f"law-{digest[:8]}",
        "law@v1.2.0",
        "law#production",
        f" {header}\n",
    )
    assert {resolve(form, named.storage, named.folder) for form in forms} == {named.revision}


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("law", UsageError, "'law' is no revision"),
        ("law@", UsageError, "expected name@digest"),
        ("law@abc", UsageError, "is no revision"),
        ("law@00000000", InputError, "no published revision begins with 00000000; published: law@"),
        ("tax@00000000", InputError, "published: none"),
        ("law@v9.0.0", InputError, r"nothing is law@v9\.0\.0"),
        ("law#staging", InputError, "nothing is law#staging"),
    ],
)
def test_what_names_nothing_says_what_there_is(named: Project, text: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        resolve(text, named.storage, named.folder)


def test_a_beginning_of_several_is_not_guessed(named: Project) -> None:
    data = named.storage.read(f"published/law/{named.revision.digest}.json")
    digest = named.revision.digest
    other = digest[:12] + "0" * 52
    named.storage.write(f"published/law/{other}.json", data.replace(digest.encode(), other.encode()))
    with pytest.raises(InputError, match="beginning of 2 revisions: give more digits"):
        resolve(digest[:8], named.storage, named.folder)
    assert resolve(digest[:20], named.storage, named.folder) == Revision("law", digest)


def test_a_deleted_one_is_known_by_all_its_names_but_no_longer_published(named: Project) -> None:
    execute(plan(named.revision, named.storage, named.folder, []), named.storage, named.folder, "it was wrong", AT)
    with pytest.raises(InputError, match=re.escape("which is not published any more")):
        resolve("law@v1.2.0", named.storage, named.folder)
    for text in ("law@v1.2.0", named.revision.digest[:8], str(named.revision)):
        record, deleted = find_record(text, named.storage, named.folder)
        assert record.revision == named.revision
        assert deleted is not None
        assert deleted.reason == "it was wrong"
    with pytest.raises(InputError, match="nothing is law#production"):
        find_record("law#production", named.storage, named.folder)
