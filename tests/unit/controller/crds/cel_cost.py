"""What an API server estimates CEL's rules to cost, from above.

Method, after cel-go (checker/cost.go) and apiextensions-apiserver (pkg/apis/apiextensions/validation): a name, a field, an index
and a call cost 1, a list 10; comparing costs a tenth of the smaller side's size, ``in`` the list's size times its comparisons,
``matches`` a tenth of the text's size times a quarter of the pattern's; a macro costs its body and 5 once for every element. Both
sides of ``&&``, ``||`` and ``?:`` count. A text is as long as four bytes a character of maxLength, a list as long as
maxItems, and where a bound is missing as long as a request may be (3 MiB). The estimate of a rule is multiplied by how many
times its node can occur. Where cel-go has closer figures (objects, short cuts), this one is higher, so that what passes here
passes there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil, inf
from typing import Any

import celpy
from lark import Token, Tree

PER_RULE = 10_000_000
"""StaticEstimatedCostLimit."""
PER_CRD = 100_000_000
"""StaticEstimatedCRDCostLimit."""
REQUEST_BYTES = 3 * 1024 * 1024
Schema = Mapping[str, Any]
_MACROS = {"all", "exists", "exists_one", "map"}
_ONE_MORE_IN_A_LIST = 11
"""A list of the one, and a call that puts it behind the others."""
_NAME: Schema = {"type": "string", "maxLength": REQUEST_BYTES // 4}
_METADATA: Schema = {"type": "object", "properties": {"name": _NAME, "generateName": _NAME}}


@dataclass(frozen=True)
class Rule:
    """One rule in its place."""

    at: str
    text: str
    estimate: float
    """Of one evaluation, times ``times``."""
    times: float


def rules(root: Schema) -> Iterator[Rule]:
    """Every rule of a schema, with its estimate."""
    yield from _under(root, "", 1)


def _under(schema: Schema, at: str, times: float) -> Iterator[Rule]:
    seen = schema if at else {**schema, "properties": {**schema["properties"], "metadata": _METADATA}}
    for rule in schema.get("x-kubernetes-validations", ()):
        tree = celpy.Environment().compile(rule["rule"])
        cost = _Cost({"self": seen, "oldSelf": seen}).of(tree)[0]
        yield Rule(at, rule["rule"], cost * times, times)
    for name, inner in schema.get("properties", {}).items():
        yield from _under(inner, f"{at}.{name}", times)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            yield from _under(schema[key], f"{at}.{key}", times * length(schema))


def length(schema: Schema) -> float:
    """Most entries of a list or a map, or bytes of a text."""
    kind = schema.get("type")
    if kind == "string":
        texts = [len(each) for each in schema.get("enum", ())]
        return max(texts) if texts else min(4 * schema.get("maxLength", inf), REQUEST_BYTES)
    if kind == "array":
        return min(schema.get("maxItems", inf), REQUEST_BYTES / 2)
    if kind == "object":
        return min(schema.get("maxProperties", inf), REQUEST_BYTES / 2)
    return 1


def size(schema: Schema | None) -> float:
    """All that comparing two values may look at."""
    if schema is None:
        return REQUEST_BYTES
    kind = schema.get("type")
    if kind == "array":
        return min(length(schema) * (1 + size(schema["items"])), REQUEST_BYTES)
    if kind == "object":
        fields = sum(1 + size(each) for each in schema.get("properties", {}).values())
        extra = schema.get("additionalProperties")
        return min(fields + (length(schema) * (1 + size(extra)) if isinstance(extra, Mapping) else 0), REQUEST_BYTES)
    return length(schema)


class _Cost:
    def __init__(self, names: Mapping[str, Schema | None]) -> None:
        self.names = names

    def of(self, tree: Any) -> tuple[float, Schema | None]:
        """The cost of an expression, and the schema of what it gives, where that is known."""
        kind = tree.data
        inner = [each for each in tree.children if isinstance(each, Tree)]
        if kind == "literal":
            return 0, _constant(str(tree.children[0]))
        if kind == "ident":
            return 1, self.names[str(tree.children[0])]
        if kind == "member_dot":
            cost, schema = self.of(inner[0])
            return cost + 1, None if schema is None else schema["properties"][str(tree.children[1])]
        if kind == "member_index":
            cost, schema = self.of(inner[0])
            return cost + 1 + self.of(inner[1])[0], None if schema is None else schema["items"]
        if kind in ("member_dot_arg", "ident_arg"):
            return self._call(tree)
        if kind == "list_lit":
            return self._list(inner)
        if kind == "relation" and len(inner) == 2:
            return self._comparison(str(inner[0].data), inner[0].children[0], inner[1]), {"type": "boolean"}
        if len(inner) == 1:
            return self.of(inner[0])
        return sum((self.of(each)[0] for each in inner if each.children), 1), {"type": "boolean"}

    def _call(self, tree: Tree[Token]) -> tuple[float, Schema | None]:
        has_target = tree.data == "member_dot_arg"
        name = str(tree.children[1] if has_target else tree.children[0])
        last = tree.children[-1]
        arguments = list(last.children) if isinstance(last, Tree) and last.data == "exprlist" else []
        cost, target = self.of(tree.children[0]) if has_target else (0, None)
        if name in _MACROS:
            assert target is not None
            variable = str(next(iter(arguments[0].scan_values(lambda _: True))))  # type: ignore[union-attr]
            body, of_body = _Cost({**self.names, variable: target["items"]}).of(arguments[1])
            if name == "map":
                made = {"type": "array", "maxItems": length(target), "items": of_body or {"type": "boolean"}}
                return cost + length(target) * (body + 5 + _ONE_MORE_IN_A_LIST), made
            return cost + length(target) * (body + 5), {"type": "boolean"}
        found = [self.of(each) for each in arguments]
        cost += 1 + sum(each for each, _ in found)
        if name == "matches":
            assert target is not None
            pattern = found[0][1]
            cost += ceil(0.1 * (1 + length(target))) * ceil(0.25 * length(pattern or {}))
        elif name == "isSorted":
            assert target is not None
            cost += length(target) * max(1, size(target["items"]))
        return cost, found[0][1] if name == "dyn" else {"type": "boolean" if name != "size" else "integer"}

    def _list(self, inner: list[Any]) -> tuple[float, Schema]:
        items = [self.of(each) for each in (inner[0].children if inner else [])]
        widest = max((schema for _, schema in items), key=size, default={"type": "boolean"})
        return 10 + sum(cost for cost, _ in items), {"type": "array", "maxItems": len(items), "items": widest}

    def _comparison(self, relation: str, left: Any, right: Any) -> float:
        (one, of_one), (other, of_other) = self.of(left), self.of(right)
        if relation == "relation_in":
            assert of_other is not None
            return one + other + length(of_other) * (1 + ceil(0.1 * min(size(of_one), size(of_other["items"]))))
        return one + other + 1 + ceil(0.1 * min(size(of_one), size(of_other)))


def _constant(text: str) -> Schema:
    return {"type": "string", "enum": [text.strip("'\"")]} if text[0] in "'\"" else {"type": "number"}
