"""A stand-in for a Kubernetes cluster: the API server over HTTP, and the controllers and kubelet that Serin's objects meet.

What it does, it does as Kubernetes, JobSet and Kueue do, down to the words of their refusals, as far as Serin's controller and
command line can notice. What it leaves out is answered with 404 or 415, never with a guess.
"""

from ..kubelet import (
    CompleteWithoutResult,
    Disrupt,
    Evict,
    Exit,
    ImagePull,
    Outcome,
    OutOfMemory,
    Run,
    SecretMissing,
    Succeed,
    Unschedulable,
    Work,
)
from .standin import StandIn

__all__ = [
    "CompleteWithoutResult",
    "Disrupt",
    "Evict",
    "Exit",
    "ImagePull",
    "OutOfMemory",
    "Outcome",
    "Run",
    "SecretMissing",
    "StandIn",
    "Succeed",
    "Unschedulable",
    "Work",
]
