"""Pinning what an evaluation compares with: the revision that has a stage now, written into ``params.yaml``."""

from pathlib import Path

import yaml

from serin.clients.files import write_atomically
from serin.clients.storage import open_storage
from serin.core.errors import ConfigError
from serin.core.params import Params
from serin.core.revision import Revision
from serin.publish.registry.production import naming


def pin_stage(params: Params, path: Path, stage: str) -> Revision:
    """Write the revision of ``merge.name`` that has ``stage`` to ``evaluate.against`` of the params file, and return it.

    Comments and order of the file stay.

    Raises:
        ConfigError: no revision has that stage.
        InputError: storage and git's tags name different ones.
    """
    name = params.merge.name
    found = naming(name, path.parent, open_storage(params.storage), stages=(stage,), versions=()).stage(name, stage)
    if found is None:
        raise ConfigError(
            f"no revision of {name} is in {stage}: 'serin models list' shows what there is, and "
            f"'serin models tag {name}@DIGEST --stage {stage}' puts one there"
        )
    set_param(path, "evaluate", "against", str(found))
    return found


def set_param(path: Path, section: str, field: str, value: str) -> None:
    """Set one field in a params file, in place: every other character stays as it is."""
    text = path.read_text(encoding="utf-8")
    write_atomically(path, with_field(text, section, field, value).encode())


def with_field(text: str, section: str, field: str, value: str) -> str:
    """The YAML text with the field set to a plain value."""
    entry = f"{field}: {value}"
    sections = _entries(yaml.compose(text, yaml.SafeLoader))
    if section not in sections:
        return f"{text.rstrip()}\n\n{section}:\n  {entry}\n".lstrip()
    key, there = sections[section]
    if not isinstance(there, yaml.MappingNode):  # nothing stands there
        return _inserted(text, text.index(":", key.end_mark.index) + 1, f"\n  {entry}")
    fields = _entries(there)
    if field in fields:
        old = fields[field][1]
        return text[: old.start_mark.index] + value + text[old.end_mark.index :]
    if there.flow_style:
        return _inserted(text, there.start_mark.index + 1, f"{entry}, " if fields else entry)
    first = there.value[0][0].start_mark
    return _inserted(text, first.index, f"{entry}\n{' ' * first.column}")


def _entries(node: yaml.Node | None) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """Keys and values of a mapping, as they stand in the text, by key."""
    return {key.value: (key, value) for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}


def _inserted(text: str, at: int, more: str) -> str:
    return text[:at] + more + text[at:]
