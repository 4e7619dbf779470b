"""What an API server does with a custom resource before it is stored: prune, default, validate, ask CEL.

After kubernetes/staging/src/k8s.io/apiextensions-apiserver: unknown fields are dropped, nulls that the schema does not allow
are replaced by the default or dropped, defaults are filled in, then OpenAPI is checked, and CEL's rules only where it holds.
What did not change is not checked again, except by rules that name ``oldSelf`` (ratcheting, KEP-4008).
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from .openapi import schema_faults
from .refusals import invalid
from .rules import rule_faults

Object = dict[str, Any]
Schema = Mapping[str, Any]
_OPEN = ("apiVersion", "kind", "metadata")
"""Fields of the root that the server itself knows."""
_NOT_ASKED = (
    '<nil>: Invalid value: "null": some validation rules were not checked because the object was invalid; '
    "correct the existing errors to complete validation"
)


def admit(crd: Mapping[str, Any], new: Object, old: Object | None) -> Object:
    """The object as it would be stored. Raises Refusal (422, Invalid) with every fault.

    Args:
        crd: its CustomResourceDefinition.
        new: as it was sent, or as a patch left it.
        old: as it is stored; None where it is created.
    """
    schema = schema_of(crd, new["apiVersion"].partition("/")[2])
    admitted = copy.deepcopy(new)
    _prune(admitted, schema, is_root=True)
    _drop_nulls(admitted, schema)
    _default(admitted, schema)
    faults = list(schema_faults(admitted, schema, old, ""))
    if faults:
        faults += [_NOT_ASKED] if has_rules(schema) else []
    else:
        faults = list(rule_faults(admitted, schema, old, ""))
    if faults:
        raise invalid(crd["spec"]["names"]["kind"], admitted["metadata"].get("name", ""), faults)
    return admitted


def schema_of(crd: Mapping[str, Any], version: str) -> Schema:
    """Of one version."""
    schemas: dict[str, Schema] = {each["name"]: each["schema"]["openAPIV3Schema"] for each in crd["spec"]["versions"]}
    return schemas[version]


def unknown_fields(crd: Mapping[str, Any], new: Object) -> list[str]:
    """Paths that pruning drops: what ``fieldValidation=Strict``, kubectl's default, refuses."""
    return list(_unknown(new, schema_of(crd, new["apiVersion"].partition("/")[2]), "", is_root=True))


def pruned(new: Object, schema: Schema) -> Object:
    """Without the fields that the schema does not know."""
    found = copy.deepcopy(new)
    _prune(found, schema, is_root=True)
    return found


def defaulted(new: Object, schema: Schema) -> Object:
    """With defaults in the place of what is missing, and of nulls that are not allowed."""
    found = copy.deepcopy(new)
    _drop_nulls(found, schema)
    _default(found, schema)
    return found


def has_rules(schema: Schema) -> bool:
    """Whether CEL is asked anywhere."""
    return "x-kubernetes-validations" in schema or any(has_rules(inner) for inner in _inner(schema))


def _inner(schema: Schema) -> list[Schema]:
    found = list(schema.get("properties", {}).values())
    found += [schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), Mapping)]
    return found


def _field(schema: Schema, name: str) -> Schema | None:
    """The schema of one field; None where there is none."""
    own: Schema | None = schema.get("properties", {}).get(name)
    if own is not None:
        return own
    extra = schema.get("additionalProperties")
    return extra if isinstance(extra, Mapping) else None


def _prune(value: Any, schema: Schema, is_root: bool = False) -> None:
    if isinstance(value, dict):
        for name in list(value):
            if is_root and name in _OPEN:
                continue
            field = _field(schema, name)
            if field is not None:
                _prune(value[name], field)
            elif not schema.get("x-kubernetes-preserve-unknown-fields"):
                del value[name]
    elif isinstance(value, list):
        for each in value:
            _prune(each, schema.get("items", {}))


def _unknown(value: Any, schema: Schema, at: str, is_root: bool = False) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if is_root and name in _OPEN:
                continue
            path = f"{at}.{name}" if at else name
            field = _field(schema, name)
            if field is not None:
                yield from _unknown(inner, field, path)
            elif not schema.get("x-kubernetes-preserve-unknown-fields"):
                yield path
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _unknown(each, schema.get("items", {}), f"{at}[{index}]")


def _drop_nulls(value: Any, schema: Schema) -> None:
    if isinstance(value, dict):
        for name in list(value):
            field = _field(schema, name)
            if field is None:
                continue
            if value[name] is None and not field.get("nullable") and "default" not in field:
                del value[name]
            else:
                _drop_nulls(value[name], field)
    elif isinstance(value, list):
        for each in value:
            _drop_nulls(each, schema.get("items", {}))


def _default(value: Any, schema: Schema) -> None:
    if isinstance(value, dict):
        for name, field in schema.get("properties", {}).items():
            missing = name not in value or (value[name] is None and not field.get("nullable"))
            if missing and "default" in field:
                value[name] = copy.deepcopy(field["default"])
        for name in value:
            field = _field(schema, name)
            if field is not None:
                _default(value[name], field)
    elif isinstance(value, list):
        for each in value:
            _default(each, schema.get("items", {}))
