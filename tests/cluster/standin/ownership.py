"""Server-side apply: who owns which field, and what becomes of an object when an owner applies what it wants.

A field is a path of the elements that ``metadata.managedFields`` is written in: ``f:name`` for a member, ``k:{...}`` for an item
of a list that is a map, ``v:...`` for a member of a list that is a set, and ``.`` for such an item itself. Lists without a
``x-kubernetes-list-type`` are atomic, as in the API server. Source: the documentation of server-side apply, and KEP-555.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Path = tuple[str, ...]
Schema = Mapping[str, Any] | None
_MISSING = object()


@dataclass(frozen=True)
class Manager:
    """Who writes, and how."""

    name: str
    operation: str
    """``Apply`` or ``Update``."""
    subresource: str = ""


@dataclass(frozen=True)
class Owned:
    """What a manager owns, and since when."""

    fields: frozenset[Path]
    time: str


Owners = Mapping[Manager, Owned]


class Conflicts(Exception):
    """Fields that another manager owns, and wants otherwise."""

    def __init__(self, fields: list[tuple[Manager, Path]]) -> None:
        super().__init__("conflicts")
        self.fields = fields


def apply(
    live: dict[str, Any],
    wanted: dict[str, Any],
    schema: Schema,
    owners: Owners,
    manager: Manager,
    force: bool,
    now: str,
) -> tuple[dict[str, Any], Owners]:
    """The object and its owners after ``manager`` applied ``wanted``.

    Fields that the manager applied before and leaves out now are removed, unless somebody else owns them too.

    Raises:
        Conflicts: somebody else owns a field that is wanted otherwise, and ``force`` is not set.
    """
    fields = frozenset(leaves(wanted, schema))
    disputed = [
        (other, path)
        for other, owned in owners.items()
        if other != manager
        for path in sorted(fields & owned.fields)
        if path[-1] != "." and value_at(live, path) != value_at(wanted, path)
    ]
    if disputed and not force:
        raise Conflicts(disputed)
    lost = {path for _, path in disputed}
    others = {m: Owned(o.fields - lost, o.time) for m, o in owners.items() if m != manager}
    before = owners[manager].fields if manager in owners else frozenset()
    kept = {path for owned in others.values() for path in owned.fields}
    result = _merged(live, wanted, schema)
    # An item of a list goes as a whole, before the field that is its key.
    for path in sorted(before - fields - kept, key=lambda path: (path[-1] != ".", -len(path), path)):
        if path[-1] == "." and any(other[: len(path) - 1] == path[:-1] for other in kept | fields):
            continue
        result = _without(result, path)
    time = owners[manager].time if manager in owners and before == fields and result == live else now
    return result, {**{m: o for m, o in others.items() if o.fields}, manager: Owned(fields, time)}


def update(
    before: dict[str, Any], after: dict[str, Any], schema: Schema, owners: Owners, manager: Manager, now: str
) -> Owners:
    """The owners after ``manager`` wrote ``after`` by other means: it owns what it changed, and nobody else does."""
    had, have = set(leaves(before, schema)), set(leaves(after, schema))
    changed = {path for path in have if value_at(before, path) != value_at(after, path)}
    gone = had - have
    mine = owners[manager].fields if manager in owners else frozenset()
    result = {}
    for other, owned in owners.items():
        if other != manager and (left := owned.fields - changed - gone):
            result[other] = Owned(left, owned.time)
    if fields := (mine | changed) - gone:
        result[manager] = Owned(frozenset(fields), now if changed or gone else owners[manager].time)
    return result


def written(owners: Owners, api_version: str) -> list[dict[str, Any]]:
    """``metadata.managedFields``."""
    entries = []
    for manager, owned in owners.items():
        fields: dict[str, Any] = {}
        for path in sorted(owned.fields):
            at = fields
            for element in path:
                at = at.setdefault(element, {})
        entry = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": api_version,
            "time": owned.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }
        entries.append({**entry, "subresource": manager.subresource} if manager.subresource else entry)
    return entries


def leaves(value: Any, schema: Schema, at: Path = ()) -> Iterator[Path]:
    """The fields of a value."""
    if isinstance(value, Mapping) and value and _kind(schema) != "atomic":
        for name, child in value.items():
            yield from leaves(child, _child(schema, name), (*at, f"f:{name}"))
    elif isinstance(value, list) and _kind(schema) == "map":
        for item in value:
            key = (*at, _key(item, schema))
            yield (*key, ".")
            for name, child in item.items():
                yield from leaves(child, _child(_items(schema), name), (*key, f"f:{name}"))
    elif isinstance(value, list) and _kind(schema) == "set":
        yield from ((*at, f"v:{json.dumps(item)}") for item in value)
    elif at:
        yield at


def value_at(value: Any, path: Path) -> Any:
    """What stands at a path; a marker of its own where nothing does."""
    for element in path:
        sort, _, rest = element.partition(":")
        if sort == ".":
            return value
        if sort == "f":
            if not isinstance(value, Mapping) or rest not in value:
                return _MISSING
            value = value[rest]
        else:
            wanted = json.loads(rest)
            value = next((item for item in value or () if _is(item, wanted, sort)), _MISSING)
            if value is _MISSING:
                return _MISSING
    return value


def _merged(live: Any, wanted: Any, schema: Schema) -> Any:
    if isinstance(wanted, Mapping) and isinstance(live, Mapping) and _kind(schema) != "atomic":
        return {
            **live,
            **{name: _merged(live.get(name), child, _child(schema, name)) for name, child in wanted.items()},
        }
    if isinstance(wanted, list) and isinstance(live, list) and _kind(schema) == "map":
        new = {_key(item, schema): item for item in wanted}
        old = {_key(item, schema): item for item in live}
        return [
            _merged(old.get(key, {}), new.get(key, {}), _items(schema))
            for key in [*old, *(k for k in new if k not in old)]
        ]
    if isinstance(wanted, list) and isinstance(live, list) and _kind(schema) == "set":
        return [*live, *(item for item in wanted if item not in live)]
    return wanted


def _without(value: Any, path: Path) -> Any:
    sort, _, rest = path[0].partition(":")
    last = len(path) == 1 or path[1] == "."
    if sort == "f":
        if not isinstance(value, Mapping) or rest not in value:
            return value
        left = dict(value)
        child = None if last else _without(value[rest], path[1:])
        if last or child in ({}, []):
            del left[rest]
        else:
            left[rest] = child
        return left
    wanted = json.loads(rest)
    items = [(item, _is(item, wanted, sort)) for item in value or ()]
    if last:
        return [item for item, mine in items if not mine]
    return [_without(item, path[1:]) if mine else item for item, mine in items]


def _is(item: Any, wanted: Any, sort: str) -> bool:
    return all(item.get(k) == v for k, v in wanted.items()) if sort == "k" else bool(item == wanted)


def _kind(schema: Schema) -> str:
    schema = schema or {}
    return str(schema.get("x-kubernetes-list-type") or schema.get("x-kubernetes-map-type") or "")


def _child(schema: Schema, name: str) -> Schema:
    schema = schema or {}
    known = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
    return known if isinstance(known, Mapping) else None


def _items(schema: Schema) -> Schema:
    items: Schema = (schema or {}).get("items")
    return items


def _key(item: Mapping[str, Any], schema: Schema) -> str:
    names = (schema or {})["x-kubernetes-list-map-keys"]
    return "k:" + json.dumps({name: item.get(name) for name in names}, sort_keys=True, separators=(",", ":"))
