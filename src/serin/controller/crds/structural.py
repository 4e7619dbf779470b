"""A pydantic model as a structural schema, what a CustomResourceDefinition takes
(kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions, "Specifying a structural schema").

Its JSON schema says things that a structural one must not: references, ``anyOf`` with types, null as a type, ``const``, numbers
as exclusive bounds. Each has one meaning here:

    X | null, default null      X without default: the API server drops a null before it validates, and missing means null
    X | null, another default   X, nullable
    text | list of texts        the list; its model reads a list of one word as that word
    a section with defaults     ``default: {}``, and what differs from the section's own defaults
    a map with known keys       an object with these fields
    no bound                    one of ``Bounds``
"""

import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from serin.controller.crds.enforcement import MARK, Rule, rules_of
from serin.core.resources.bounds import Bounds

_KEPT = ("enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "multipleOf", "minItems", "maxItems")
_KEPT_OF_MAPS = ("minProperties", "maxProperties")
_LONGEST_DESCRIPTION = 512
_LIST_KEYS = {"Condition": ["type"]}
"""Lists whose items several writers own one by one, as API conventions have it for conditions."""


class _Schemas(GenerateJsonSchema):
    def encode_default(self, dft: Any) -> Any:
        return _encoded(dft)

    def model_schema(self, schema: Any) -> Any:
        found = super().model_schema(schema)
        model = schema["cls"]
        found["description"] = model.__doc__ or ""
        return found | {MARK: f"{model.__module__}.{model.__qualname__}"}


def _encoded(value: Any) -> Any:
    """A default, of sections only what is not their own default: the API server fills in the rest."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if isinstance(value, Mapping):
        return {str(name): _encoded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_encoded(each) for each in value]
    return value


def structural(model: type[BaseModel], bounds: Bounds, with_defaults: bool) -> dict[str, Any]:
    """The schema of objects that ``model`` reads.

    Args:
        model: its field names stand in the schema by alias.
        bounds: of texts, lists and maps that have none of their own.
        with_defaults: status has none, since an applied one would then hold fields that nobody wrote.
    """
    schema = model.model_json_schema(by_alias=True, schema_generator=_Schemas)
    return _Walk(schema.get("$defs", {}), bounds, with_defaults).node(schema, bounds.text)


class _Walk:
    def __init__(self, definitions: Mapping[str, Any], bounds: Bounds, with_defaults: bool) -> None:
        self.definitions = definitions
        self.bounds = bounds
        self.with_defaults = with_defaults

    def node(self, given: Mapping[str, Any], longest: int) -> dict[str, Any]:
        """One node of the tree."""
        schema, can_be_null = self._resolved(given)
        found = self._described(given, schema)
        kind = schema["type"]
        found["type"] = kind
        found |= {key: schema[key] for key in _KEPT if key in schema}
        found |= _limits(schema)
        if "const" in schema:
            found["enum"] = [schema["const"]]
        if kind == "string" and "enum" not in found:
            found.setdefault("maxLength", longest)
        elif kind == "array":
            found["items"] = self.node(schema["items"], self.bounds.item)
            found.setdefault("maxItems", self.bounds.items)
            keys = _LIST_KEYS.get(schema["items"].get("$ref", "").rpartition("/")[2])
            if keys:
                found |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys}
        elif kind == "object":
            found |= self._object(schema)
        elif kind == "integer":
            found["format"] = "int64"
        if self.with_defaults and given.get("default") is not None:
            default = given["default"]
            found["default"] = [default] if kind == "array" and isinstance(default, str) else default
            if can_be_null:
                found["nullable"] = True
        return found

    def _object(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        keys = schema.get("propertyNames", {}).get("enum")
        if keys is not None:
            inner = self.node(schema["additionalProperties"], self.bounds.text)
            limits = {key: schema[key] for key in ("minProperties",) if key in schema}
            return limits | {"properties": {key: copy.deepcopy(inner) for key in keys}}
        if "properties" not in schema:
            # Patterns of keys have no place in a structural schema: the controller's models check them.
            (values,) = schema.get("patternProperties", {"": schema.get("additionalProperties")}).values()
            extra = self.node(values, self.bounds.text)
            limits = {key: schema[key] for key in _KEPT_OF_MAPS if key in schema}
            return {"maxProperties": self.bounds.items} | limits | {"additionalProperties": extra}
        found: dict[str, Any] = {
            "properties": {name: self.node(each, self.bounds.text) for name, each in schema["properties"].items()}
        }
        if required := [name for name in schema.get("required", []) if name in found["properties"]]:
            found["required"] = required
        if rules := rules_of(schema[MARK]):
            add_rules(found, rules)
        return found

    def _resolved(self, schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
        """A node without references and unions, and whether it may be null."""
        if "$ref" in schema:
            return self._resolved(self.definitions[schema["$ref"].rpartition("/")[2]])
        if "anyOf" not in schema:
            return schema, False
        choices = [choice for choice in schema["anyOf"] if choice.get("type") != "null"]
        lists = [choice for choice in choices if choice.get("type") == "array"]
        if len(choices) > 1 and not lists:
            raise TypeError(f"no structural schema has {json.dumps(schema['anyOf'])}: choose one type")
        return self._resolved((lists or choices)[0])[0], len(choices) < len(schema["anyOf"])

    def _described(self, given: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
        text = given.get("description") or schema.get("description") or ""
        plain = " ".join(text.partition("\n\n")[0].split()).replace("``", "`")
        return {"description": plain[:_LONGEST_DESCRIPTION]} if plain else {}


def _limits(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Exclusive bounds as OpenAPI 3.0 has them: a bound, and a flag beside it."""
    found: dict[str, Any] = {}
    for bound in ("minimum", "maximum"):
        flag = f"exclusive{bound.capitalize()}"
        if flag in schema:
            found |= {bound: schema[flag], flag: True}
    return found


def add_rules(schema: dict[str, Any], rules: Iterable[Rule]) -> None:
    """Put CEL rules to the node of a model, or to one of its fields."""
    for rule in rules:
        node = schema["properties"][rule.field] if rule.field else schema
        node.setdefault("x-kubernetes-validations", []).append({"rule": rule.cel, "message": rule.message})
