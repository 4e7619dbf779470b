"""Server-side apply on /status, as the API server does it."""

from typing import Any

import pytest

from .http import APPLY, MERGE, ask
from .standin import StandIn

CRD: dict[str, Any] = {
    "metadata": {"name": "notes.example.dev"},
    "spec": {
        "group": "example.dev",
        "scope": "Namespaced",
        "names": {"plural": "notes", "kind": "Note", "singular": "note"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                            "status": {
                                "type": "object",
                                "properties": {
                                    "phase": {"type": "string"},
                                    "step": {"type": "integer"},
                                    "missed": {"type": "array", "items": {"type": "string"}},
                                    "conditions": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["type"],
                                        "items": {
                                            "type": "object",
                                            "required": ["type"],
                                            "properties": {"type": {"type": "string"}, "status": {"type": "string"}},
                                        },
                                    },
                                },
                            },
                        },
                    }
                },
            }
        ],
    },
}
NOTES = "/apis/example.dev/v1/namespaces/serin/notes"


class Notes:
    """One object, and managers that apply its status."""

    def __init__(self, standin: StandIn) -> None:
        self.standin = standin
        self.made = standin.create(
            {"apiVersion": "example.dev/v1", "kind": "Note", "metadata": {"name": "a"}, "spec": {"x": 1}}
        )

    def apply(self, manager: str, force: bool = False, **status: Any) -> tuple[int, Any]:
        """Server-side apply on /status."""
        body = {"apiVersion": "example.dev/v1", "kind": "Note", "metadata": {"name": "a"}, "status": status}
        return ask(
            self.standin, "PATCH", f"{NOTES}/a/status?fieldManager={manager}&force={str(force).lower()}", body, APPLY
        )


@pytest.fixture
def notes() -> Any:
    with StandIn(auto=False, crds=[CRD]) as standin:
        yield Notes(standin)


def test_what_its_manager_leaves_out_is_removed(notes: Notes) -> None:
    notes.apply(
        "a",
        phase="Running",
        step=1,
        conditions=[{"type": "Running", "status": "True"}, {"type": "Old", "status": "True"}],
    )
    _, found = notes.apply("a", step=2, conditions=[{"type": "Running", "status": "True"}])
    assert found["status"] == {"step": 2, "conditions": [{"type": "Running", "status": "True"}]}


def test_another_managers_condition_stays(notes: Notes) -> None:
    notes.apply("b", conditions=[{"type": "Theirs", "status": "True"}])
    notes.apply("a", phase="Running", conditions=[{"type": "Mine", "status": "True"}])
    _, found = notes.apply("a", phase="Running")
    assert found["status"]["conditions"] == [{"type": "Theirs", "status": "True"}]


def test_what_two_managers_want_alike_stays_when_one_leaves_it_out(notes: Notes) -> None:
    notes.apply("a", phase="Running", step=1)
    notes.apply("b", phase="Running")
    _, found = notes.apply("a", step=1)
    assert found["status"] == {"phase": "Running", "step": 1}


def test_a_field_that_another_manager_wants_otherwise_is_a_conflict_unless_forced(notes: Notes) -> None:
    notes.apply("a", phase="Running", step=1)
    code, refusal = notes.apply("b", phase="Failed")
    assert code == 409
    assert 'conflict with "a"' in refusal["message"]
    assert ".status.phase" in refusal["message"]
    code, found = notes.apply("b", force=True, phase="Failed")
    assert (code, found["status"]) == (200, {"phase": "Failed", "step": 1})
    _, found = notes.apply("a", step=1)
    assert found["status"] == {"phase": "Failed", "step": 1}  # it is b's now


def test_a_list_without_a_list_type_is_one_field(notes: Notes) -> None:
    notes.apply("a", missed=["x", "y"])
    code, _ = notes.apply("b", missed=["z"])
    assert code == 409
    _, found = notes.apply("a", missed=["y"])
    assert found["status"]["missed"] == ["y"]


def test_applying_the_same_again_writes_nothing(notes: Notes) -> None:
    _, first = notes.apply("a", phase="Running", conditions=[{"type": "Mine", "status": "True"}])
    version = notes.standin.store.version
    _, second = notes.apply("a", phase="Running", conditions=[{"type": "Mine", "status": "True"}])
    assert first == second
    assert notes.standin.store.version == version


def test_status_is_written_under_status_alone(notes: Notes) -> None:
    notes.apply("a", phase="Running")
    _, found = ask(notes.standin, "PATCH", f"{NOTES}/a", {"spec": {"x": 2}, "status": {"phase": "Hacked"}}, MERGE)
    assert (found["spec"], found["status"]) == ({"x": 2}, {"phase": "Running"})
    assert found["metadata"]["generation"] == 2
    _, found = ask(notes.standin, "PATCH", f"{NOTES}/a/status", {"spec": {"x": 3}, "status": {"phase": "Done"}}, MERGE)
    assert (found["spec"], found["status"]) == ({"x": 2}, {"phase": "Done"})
    assert found["metadata"]["generation"] == 2


def test_a_patch_takes_the_field_from_who_applied_it(notes: Notes) -> None:
    notes.apply("a", phase="Running", step=1)
    ask(notes.standin, "PATCH", f"{NOTES}/a/status?fieldManager=hand", {"status": {"phase": "Done"}}, MERGE)
    code, refusal = notes.apply("a", phase="Running", step=1)
    assert code == 409
    assert 'conflict with "hand"' in refusal["message"]


def test_managed_fields_are_written_as_kubernetes_writes_them(notes: Notes) -> None:
    _, found = notes.apply("a", step=1, conditions=[{"type": "Mine", "status": "True"}])
    (entry,) = [e for e in found["metadata"]["managedFields"] if e["operation"] == "Apply"]
    condition = {".": {}, "f:type": {}, "f:status": {}}
    assert entry["fieldsV1"] == {"f:status": {"f:step": {}, "f:conditions": {'k:{"type":"Mine"}': condition}}}
    assert (entry["manager"], entry["subresource"]) == ("a", "status")


def test_nothing_is_applied_to_the_status_of_what_is_not_there(notes: Notes) -> None:
    body = {"apiVersion": "example.dev/v1", "kind": "Note", "metadata": {"name": "b"}, "status": {"phase": "Running"}}
    code, _ = ask(notes.standin, "PATCH", f"{NOTES}/b/status?fieldManager=a", body, APPLY)
    assert code == 404
    body["metadata"] = {"name": "a", "uid": "another"}
    code, _ = ask(notes.standin, "PATCH", f"{NOTES}/a/status?fieldManager=a", body, APPLY)
    assert code == 409
