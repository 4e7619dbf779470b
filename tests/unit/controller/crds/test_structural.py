"""The schemas are structural, bounded, and mean to an API server what the models mean."""

import copy
from pathlib import Path
from typing import Any, Literal

import kubernetes_validate
import pytest
import re2
import yaml
from pydantic import BaseModel, Field

from serin.controller.crds import manifest_text, manifests
from serin.controller.crds.structural import structural
from serin.core.params.section import Section
from serin.core.resources.bounds import SPEC

from ....cluster.standin.admission import defaulted, pruned
from ....cluster.standin.openapi import schema_faults
from .structure import faults, nodes
from .verdicts import CRDS, ROOT, SPECS, example, schema, servers_refusal, whole


@pytest.mark.parametrize("kind", SPECS)
def test_an_api_server_would_take_every_node(kind: str) -> None:
    assert list(faults(schema(kind))) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"anyOf": [{"type": "null"}]}, "no structural schema"),
        ({"$ref": "#/a"}, "no structural schema"),
        ({"type": "null"}, "type is 'null'"),
        ({"type": "number", "exclusiveMinimum": 0}, "no boolean"),
        ({"default": None}, "not allowed"),
        ({"type": "string"}, "without maxLength"),
        ({"type": "array", "items": {"type": "boolean"}}, "without maxItems"),
        ({"properties": {}, "additionalProperties": {"type": "boolean"}, "maxProperties": 1}, "exclude each other"),
        ({"required": ["a"]}, "does not declare"),
    ],
)
def test_the_check_finds_what_an_api_server_would_refuse(change: dict[str, Any], fault: str) -> None:
    found = list(faults({"type": "object", "properties": {"spec": {"type": "object"} | change}}))
    assert len(found) == 1
    assert fault in found[0]


@pytest.mark.parametrize("kind", SPECS)
def test_the_manifest_is_what_kubernetes_own_schema_demands(kind: str) -> None:
    for version in ("1.31", kubernetes_validate.latest_version()):
        kubernetes_validate.validate(CRDS[kind], version, strict=True)


@pytest.mark.parametrize("kind", SPECS)
def test_every_default_is_whole_and_valid_under_its_own_schema(kind: str) -> None:
    for at, node in nodes(schema(kind)):
        if "default" in node:
            holder = {"type": "object", "properties": {"field": node}}
            filled = defaulted({}, holder)
            assert pruned(filled, holder) == filled, at
            assert list(schema_faults(filled, holder, None, at)) == []


@pytest.mark.parametrize("kind", SPECS)
def test_defaults_are_those_of_the_models(kind: str) -> None:
    written = example("finetune" if kind == "FineTune" else "modelrollout")
    stored = defaulted(pruned(written, schema(kind)), schema(kind))
    read = SPECS[kind].model_validate(stored["spec"])
    assert read == SPECS[kind].model_validate(written["spec"])
    if kind == "FineTune":
        assert stored["spec"]["run"]["params"]["train"]["lora"]["r"] == 32
        assert stored["spec"]["run"]["params"]["evaluate"]["judge"]["endpoint"]["cache"] == ".serin/cache/judge"
        assert [rule["bound"] for rule in stored["spec"]["run"]["params"]["evaluate"]["rules"]] == ["interval"] * 5


def test_null_switches_a_default_off_and_means_missing_elsewhere() -> None:
    body = whole("FineTune")
    params = body["spec"]["run"]["params"]
    params["runs"]["checkpoints"]["every_steps"] = None
    params["train"]["max_steps"] = None
    stored = defaulted(pruned(body, schema("FineTune")), schema("FineTune"))["spec"]["run"]["params"]
    assert stored["runs"]["checkpoints"]["every_steps"] is None
    assert "max_steps" not in stored["train"]
    assert servers_refusal(body) is None


@pytest.mark.parametrize("kind", SPECS)
def test_patterns_are_those_of_re2(kind: str) -> None:
    patterns = {node["pattern"] for _, node in nodes(schema(kind)) if "pattern" in node}
    assert patterns
    for pattern in patterns:
        re2.compile(pattern)


@pytest.mark.parametrize("kind", SPECS)
def test_fields_say_what_they_mean_in_a_line(kind: str) -> None:
    silent = [
        at for at, node in nodes(schema(kind)["properties"]["spec"], "spec")
        if "description" not in node and not at.endswith((".items", ".additionalProperties"))
    ]  # fmt: skip
    assert [at for at in silent if ".params." not in at] == []
    assert all(len(node.get("description", "")) <= 512 for _, node in nodes(schema(kind)))


def test_the_manifests_in_the_repository_are_the_models() -> None:
    folder = ROOT / "k8s" / "base" / "crds"
    written = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
    assert written == {f"{manifest['spec']['names']['plural']}.yaml" for manifest in manifests()}
    for manifest in manifests():
        text = Path(folder / f"{manifest['spec']['names']['plural']}.yaml").read_text()
        assert text.partition("\n")[2] == manifest_text(manifest), (
            "run 'serin controller crds' and write its output here"
        )
        assert yaml.safe_load(text) == manifest


def test_the_text_has_no_anchors_that_people_would_have_to_follow() -> None:
    for manifest in manifests():
        shared = copy.copy(manifest) | {"again": manifest["metadata"]}
        assert "&id" not in manifest_text(shared)


class _Inner(Section):
    """A section."""

    size: int = Field(default=3, gt=2)
    """How much."""


class _Outer(Section):
    """Of a test."""

    inner: _Inner = _Inner(size=5)
    """What is inside."""
    word: str | list[str] = "all"
    """One or more."""
    by: dict[Literal["a", "b"], _Inner] = Field(default={"a": _Inner(size=4)})
    """Known keys."""


def test_a_model_that_says_more_than_a_structural_schema_may_is_translated() -> None:
    found = structural(_Outer, SPEC, with_defaults=True)["properties"]
    assert found["inner"]["default"] == {"size": 5}
    assert found["inner"]["properties"]["size"] == {
        "description": "How much.",
        "type": "integer",
        "minimum": 2,
        "exclusiveMinimum": True,
        "format": "int64",
        "default": 3,
    }
    assert found["word"]["type"] == "array"
    assert found["word"]["default"] == ["all"]
    assert found["by"]["properties"].keys() == {"a", "b"}
    assert found["by"]["default"] == {"a": {"size": 4}}


def test_a_field_of_two_types_is_refused_when_it_is_generated() -> None:
    class Ambiguous(BaseModel):
        value: int | str

    with pytest.raises(TypeError, match="choose one type"):
        structural(Ambiguous, SPEC, with_defaults=True)
