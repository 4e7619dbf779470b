"""What becomes of pods that no node runs: tests say it, and it is told to the API server as a scheduler and a kubelet tell it.

One kubelet for every cluster. How its words reach the server is a ``Node``: within the stand-in's own process, or by requests.
"""

from .node import Node
from .outcomes import (
    CompleteWithoutResult,
    Disrupt,
    Evict,
    Exit,
    ImagePull,
    Outcome,
    OutOfMemory,
    SecretMissing,
    Succeed,
    Unschedulable,
    Work,
)
from .pods import Pods
from .processes import Run
from .storages import Storages

__all__ = [
    "CompleteWithoutResult",
    "Disrupt",
    "Evict",
    "Exit",
    "ImagePull",
    "Node",
    "OutOfMemory",
    "Outcome",
    "Pods",
    "Run",
    "SecretMissing",
    "Storages",
    "Succeed",
    "Unschedulable",
    "Work",
]
