"""For every constraint of a schema a value that breaks it and, where one can be found, a neighbour that does not."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SAMPLES = {
    r"^[0-9a-f]{32}(\.dir)?$": "a" * 32,
    r"^s3://[a-z0-9][a-z0-9.-]+(/.*)?$": "s3://models/other",
    r"^https?://": "https://example.com",
    r"^[A-Z_][A-Z0-9_]*$": "A_KEY",
    r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$": "law-qa",
    r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?@[0-9a-f]{64}$": "other@" + "b" * 64,
    r"^\S+$": "registry/image:1",
    r"^[0-9]+(\.[0-9]+)?m?$": "500m",
    r"^[1-9][0-9]*(Ki|Mi|Gi|Ti)$": "8Gi",
    r"^[a-z0-9.-]+/[a-zA-Z0-9._-]+$": "amd.com/gpu",
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": "a-label",
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$": "a.name",
    r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$": "Value_1",
    r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$": "a.b/Key",
}
"""A text for each pattern."""
_WRONG: Mapping[str, Any] = {
    "string": 7,
    "integer": "x",
    "number": "x",
    "boolean": "perhaps",
    "array": {"a": 1},
    "object": "text",
}
_MISMATCH = "\u00a0 \u2713"
"""No pattern takes it."""
_STEP = 1e-6


@dataclass(frozen=True)
class Probe:
    """One constraint at one path; ``good`` has no meaning where ``has_good`` is false."""

    path: str
    constraint: str
    bad: Any
    good: Any = None
    has_good: bool = True


def sample(schema: Mapping[str, Any]) -> Any:
    """A value that the schema takes. Raises KeyError for a pattern without a sample."""
    if "default" in schema and schema["default"] not in ([], {}):
        return copy.deepcopy(schema["default"])
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema["type"]
    if kind == "string":
        return SAMPLES[schema["pattern"]] if "pattern" in schema else "a" * max(1, schema.get("minLength", 1))
    if kind in ("integer", "number"):
        return schema.get("minimum", 0) + (1 if kind == "integer" else _STEP)
    if kind == "boolean":
        return False
    if kind == "array":
        return [sample(schema["items"])]
    if isinstance(schema.get("additionalProperties"), Mapping):
        return {"a": sample(schema["additionalProperties"])}
    return {name: sample(schema["properties"][name]) for name in schema.get("required", [])}


def probes(schema: Mapping[str, Any], path: str) -> Iterator[Probe]:
    """All of a node and what is under it."""
    kind = schema["type"]
    yield Probe(path, "type", _WRONG[kind], sample(schema))
    if "enum" in schema:
        for value in schema["enum"]:
            yield Probe(path, "enum", f"not-{value}", value)
    elif kind == "string":
        yield from _texts(schema, path)
    elif kind in ("integer", "number"):
        yield from _numbers(schema, path)
    elif kind == "array":
        yield from _lists(schema, path)
    elif kind == "object":
        yield from _objects(schema, path)


def _texts(schema: Mapping[str, Any], path: str) -> Iterator[Probe]:
    plain = "pattern" not in schema
    yield Probe(path, "maxLength", "a" * (schema["maxLength"] + 1), "a" * schema["maxLength"], plain)
    if schema.get("minLength", 0) > 0:
        yield Probe(path, "minLength", "a" * (schema["minLength"] - 1), "a" * schema["minLength"], plain)
    if not plain:
        yield Probe(path, "pattern", _MISMATCH, SAMPLES[schema["pattern"]])


def _numbers(schema: Mapping[str, Any], path: str) -> Iterator[Probe]:
    step = 1 if schema["type"] == "integer" else _STEP
    for name, sign in (("minimum", -1), ("maximum", 1)):
        if name in schema:
            limit = schema[name]
            exclusive = schema.get(f"exclusive{name.capitalize()}", False)
            bad, good = (limit, limit - sign * step) if exclusive else (limit + sign * step, limit)
            yield Probe(path, name, bad, good)


def _lists(schema: Mapping[str, Any], path: str) -> Iterator[Probe]:
    item = sample(schema["items"])
    most = schema["maxItems"]
    yield Probe(path, "maxItems", [item] * (most + 1), [item] * most)
    if schema.get("minItems", 0) > 0:
        yield Probe(path, "minItems", [item] * (schema["minItems"] - 1), [item] * schema["minItems"])
    yield from probes(schema["items"], f"{path}.0")


def _objects(schema: Mapping[str, Any], path: str) -> Iterator[Probe]:
    for name in schema.get("required", []):
        yield Probe(f"{path}.{name}", "required", None, None, has_good=False)
    for name, field in schema.get("properties", {}).items():
        yield from probes(field, f"{path}.{name}")
    extra = schema.get("additionalProperties")
    if isinstance(extra, Mapping):
        many = {f"k{index}": sample(extra) for index in range(schema["maxProperties"] + 1)}
        yield Probe(path, "maxProperties", many, dict(list(many.items())[1:]))
        yield from probes(extra, f"{path}.a")
