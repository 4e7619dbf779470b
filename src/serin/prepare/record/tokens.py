"""How long a conversation is, in tokens of the base model, as its own chat template renders it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from serin.core.conversation import Conversation
from serin.core.errors import ConfigError
from serin.prepare.record.pieces import PieceCounter

# Templates that print today's date print as many characters on any day: a fixed one keeps the counts the same.
_A_DAY = datetime(2024, 11, 20, tzinfo=UTC)


class TokenCounter:
    """Counts with the base model's tokenizer alone, so that ``prepare`` runs where there is no torch."""

    def __init__(self, base: Path) -> None:
        """Read tokenizer and chat template from a model folder. Raises ConfigError where one is missing."""
        try:
            tokenizer: Any = Tokenizer.from_file(str(base / "tokenizer.json"))
        except Exception as error:  # the tokenizers package raises plain Exception
            raise ConfigError(f"{base / 'tokenizer.json'} is no tokenizer ({error}): check base.model") from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._counter = PieceCounter(tokenizer)
        config = _json(base / "tokenizer_config.json")
        self._special = {name: _text(config.get(name)) for name in ("bos_token", "eos_token", "pad_token", "unk_token")}
        # As the Hugging Face chat templates expect it: blocks trimmed, loop controls, plain JSON, a way to refuse.
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = _A_DAY.strftime
        try:
            self._template = environment.from_string(_chat_template(base, config))
        except TemplateError as error:
            raise ConfigError(
                f"the chat template of {base} is no Jinja template ({error}): check base.model"
            ) from error

    def render(self, conversation: Conversation) -> str | None:
        """The conversation as the template renders it, or None where the template refuses it."""
        try:
            return self._template.render(
                messages=[m.as_dict() for m in conversation.messages],
                tools=list(conversation.tools) or None,
                add_generation_prompt=False,
                **self._special,
            )
        except (TemplateError, TypeError):  # a template that was not written for tools stumbles over them
            return None

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each rendered text, markers of turns included."""
        return self._counter.count(texts)


class _Generation(Extension):
    """``{% generation %}…{% endgeneration %}`` marks an assistant's words for those who ask; here it is its content."""

    tags = {"generation"}  # noqa: RUF012 - jinja2 declares it so

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _chat_template(base: Path, config: dict[str, Any]) -> str:
    path = base / "chat_template.jinja"
    template: Any = path.read_text(encoding="utf-8") if path.is_file() else config.get("chat_template")
    if isinstance(template, list):
        template = next((named.get("template") for named in template if named.get("name") == "default"), None)
    if not isinstance(template, str) or not template:
        raise ConfigError(f"the tokenizer of {base} has no chat template: take an instruction-tuned model")
    return template


def _json(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}; expected a model folder in Hugging Face format") from error
    return value


def _text(token: Any) -> str:
    return str(token["content"]) if isinstance(token, dict) else str(token or "")


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **layout: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **layout)


def _refuse(message: str) -> None:
    raise TemplateError(message)
