"""What an answer says about itself on its way through: tokens used, and whether a stream failed or came to its end."""

import re
from dataclasses import dataclass

from serin.core.errors import ServingError
from serin.serve.gateway.endpoints import Endpoint

_USAGE = b'"usage":{'
"""A JSON string cannot hold this, because it escapes quotes."""
_SPACED_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_FINISHED = b'"finish_reason":"'
_FINGERPRINT = b'"system_fingerprint":'
_NO_CHOICES = b'"choices":[]'
_TOKENS = re.compile(rb'"(prompt|completion|input|output)_tokens"\s*:\s*(\d+)')
_FIELDS = (b"data:", b"event:", b":", b"id:", b"retry:")
_LONGEST_EVENT_BYTES = 8 << 20
"""Beyond any event of vLLM's; a prompt's 128,000 token ids take one."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the revision counted them; None where it did not say."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class GarbageError(ServingError):
    """A revision sent something that is no answer of the API."""


def read_usage(text: bytes) -> Usage:
    """The last usage report in the end of a JSON body, or in an event."""
    start = text.rfind(_USAGE)
    if start < 0:
        places = [found.start() for found in _SPACED_USAGE.finditer(text)]
        if not places:
            return Usage()
        start = places[-1]
    # Details of the kinds of tokens are nested behind the sums, and none of them bears a sum's name.
    found = {name: int(number) for name, number in _TOKENS.findall(text, start)}
    return Usage(found.get(b"prompt", found.get(b"input")), found.get(b"completion", found.get(b"output")))


class EventStream:
    """Server-sent events in, whole events out, without the usage event where the client did not ask for it.

    Nothing is parsed but the one event that reports usage. An event that is not whole yet waits for its end, so that a
    stream which breaks off never ends in the middle of one. Where usage is reported, vLLM moves its ``system_fingerprint``
    there from the events that finish a choice; with the report taken out, they get ``fingerprint`` back.
    """

    def __init__(self, endpoint: Endpoint, strips_usage: bool, fingerprint: str) -> None:
        self.failed = False
        self.ended = False
        self._endpoint = endpoint
        self._strips_usage = strips_usage
        self._stamp = f',"system_fingerprint":"{fingerprint}"}}'.encode()
        self._held = bytearray()
        self._usage_event = b""

    @property
    def usage(self) -> Usage:
        """What the last report said."""
        return read_usage(self._usage_event)

    def feed(self, chunk: bytes) -> bytes:
        """The whole events that the client gets now. Raises GarbageError."""
        if self._held or not chunk.endswith(b"\n\n"):
            chunk = self._whole(chunk)
            if not chunk:
                return chunk
        if not chunk.startswith(_FIELDS):
            raise GarbageError(f"sent {bytes(chunk[:40])!r} where an event was due")
        for error in self._endpoint.errors:
            if error in chunk:
                self.failed = True
        for end in self._endpoint.ends:
            if end in chunk:
                self.ended = True
        if _USAGE in chunk:
            chunk = self._without_usage(chunk)
        if self._strips_usage and _FINISHED in chunk:
            chunk = self._stamped(chunk)
        return chunk

    def _whole(self, chunk: bytes) -> bytes:
        seen = max(0, len(self._held) - 1)
        self._held += chunk
        cut = self._held.rfind(b"\n\n", seen) + 2
        if cut < 2:
            if len(self._held) > _LONGEST_EVENT_BYTES:
                raise GarbageError(f"sent {_LONGEST_EVENT_BYTES} bytes without the end of an event")
            return b""
        whole = bytes(self._held[:cut])
        del self._held[:cut]
        return whole

    def _without_usage(self, chunk: bytes) -> bytes:
        kept = []
        for event in chunk.split(b"\n\n")[:-1]:
            if _USAGE in event:
                self._usage_event = event
                if self._strips_usage and _NO_CHOICES in event:
                    continue
            kept.append(event + b"\n\n")
        return b"".join(kept)

    def _stamped(self, chunk: bytes) -> bytes:
        events = chunk.split(b"\n\n")[:-1]
        stamped = (
            event[:-1] + self._stamp if _FINISHED in event and _FINGERPRINT not in event else event for event in events
        )
        return b"".join(event + b"\n\n" for event in stamped)
