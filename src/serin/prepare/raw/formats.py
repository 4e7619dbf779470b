"""The formats that people keep conversations in: told apart by their fields, and read into turns."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from serin.core.params.preparation import Format, SourceParams

_COLUMNS: Mapping[Format, tuple[str, str]] = {
    "prompt_completion": ("prompt", "completion"),
    "question_answer": ("question", "answer"),
}
_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
}
_TURNS = ("messages", "conversations", "conversation")
_QUESTIONS = ("question", "prompt", "instruction", "query", "problem", "input", "text")
_META_TYPES = (str, int, float, bool)


@dataclass(frozen=True, slots=True)
class RawTurn:
    """One turn as it was given; ``role`` is one of Serin's where it is known, else what stood there."""

    role: str
    content: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A record's turns, the tools it offers, and the extra fields that say something of it."""

    turns: tuple[RawTurn, ...]
    meta: dict[str, Any]
    tools: tuple[Mapping[str, Any], ...] = ()


class Malformed(ValueError):
    """A record that has its format's fields, with something in them that the format does not allow."""


def format_of(value: Any) -> Format | None:
    """The format of one record by its fields, or None where it is none that is known.

    ``messages`` and ``conversations`` hold turns of role/content (``sharegpt``: of from/value), ``alpaca`` has
    instruction and output, then come pairs of columns.
    """
    if not isinstance(value, Mapping):
        return None
    name = _turns_field(value)
    if name is not None:
        keys = {key for turn in value[name][:4] if isinstance(turn, Mapping) for key in turn}
        if "from" in keys and "value" in keys:
            return "sharegpt"
        return "messages" if name == "messages" else "conversations"
    if "instruction" in value and "output" in value:
        return "alpaca"
    return next((name for name, columns in _COLUMNS.items() if all(c in value for c in columns)), None)


def commonest_format(values: Iterable[Any]) -> Format | None:
    """The format of most of these records: one odd record among the first does not decide for a whole file."""
    found = Counter(kind for value in values if (kind := format_of(value)) is not None)
    return found.most_common(1)[0][0] if found else None


def parse(value: Any, source: SourceParams, kind: Format) -> Parsed | None:
    """Read a record as the given format; None where it does not have it, or has something there that is no text.

    A format that params force is read wherever its fields are there, whatever else the record holds.
    """
    if not isinstance(value, Mapping):
        return None
    is_forced = source.format is not None
    try:
        if kind == "columns":
            return _from_columns(value, source)
        if kind == "capture":
            return _from_turns(value) if "messages" in value else None
        if not is_forced and format_of(value) != kind:
            return None
        if kind == "alpaca":
            return _from_alpaca(value) if {"instruction", "output"} <= value.keys() else None
        if kind in _COLUMNS:
            return _from_pair(value, *_COLUMNS[kind]) if set(_COLUMNS[kind]) <= value.keys() else None
        return _from_turns(value) if _turns_field(value) is not None else None
    except Malformed:
        return None


def question_of(value: Any, source: SourceParams) -> str | None:
    """What a record of a benchmark asks, whatever its format: its user turns, or the field that holds its question alone."""
    kind = source.format or format_of(value)
    parsed = parse(value, source, kind) if kind is not None else None
    if parsed is not None:
        return "\n".join(turn.content for turn in parsed.turns if turn.role == "user")
    if not isinstance(value, Mapping):
        return value if isinstance(value, str) else None
    return next((value[name] for name in _QUESTIONS if isinstance(value.get(name), str) and value[name].strip()), None)


def _turns_field(value: Mapping[str, Any]) -> str | None:
    return next((name for name in _TURNS if isinstance(value.get(name), list | tuple)), None)


def _from_turns(value: Mapping[str, Any]) -> Parsed:
    name = _turns_field(value) or _TURNS[0]
    turns = [_turn(turn) for turn in value[name]]
    system = value.get("system")
    if isinstance(system, str) and system.strip() and not any(turn.role == "system" for turn in turns):
        turns.insert(0, RawTurn("system", system))
    tools = value.get("tools") or ()
    return Parsed(tuple(turns), _meta(value, (name, "system", "tools")), _tools(tools))


def _from_alpaca(value: Mapping[str, Any]) -> Parsed:
    question = [_text(value["instruction"]), _text(value.get("input"))]
    turns = _system(value.get("system"))
    for pair in value.get("history") or ():
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            raise Malformed
        turns += [RawTurn("user", _text(pair[0])), RawTurn("assistant", _text(pair[1]))]
    turns += [
        RawTurn("user", "\n".join(part for part in question if part.strip())),
        RawTurn("assistant", _text(value["output"])),
    ]
    return Parsed(tuple(turns), _meta(value, ("instruction", "input", "output", "system", "history")))


