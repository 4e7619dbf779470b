"""What one gateway replica is told."""

from dataclasses import dataclass, field

from serin.core.params import GatewayParams


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """``base_url`` leads to every revision's route; ``signing_key`` outlives restarts."""

    base_url: str
    secret: str
    signing_key: bytes
    request_timeout_s: float
    canary_first_byte_timeout_s: float
    relay: GatewayParams = field(default_factory=GatewayParams)
