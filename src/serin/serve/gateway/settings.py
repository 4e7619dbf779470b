"""What one gateway replica is told."""

from dataclasses import dataclass, field

from serin.core.params import AccessParams, GatewayParams
from serin.serve.gateway.http import BodyLimits


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """``base_url`` leads to every revision's route; signing keys outlive restarts."""

    base_url: str
    secret: str
    signing_keys: tuple[bytes, ...]
    """The first signs; ids that the others signed are taken too."""
    request_timeout_s: float
    canary_first_byte_timeout_s: float
    relay: GatewayParams = field(default_factory=GatewayParams)
    access: AccessParams = field(default_factory=AccessParams)
    max_model_len: int = 4096
    """Longest prompt and answer of a revision, in tokens."""

    @property
    def signing_key(self) -> bytes:
        """What signs."""
        return self.signing_keys[0]

    @property
    def unit_key(self) -> bytes:
        """What makes pseudonyms of units: the oldest, so that a new key beside it splits no unit in two."""
        return self.signing_keys[-1]

    @property
    def body(self) -> BodyLimits:
        """What holds for every request's body."""
        return BodyLimits(self.access.max_body_bytes, self.access.body_timeout_s)
