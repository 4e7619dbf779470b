"""What an OpenAI-compatible server's replies say."""

import json
from collections.abc import Mapping


def read_completion(body: str) -> tuple[str, int | None]:
    """The text of a chat completion, without what a model thought aloud before it, and its tokens where they are told.

    The text is empty where the model said nothing, or thought aloud until its tokens ran out.

    Raises:
        ValueError: the body is no chat completion.
    """
    try:
        completion = json.loads(body)
        content = completion["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"expected a chat completion, found {body!r}") from error
    text = content.rpartition("</think>")[2].strip() if isinstance(content, str) else ""
    usage = completion.get("usage")
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    return "" if text.startswith("<think>") else text, tokens if isinstance(tokens, int) and tokens > 0 else None


def words_of_refusal(body: object) -> str:
    """The reason that the body of an error gives: its ``message`` or ``detail``, else all of it."""
    if isinstance(body, Mapping):
        body = body.get("message") or body.get("detail") or json.dumps(body, ensure_ascii=False)
    return str(body) if body else "no reason given"
