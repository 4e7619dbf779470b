"""Section ``serve.access``: who may ask the gateway, and how large and slow a request may be."""

import ipaddress

from pydantic import Field

from serin.core.params.section import Section


class AccessParams(Section):
    """Keys, and the bounds that hold for everybody; a key's own limits stand in the file of keys."""

    keys: str | None = None
    """File of API keys that ``serin keys create`` makes, or a mounted Secret's; None: the gateway asks for no key."""
    open: bool = False
    """Listen beyond this machine although no key is asked for: everybody who reaches the port may ask."""
    max_body_bytes: int = Field(default=8 << 20, ge=1024)
    """Longest request."""
    body_timeout_s: float = Field(default=30.0, gt=0)
    """A request whose body is not whole by then is refused."""
    feedback_days: float = Field(default=30.0, gt=0)
    """So long after its request, feedback for an answer is taken."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
