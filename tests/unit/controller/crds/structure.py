"""What Kubernetes demands of a structural schema, as far as a client can check it
(apiextensions-apiserver/pkg/apiserver/schema/validation.go and pkg/apis/apiextensions/validation)."""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
_KNOWN = {
    *("type", "format", "description", "default", "nullable", "enum", "pattern", "minLength", "maxLength"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *(
        "items",
        "minItems",
        "maxItems",
        "properties",
        "required",
        "additionalProperties",
        "minProperties",
        "maxProperties",
    ),
    *("x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
}
_TYPES = {"string", "integer", "number", "boolean", "array", "object"}


def faults(schema: Schema, at: str = "") -> Iterator[str]:
    """Every node that an API server would refuse, or that is unbounded under ``spec``."""
    if unknown := set(schema) - _KNOWN:
        yield f"{at}: {sorted(unknown)} stand in no structural schema"
    if schema.get("type") not in _TYPES:
        yield f"{at}: type is {schema.get('type')!r}"
    for flag in ("exclusiveMinimum", "exclusiveMaximum", "nullable"):
        if flag in schema and not isinstance(schema[flag], bool):
            yield f"{at}: {flag} is no boolean"
    if "default" in schema and schema["default"] is None and not schema.get("nullable"):
        yield f"{at}: null is the default, and not allowed"
    if schema.get("nullable") and "enum" in schema:
        yield f"{at}: an enum never takes null"
    if "properties" in schema and "additionalProperties" in schema:
        yield f"{at}: properties and additionalProperties exclude each other"
    if any(name not in schema.get("properties", {}) for name in schema.get("required", [])):
        yield f"{at}: requires what it does not declare"
    if len(schema.get("enum", ())) != len({repr(each) for each in schema.get("enum", ())}):
        yield f"{at}: enum says something twice"
    yield from _unbounded(schema, at)
    for name, inner in children(schema):
        yield from faults(inner, f"{at}.{name}")


def _unbounded(schema: Schema, at: str) -> Iterator[str]:
    root_fields = (".apiVersion", ".kind", ".metadata")
    if at in root_fields:
        return
    if schema.get("type") == "string" and "enum" not in schema and "maxLength" not in schema:
        yield f"{at}: a text without maxLength"
    if schema.get("type") == "array" and "maxItems" not in schema:
        yield f"{at}: a list without maxItems"
    if "additionalProperties" in schema and "maxProperties" not in schema:
        yield f"{at}: a map without maxProperties"


def children(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """The nodes below one."""
    yield from schema.get("properties", {}).items()
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            yield key, schema[key]


def nodes(schema: Schema, at: str = "") -> Iterator[tuple[str, Schema]]:
    """Every node with its path."""
    yield at, schema
    for name, inner in children(schema):
        yield from nodes(inner, f"{at}.{name}")
