"""The name of one servable merged model: ``law-qa@3f9a1c…``."""

import re
from dataclasses import dataclass

from serin.core.errors import UsageError

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_DIGEST = re.compile(r"[0-9a-f]{8,64}")
SHORT = 8


@dataclass(frozen=True, slots=True, order=True)
class Revision:
    """``name`` is a DNS label of at most 40 characters; ``digest`` is hex, whole (64) or a prefix of at least 8."""

    name: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> "Revision":
        """Read ``name@digest``. Raises UsageError with what is wrong."""
        name, at, digest = text.partition("@")
        if not at or not _NAME.fullmatch(name) or not _DIGEST.fullmatch(digest):
            raise UsageError(
                f"revision {text!r}: expected name@digest, such as law-qa@3f9a1c20 (at least {SHORT} hex digits); "
                "'serin models' lists what is published"
            )
        return cls(name, digest)

    @property
    def label(self) -> str:
        """As an object name, Kubernetes label or route: ``law-qa-3f9a1c20``."""
        return f"{self.name}-{self.digest[:SHORT]}"

    @property
    def route(self) -> str:
        """The route prefix under which it answers the gateway."""
        return f"/r/{self.label}"

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}"
