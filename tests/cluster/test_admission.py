"""The stand-in admits custom resources as an API server does."""

from typing import Any

import pytest

from .standin.admission import admit, unknown_fields
from .standin.refusals import Refusal

Object = dict[str, Any]


def _crd(spec: Object, rules: list[Object] | None = None) -> Object:
    schema: Object = {"type": "object", "required": ["spec"], "properties": {"spec": {"type": "object"} | spec}}
    if rules:
        schema["x-kubernetes-validations"] = rules
    version = {"name": "v1", "schema": {"openAPIV3Schema": schema}}
    return {"spec": {"group": "test.dev", "names": {"kind": "Thing"}, "versions": [version]}}


def _thing(spec: Any, name: str = "a") -> Object:
    return {
        "apiVersion": "test.dev/v1",
        "kind": "Thing",
        "metadata": {"name": name, "labels": {"x": "y"}},
        "spec": spec,
    }


def _faults(crd: Object, new: Object, old: Object | None = None) -> str:
    with pytest.raises(Refusal) as caught:
        admit(crd, new, old)
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
    return caught.value.message


ITEM = {"type": "object", "properties": {"n": {"type": "integer", "default": 1}}}
FIELDS = {
    "properties": {
        "size": {"type": "integer", "minimum": 1, "default": 3},
        "share": {"type": "number", "exclusiveMaximum": True, "maximum": 1},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "name": {"type": "string", "maxLength": 3, "pattern": "^[a-z]+$"},
        "often": {"type": "integer", "default": 5, "nullable": True},
        "inner": {"type": "object", "default": {}, "properties": {"on": {"type": "boolean", "default": True}}},
        "list": {"type": "array", "maxItems": 2, "items": ITEM},
        "map": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 1},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    }
}  # fmt: skip


def test_defaults_fill_what_is_missing_at_every_depth() -> None:
    stored = admit(_crd(FIELDS), _thing({"list": [{}, {"n": 4}]}), None)
    assert stored["spec"] == {"size": 3, "often": 5, "inner": {"on": True}, "list": [{"n": 1}, {"n": 4}]}
    assert stored["metadata"] == {"name": "a", "labels": {"x": "y"}}


def test_a_null_is_kept_where_it_is_allowed_and_is_the_default_or_nothing_elsewhere() -> None:
    stored = admit(_crd(FIELDS), _thing({"often": None, "size": None, "kind": None}), None)
    assert stored["spec"] == {"size": 3, "often": None, "inner": {"on": True}}


def test_unknown_fields_are_dropped_and_named_for_a_strict_request() -> None:
    crd, sent = (
        _crd(FIELDS),
        _thing({"sise": 4, "inner": {"of": 1}, "list": [{"m": 1}], "map": {"k": "v"}, "free": {"any": 1}}),
    )
    assert unknown_fields(crd, sent) == ["spec.sise", "spec.inner.of", "spec.list[0].m"]
    stored = admit(crd, sent, None)["spec"]
    assert stored["map"] == {"k": "v"}
    assert stored["free"] == {"any": 1}
    assert stored["list"] == [{"n": 1}]
    assert "sise" not in stored
    assert sent["spec"]["sise"] == 4  # what was sent is left alone


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({"size": 0}, "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"),
        ({"size": "3"}, 'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"'),
        ({"size": 1.5}, "must be of type integer"),
        ({"size": 2**63}, "must be of type integer"),
        ({"size": True}, "must be of type integer"),
        ({"share": 1}, "spec.share in body should be less than 1"),
        ({"kind": "c"}, 'spec.kind: Unsupported value: "c": supported values: "a", "b"'),
        ({"name": "abcd"}, "spec.name: Too long: may not be more than 3 bytes"),
        ({"name": "A"}, "spec.name in body should match '^[a-z]+$'"),
        ({"name": "a\n"}, "should match"),
        ({"list": [{}, {}, {}]}, "spec.list: Too many: 3: must have at most 2 items"),
        ({"list": [{"n": "x"}]}, "spec.list[0].n in body must be of type integer"),
        ({"map": {"a": "b", "c": "d"}}, "spec.map: Too many: 2"),
        ({"map": {"a": 1}}, "spec.map.a in body must be of type string"),
        ({"inner": []}, "must be of type object"),
        ("text", "spec in body must be of type object"),
    ],
)
def test_what_the_schema_refuses_is_refused_in_the_servers_words(spec: Any, fault: str) -> None:
    assert fault in _faults(_crd(FIELDS), _thing(spec))


