"""A model folder with a tokenizer as large as real models have, without a model: only what ``prepare`` reads."""

import json
from pathlib import Path

from serin.base.tokenizer import CHATML, TURN_END, TURN_START

_VOCABULARY = "data/tekken_240911.json"


def write_tokenizer(folder: Path) -> str:
    """Write tokenizer.json, its config and a ChatML template to ``folder``; returns what it is.

    The vocabulary is Mistral's Tekken, 131,072 tokens of byte-level BPE, which vLLM brings along in mistral-common.
    """
    import mistral_common
    from tokenizers import AddedToken
    from transformers.integrations.mistral.tokenizer import MistralConverter

    vocabulary = Path(mistral_common.__file__).parent / _VOCABULARY
    tokenizer = MistralConverter(str(vocabulary)).converted()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in (TURN_START, TURN_END)])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": TURN_END}))
    (folder / "chat_template.jinja").write_text(CHATML)
    return f"Mistral's Tekken, {tokenizer.get_vocab_size():,} tokens"
