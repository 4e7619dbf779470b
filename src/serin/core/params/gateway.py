"""Section ``serve.gateway``: how much the gateway relays, and how patient it is."""

from pydantic import Field

from serin.core.params.section import Section


class GatewayParams(Section):
    """Bounds of one gateway replica. Beyond them it answers 429 at once: a queue would only make everybody wait."""

    max_in_flight: int = Field(default=1024, ge=1, le=4000)
    """Requests that a gateway replica relays at a time."""
    max_in_flight_per_revision: int = Field(default=512, ge=1)
    """Requests that a gateway replica has under way at one revision; a full canary's are answered by stable."""
    max_shadows: int = Field(default=32, ge=0)
    """Mirrored requests that a gateway replica has under way; more are not sent, and counted as dropped."""
    stall_timeout_s: float = Field(default=20.0, gt=0)
    """A revision that sends nothing for so long in mid-answer has failed, and the client's connection is broken."""
    client_stall_timeout_s: float = Field(default=30.0, gt=0)
    """A client that reads nothing for so long is cut off, and the revision stops generating."""
