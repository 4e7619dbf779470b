"""How long a conversation is, in tokens of the base model, as its own chat template renders it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from serin.core.conversation import Message
from serin.core.errors import ConfigError


class TokenCounter:
    """Counts with the base model's tokenizer alone, so that ``prepare`` runs where there is no torch."""

    def __init__(self, base: Path) -> None:
        """Read tokenizer and chat template from a model folder. Raises ConfigError where one is missing."""
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(base / "tokenizer.json"))
        except Exception as error:  # the tokenizers package raises plain Exception
            raise ConfigError(f"{base / 'tokenizer.json'} is no tokenizer ({error}): check base.model") from error
        config = _json(base / "tokenizer_config.json")
        self._special = {name: _text(config.get(name)) for name in ("bos_token", "eos_token", "pad_token")}
        # As the Hugging Face chat templates expect it: blocks trimmed, loop controls, a way to refuse.
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.globals["raise_exception"] = _refuse
        self._template = environment.from_string(_chat_template(base, config))

    def count(self, messages: Sequence[Message]) -> int:
        """Tokens of the whole conversation, markers of turns included. Raises ConfigError where the template refuses."""
        try:
            text = self._template.render(
                messages=[m.as_dict() for m in messages], add_generation_prompt=False, **self._special
            )
        except TemplateError as error:
            raise ConfigError(f"the base model's chat template refuses a conversation: {error}") from error
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


def _chat_template(base: Path, config: dict[str, Any]) -> str:
    path = base / "chat_template.jinja"
    template = path.read_text(encoding="utf-8") if path.is_file() else config.get("chat_template")
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


def _refuse(message: str) -> None:
    raise TemplateError(message)