def _from_pair(value: Mapping[str, Any], asked: str, answered: str) -> Parsed:
    question, answer = value[asked], value[answered]
    if isinstance(question, list) and isinstance(answer, list):  # TRL's conversational prompt and completion
        return Parsed(
            tuple(_turn(turn) for turn in [*question, *answer]),
            _meta(value, (asked, answered, "tools")),
            _tools(value.get("tools") or ()),
        )
    turns = [*_system(value.get("system")), RawTurn("user", _text(question)), RawTurn("assistant", _text(answer))]
    return Parsed(tuple(turns), _meta(value, (asked, answered, "system")))


def _from_columns(value: Mapping[str, Any], source: SourceParams) -> Parsed | None:
    columns = source.columns or {}
    found = {name: _at(value, path) for name, path in columns.items()}
    if found["user"] is None and found["assistant"] is None:
        return None
    turns = _system(found.get("system")) + [RawTurn(role, _text(found[role])) for role in ("user", "assistant")]
    meta = _meta(value, [path.split(".")[0] for path in columns.values()])
    return Parsed(tuple(turns), meta | {k: v for k, v in found.items() if k in ("group", "language", "id") and v})


def _system(prompt: Any) -> list[RawTurn]:
    """The turn of a system prompt that stands in a field of its own, if there is one."""
    return [RawTurn("system", _text(prompt))] if prompt else []


def _at(value: Any, path: str) -> Any:
    if isinstance(value, Mapping) and path in value:
        return value[path]
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _turn(turn: Any) -> RawTurn:
    if not isinstance(turn, Mapping):
        raise Malformed
    given = turn.get("role", turn.get("from"))
    content = turn.get("content", turn.get("value"))
    if not isinstance(given, str):
        raise Malformed
    if len(turn) == 2 and isinstance(content, str):
        return RawTurn(_ROLES.get(given) or _ROLES.get(given.strip().lower(), given), content)
    extra: dict[str, Any] = {}
    for name in ("reasoning_content", "tool_call_id", "name"):
        if turn.get(name):
            extra[name] = _text(turn[name])
    if turn.get("tool_calls"):
        extra["tool_calls"] = _calls(turn["tool_calls"])
    if turn.get("train") is False:
        extra["train"] = False
    return RawTurn(_ROLES.get(given.strip().lower(), given), _content(content), extra)


def _content(content: Any) -> str:
    """Plain text; parts of ``type: text`` one a line. Other parts are pictures or sound, which cannot be trained on."""
    if not isinstance(content, list):
        return _text(content)
    if not all(isinstance(part, Mapping) and part.get("type") == "text" for part in content):
        raise Malformed
    return "\n".join(_text(part.get("text")) for part in content)


def _calls(calls: Any) -> tuple[Mapping[str, Any], ...]:
    read = []
    for call in _plain(calls):
        function = call.get("function", call) if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise Malformed
        arguments = function.get("arguments")
        if isinstance(arguments, str):  # the API's own form is JSON in a string; templates take the mapping
            try:
                arguments = orjson.loads(arguments or "{}")
            except orjson.JSONDecodeError as error:
                raise Malformed from error
        if not isinstance(arguments, Mapping | None):
            raise Malformed
        named = {"id": call["id"]} if isinstance(call.get("id"), str) else {}
        arguments = dict(arguments or {})
        read.append({**named, "type": "function", "function": {"name": function["name"], "arguments": arguments}})
    return tuple(read)


def _tools(tools: Any) -> tuple[Mapping[str, Any], ...]:
    tools = _plain(tools)
    if not all(isinstance(tool, Mapping) for tool in tools):
        raise Malformed
    return tuple(tools)


def _plain(values: Any) -> list[Any]:
    """A list as JSON has it, whatever reader it comes from; some files hold it as JSON in a string."""
    try:
        plain = orjson.loads(values if isinstance(values, str) else orjson.dumps(values, default=str))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
        raise Malformed from error
    if not isinstance(plain, list):
        raise Malformed
    return plain


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise Malformed


def _meta(value: Mapping[str, Any], used: Sequence[str]) -> dict[str, Any]:
    """Scalars beside the turns, and those of a nested ``meta``, where Serin itself puts them."""
    nested = value.get("meta")
    given = {**value, **(nested if isinstance(nested, Mapping) else {})}
    kept: dict[str, Any] = {
        str(k): v for k, v in given.items() if k not in used and isinstance(v, _META_TYPES) and v != ""
    }
    if isinstance(nested, Mapping) and isinstance(nested.get("augmented"), Mapping):
        kept["augmented"] = dict(nested["augmented"])
    return kept
