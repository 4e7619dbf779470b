"""CEL rules of a CustomResourceDefinition (``x-kubernetes-validations``), run by cel-python under Kubernetes' scoping
(kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions, "Validation rules")."""

import logging
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any

import celpy
from celpy import celtypes
from celpy.evaluation import CELEvalError

from .openapi import MISSING

logging.getLogger("celpy").setLevel(logging.WARNING)  # it logs every step of every rule
Schema = Mapping[str, Any]
_ROOT = ("apiVersion", "kind", "metadata")
_KNOWN_METADATA = ("name", "generateName")
"""What a rule at the root can see of ``metadata``."""


def rule_faults(value: Any, schema: Schema, old: Any, at: str, is_same: bool = False) -> Iterator[str]:
    """Every rule that does not hold, from the root down.

    Args:
        value: valid under the schema, but for its rules.
        schema: of it.
        old: what stood there before; ``MISSING`` or None where nothing did.
        at: its path, empty for the root.
        is_same: whether what it stands in is what it was.
    """
    is_new = old is MISSING or old is None
    for rule in schema.get("x-kubernetes-validations", ()) if value is not None else ():
        is_transition = names_old(rule["rule"])
        if is_transition and is_new:
            continue
        holds = is_same or (not is_new and _seen(rule["rule"], value, not at) == _seen(rule["rule"], old, not at))
        if holds and (not is_transition or rule["rule"] == "self == oldSelf"):
            continue  # ratcheting: it held when it was written, or was written before the rule
        if fault := _fault(rule, value, schema, old, at):
            yield fault
    is_same = is_same or value == old
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        for name, inner in value.items():
            field = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if isinstance(field, Mapping):
                path = f"{at}.{name}" if at else name
                yield from rule_faults(inner, field, before.get(name, MISSING), path, is_same)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from rule_faults(
                inner, schema.get("items", {}), _before(inner, schema, old), f"{at}[{index}]", is_same
            )


def names_old(rule: str) -> bool:
    """Whether it is a transition rule."""
    return "oldSelf" in rule


def _seen(rule: str, value: Any, is_root: bool) -> Any:
    """What a rule can look at: at the root, where everything is, the fields that it names."""
    if not is_root:
        return value
    named = {name: each for name, each in value.items() if name in rule and name != "metadata"}
    return named, {name: value["metadata"].get(name) for name in _KNOWN_METADATA}


def _before(item: Any, schema: Schema, old: Any) -> Any:
    """An item's former self, which only lists of type ``map`` have."""
    keys = schema.get("x-kubernetes-list-map-keys")
    if not keys or not isinstance(old, list):
        return MISSING
    return next((each for each in old if all(each.get(key) == item.get(key) for key in keys)), MISSING)


def _fault(rule: Mapping[str, Any], value: Any, schema: Schema, old: Any, at: str) -> str | None:
    where = f"{at}{rule.get('fieldPath', '')}" or "<nil>"
    variables = {"self": _typed(value, schema, is_root=not at)}
    if names_old(rule["rule"]):
        variables["oldSelf"] = _typed(old, schema, is_root=not at)
    try:
        holds = program(rule["rule"]).evaluate(variables)
    except CELEvalError as error:
        return f'{where}: Invalid value: "object": rule failed: {rule["rule"]}: {str(error.args[0])[:200]}'
    if holds is True or (isinstance(holds, celtypes.BoolType) and bool(holds)):
        return None
    reason = {"FieldValueForbidden": "Forbidden", "FieldValueRequired": "Required value"}.get(rule.get("reason", ""))
    shown = reason or f'Invalid value: "{schema.get("type", "object")}"'
    return f"{where}: {shown}: {rule.get('message') or 'failed rule: ' + rule['rule']}"


@lru_cache(maxsize=256)
def program(rule: str) -> celpy.Runner:
    """A rule, parsed once."""
    environment = celpy.Environment()
    return environment.program(environment.compile(rule), functions=_FUNCTIONS)


def _equal(left: Any, right: Any) -> celtypes.BoolType | CELEvalError:
    """CEL's equality of unlike types is false, where cel-python finds no overload (as of null and a number).

    An error is handed on, since ``false && error`` is false.
    """
    error = next((each for each in (left, right) if isinstance(each, CELEvalError)), None)
    return error or celtypes.BoolType(_is_equal(left, right))


def _unequal(left: Any, right: Any) -> celtypes.BoolType | CELEvalError:
    found = _equal(left, right)
    return found if isinstance(found, CELEvalError) else celtypes.BoolType(not found)


def _is_equal(left: Any, right: Any) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_is_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_is_equal, left, right))
    if left is None or right is None or isinstance(left, str) != isinstance(right, str):
        return left is right
    if isinstance(left, dict | list) or isinstance(right, dict | list):
        return False
    return bool(left == right)


def _is_sorted(items: celtypes.ListType) -> celtypes.BoolType:
    """Of Kubernetes' own list library."""
    return celtypes.BoolType(all(bool(low <= high) for low, high in pairwise(items)))


def _dyn(value: Any) -> Any:
    """A hint for CEL's type checker."""
    return value


_FUNCTIONS: dict[str, Any] = {"_==_": _equal, "_!=_": _unequal, "isSorted": _is_sorted, "dyn": _dyn}


def _typed(value: Any, schema: Schema, is_root: bool = False) -> Any:
    """A value in CEL's types as the schema declares them: 3 under ``type: number`` is a double. Unknown fields are not seen."""
    kind = schema.get("type")
    if value is None:
        return None
    if kind == "number":
        return celtypes.DoubleType(value)
    if kind == "integer":
        return celtypes.IntType(int(value))
    if kind == "array":
        return celtypes.ListType([_typed(each, schema.get("items", {})) for each in value])
    if kind == "object":
        fields = schema.get("properties", {})
        extra = schema.get("additionalProperties")
        found = {
            celtypes.StringType(name): _typed(each, fields.get(name, extra))
            for name, each in value.items()
            if (name in fields or isinstance(extra, Mapping)) and not (is_root and name in _ROOT)
        }
        if is_root:
            metadata = {name: each for name, each in value.get("metadata", {}).items() if name in _KNOWN_METADATA}
            own = {"apiVersion": value.get("apiVersion"), "kind": value.get("kind"), "metadata": metadata}
            found |= {celtypes.StringType(name): celpy.json_to_cel(each) for name, each in own.items()}
        return celtypes.MapType(found)
    return celpy.json_to_cel(value)
