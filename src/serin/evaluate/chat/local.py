"""A model in this process that is talked to."""

from collections.abc import Collection, Sequence
from threading import Lock

import torch
from transformers import PreTrainedTokenizerBase
from transformers.generation.streamers import TextStreamer

from serin.core.conversation import Message
from serin.core.errors import InputError
from serin.evaluate.answers.local import Loaded
from serin.evaluate.chat.speaker import OnText
from serin.lm.chat import render_prompt


class LocalSpeaker:
    """Computed with transformers, as in an evaluation; greedily at temperature 0."""

    def __init__(self, name: str, loaded: Loaded, max_new_tokens: int, temperature: float) -> None:
        self.name = name
        self._loaded = loaded
        self._max_new_tokens = max_new_tokens
        self._temperature = temperature
        self._speaks = Lock()

    @torch.no_grad()
    def speak(self, messages: Sequence[Message], on_text: OnText) -> str:
        """See ``Speaker``."""
        loaded = self._loaded
        prompt = render_prompt(loaded.tokenizer, messages)
        stops = sorted(loaded.stops)
        drawn = {"do_sample": True, "temperature": self._temperature} if self._temperature else {"do_sample": False}
        ids = torch.tensor([prompt], device=loaded.model.device)
        room = self._room_after(len(prompt), loaded.model.config.get_text_config().max_position_embeddings)
        with self._speaks:
            output = loaded.model.generate(  # type: ignore[operator]  # typed as Tensor | Module by nn.Module.__getattr__
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=room,
                eos_token_id=stops,
                pad_token_id=stops[0],
                streamer=_Pieces(loaded.tokenizer, loaded.stops, on_text),
                **drawn,
            )
        said = [token for token in output[0, len(prompt) :].tolist() if token not in loaded.stops]
        return str(loaded.tokenizer.decode(said, skip_special_tokens=True)).strip()

    def _room_after(self, tokens: int, longest: int) -> int:
        if tokens >= longest:
            raise InputError(
                f"what was said has {tokens} tokens, and {self.name} reads {longest} at most: begin anew with /reset"
            )
        return min(self._max_new_tokens, longest - tokens)


class _Pieces(TextStreamer):
    """Hands over text as soon as its characters are whole, without the token that ends the answer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stops: Collection[int], on_text: OnText) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._stops = stops
        self._on_text = on_text

    def put(self, value: torch.Tensor) -> None:
        if self.next_tokens_are_prompt or value.flatten()[0].item() not in self._stops:
            super().put(value)  # type: ignore[no-untyped-call]  # untyped in transformers

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:  # noqa: ARG002 - the signature is transformers'
        if text:
            self._on_text(text)
