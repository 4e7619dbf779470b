"""Conditions as Kubernetes' API conventions have them."""

from typing import Literal

from pydantic import Field

from serin.core.params.cluster import CamelSection


class Condition(CamelSection):
    """One thing that is or is not so, with a reason for machines and a message for people."""

    type: str = Field(max_length=316)
    status: Literal["True", "False", "Unknown"]
    reason: str = Field(pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$", max_length=1024)
    message: str = Field(default="", max_length=32768)
    last_transition_time: str
    """RFC 3339, UTC: when ``status`` changed last."""
    observed_generation: int = 0
