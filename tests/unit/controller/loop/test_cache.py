"""What the cluster said last, whoever says it and in whatever order it arrives."""

from typing import Any

from serin.controller.loop.cache import Cache


def found(name: str, version: int, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": str(version), "uid": f"uid-{name}"}, **more}


def cache() -> Cache:
    return Cache(lambda each: [f"owner/{each.get('owner', 'nobody')}"])


def test_objects_are_found_by_name_and_by_word() -> None:
    known = cache()
    known.put(found("b", 1, owner="x"))
    known.put(found("a", 2, owner="x"))
    known.put(found("c", 3, owner="y"))
    assert [each["metadata"]["name"] for each in known.by("owner/x")] == ["a", "b"]
    assert known.get("c") == found("c", 3, owner="y")
    assert known.get("d") is None


def test_what_was_just_written_is_not_undone_by_a_watch_that_lags() -> None:
    known = cache()
    known.put(found("a", 7, status="new"))
    assert not known.put(found("a", 5, status="old"))
    assert not known.remove(found("a", 6))
    assert known.get("a") == found("a", 7, status="new")
    assert known.remove(found("a", 8))
    assert known.get("a") is None


def test_a_list_removes_what_is_gone_and_spares_what_was_made_since() -> None:
    known = cache()
    known.put(found("gone", 3, owner="x"))
    known.put(found("same", 4))
    known.put(found("made since", 11))
    version, changed = known.reset([([found("same", 4)], "10"), ([found("new", 9, owner="y")], "10")])
    assert version == "10"
    assert sorted(known.names()) == ["made since", "new", "same"]
    assert changed == {"gone", "owner/x", "new", "owner/y"}


def test_the_same_again_is_no_change() -> None:
    known = cache()
    assert known.put(found("a", 1))
    assert not known.put(found("a", 1))


def test_an_object_that_changes_its_word_is_no_longer_found_by_the_old_one() -> None:
    known = cache()
    known.put(found("a", 1, owner="x"))
    known.put(found("a", 2, owner="y"))
    assert known.by("owner/x") == []
    assert len(known.by("owner/y")) == 1


def test_who_owns_which_field_is_not_kept_and_no_reader_changes_what_others_see() -> None:
    known = cache()
    each = found("a", 1)
    each["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    known.put(each)
    read = known.get("a")
    assert read is not None
    assert "managedFields" not in read["metadata"]
    read["metadata"]["name"] = "changed"
    assert known.get("a") == found("a", 1)
