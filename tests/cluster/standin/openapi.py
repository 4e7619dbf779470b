"""The part of OpenAPI 3.0 that structural schemas use, with the API server's own sentences
(kubernetes/kube-openapi/pkg/validation and apiextensions-apiserver/pkg/apiserver/validation)."""

import json
import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import re2

Schema = Mapping[str, Any]
MISSING = object()
"""Stands for an old value that is not there."""


def schema_faults(value: Any, schema: Schema, old: Any, at: str) -> Iterator[str]:
    """Every fault of a value, except where it is what it was.

    Args:
        value: pruned and defaulted.
        schema: of it.
        old: what stood there before; ``MISSING`` or None where nothing did.
        at: its path, empty for the root.
    """
    if old is not MISSING and old is not None and value == old:
        return
    if value is None:
        if not schema.get("nullable"):
            yield _wrong_type(at, schema.get("type", ""), "null")
        return
    kind = schema.get("type")
    if kind is not None and not _is(value, kind):
        yield _wrong_type(at, kind, _json_type(value))
        return
    if "enum" in schema and value not in schema["enum"]:
        known = ", ".join(json.dumps(each) for each in schema["enum"])
        yield f"{at}: Unsupported value: {json.dumps(value)}: supported values: {known}"
    if isinstance(value, str):
        yield from _string_faults(value, schema, at)
    elif isinstance(value, bool):
        return
    elif isinstance(value, int | float):
        yield from _number_faults(value, schema, at)
    elif isinstance(value, list):
        yield from _list_faults(value, schema, old, at)
    elif isinstance(value, dict):
        yield from _object_faults(value, schema, old, at)


def _string_faults(value: str, schema: Schema, at: str) -> Iterator[str]:
    if len(value) > schema.get("maxLength", math.inf):
        yield f"{at}: Too long: may not be more than {schema['maxLength']} bytes"
    if len(value) < schema.get("minLength", 0):
        yield f'{at}: Invalid value: "{value}": {at} in body should be at least {schema["minLength"]} chars long'
    if "pattern" in schema and not re2.search(schema["pattern"], value):
        yield f"{at}: Invalid value: \"{value}\": {at} in body should match '{schema['pattern']}'"
    if schema.get("format") == "date-time" and not _is_time(value):
        yield f'{at}: Invalid value: "{value}": {at} in body must be of type date-time: "{value}"'


def _number_faults(value: float, schema: Schema, at: str) -> Iterator[str]:
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    if value < low or (schema.get("exclusiveMinimum") and value == low):
        rule = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        yield f"{at}: Invalid value: {value}: {at} in body should be {rule} {low}"
    if value > high or (schema.get("exclusiveMaximum") and value == high):
        rule = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        yield f"{at}: Invalid value: {value}: {at} in body should be {rule} {high}"
    if "multipleOf" in schema and value % schema["multipleOf"]:
        yield f"{at}: Invalid value: {value}: {at} in body should be a multiple of {schema['multipleOf']}"


def _list_faults(value: list[Any], schema: Schema, old: Any, at: str) -> Iterator[str]:
    if len(value) > schema.get("maxItems", math.inf):
        yield f"{at}: Too many: {len(value)}: must have at most {schema['maxItems']} items"
    if len(value) < schema.get("minItems", 0):
        yield f"{at}: Invalid value: {len(value)}: {at} in body should have at least {schema['minItems']} items"
    for each, key in _twice(value, schema):
        yield f"{at}[{each}]: Duplicate value: {json.dumps(key)}"
    before = old if isinstance(old, list) else []
    for index, each in enumerate(value):
        # Items of an atomic list are compared with those in the same place, which is enough not to check them twice.
        yield from schema_faults(
            each, schema.get("items", {}), before[index] if index < len(before) else MISSING, f"{at}[{index}]"
        )


def _twice(value: list[Any], schema: Schema) -> Iterator[tuple[int, Any]]:
    kind, seen = schema.get("x-kubernetes-list-type"), []
    for index, each in enumerate(value):
        keys = schema.get("x-kubernetes-list-map-keys", [])
        key = {name: each.get(name) for name in keys} if kind == "map" and isinstance(each, dict) else each
        if kind in ("map", "set") and key in seen:
            yield index, key
        seen.append(key)


def _object_faults(value: dict[str, Any], schema: Schema, old: Any, at: str) -> Iterator[str]:
    if len(value) > schema.get("maxProperties", math.inf):
        yield f"{at}: Too many: {len(value)}: must have at most {schema['maxProperties']} items"
    if len(value) < schema.get("minProperties", 0):
        yield f"{at}: Invalid value: {len(value)}: {at} in body should have at least {schema['minProperties']} properties"
    for name in schema.get("required", []):
        if name not in value:
            yield f"{_under(at, name)}: Required value"
    before = old if isinstance(old, dict) else {}
    for name, each in value.items():
        field = schema.get("properties", {}).get(name)
        extra = schema.get("additionalProperties")
        if field is None and isinstance(extra, Mapping):
            field = extra
        if field is not None:
            yield from schema_faults(each, field, before.get(name, MISSING), _under(at, name))


def _under(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _is(value: Any, kind: str) -> bool:
    if kind == "integer":
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return whole and not isinstance(value, bool) and -(2**63) <= value < 2**63
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    types: dict[str, type] = {"string": str, "boolean": bool, "array": list, "object": dict}
    return isinstance(value, types[kind])


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names: dict[type, str] = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return names[type(value)]


def _wrong_type(at: str, kind: str, found: str) -> str:
    return f'{at}: Invalid value: "{found}": {at} in body must be of type {kind}: "{found}"'


def _is_time(value: str) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None and "T" in value
    except ValueError:
        return False