def test_every_fault_is_named_at_once() -> None:
    message = _faults(_crd(FIELDS), _thing({"size": 0, "kind": "c"}))
    assert message.startswith('Thing "a" is invalid: ')
    assert "spec.size" in message
    assert "spec.kind" in message


def test_a_missing_field_is_required() -> None:
    assert "spec: Required value" in _faults(
        _crd({}), {key: value for key, value in _thing({}).items() if key != "spec"}
    )


RUN = {
    "properties": {
        "run": {
            "type": "object",
            "properties": {"n": {"type": "number"}, "l": {"type": "array", "items": {"type": "integer"}}},
            "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "run never changes"}],
        },
        "on": {"type": "boolean"},
    },
    "required": ["run"],
}


def test_a_rule_on_the_old_self_holds_from_the_second_version_on() -> None:
    crd = _crd(RUN)
    old = admit(crd, _thing({"run": {"n": 1, "l": [1]}}), None)
    assert admit(crd, _thing({"run": {"n": 1.0, "l": [1]}, "on": True}), old)["spec"]["on"] is True
    for other in ({"n": 2, "l": [1]}, {"n": 1, "l": [1, 2]}, {"n": 1}):
        assert 'spec.run: Invalid value: "object": run never changes' in _faults(crd, _thing({"run": other}), old)


def test_rules_are_asked_only_of_what_the_schema_takes() -> None:
    rule = {"rule": "self.size > 2", "message": "too small"}
    crd = _crd(FIELDS | {"x-kubernetes-validations": [rule]})
    assert "too small" in _faults(crd, _thing({"size": 2}))
    message = _faults(crd, _thing({"size": "x"}))
    assert "too small" not in message
    assert "some validation rules were not checked" in message


def test_a_rule_at_the_root_sees_the_name_and_no_other_metadata() -> None:
    assert admit(_crd({}, [{"rule": "self.metadata.name.size() <= 3"}]), _thing({}, "abc"), None)["spec"] == {}
    assert "failed rule: self.metadata.name" in _faults(
        _crd({}, [{"rule": "self.metadata.name.size() <= 3"}]), _thing({}, "abcd")
    )
    assert "rule failed" in _faults(_crd({}, [{"rule": "self.metadata.labels.size() > 0"}]), _thing({}))


def test_a_rule_reads_numbers_as_the_schema_types_them() -> None:
    crd = _crd(FIELDS | {"x-kubernetes-validations": [{"rule": "!has(self.share) || self.share > 0.5"}]})
    assert admit(crd, _thing({"share": 0.75}), None)["spec"]["share"] == 0.75
    assert "failed rule" in _faults(crd, _thing({"share": 0}))


def test_what_did_not_change_is_not_checked_again() -> None:
    old = _thing({"size": 0, "often": 5, "inner": {"on": True}})
    renewed = old | {"metadata": {"name": "a", "labels": {"new": "label"}}}
    assert admit(_crd(FIELDS), renewed, old)["metadata"]["labels"] == {"new": "label"}
    assert "spec.size" in _faults(_crd(FIELDS), _thing({"size": -1}), old)


def test_items_of_a_list_by_key_have_an_old_self_and_no_twins() -> None:
    item = {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"type": "string"}, "n": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": "self.n >= oldSelf.n", "message": "n never falls"}],
    }
    keyed = {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    crd = _crd({"properties": {"list": keyed}})
    old = admit(crd, _thing({"list": [{"type": "a", "n": 2}, {"type": "b", "n": 5}]}), None)
    assert "n never falls" in _faults(crd, _thing({"list": [{"type": "b", "n": 4}, {"type": "a", "n": 2}]}), old)
    admit(crd, _thing({"list": [{"type": "b", "n": 5}, {"type": "c", "n": 0}]}), old)
    assert "spec.list[1]: Duplicate value" in _faults(crd, _thing({"list": [{"type": "a"}, {"type": "a"}]}))
