"""What happens to runs on a cluster, each told once for every cluster: the stand-in, and with ``-m cluster`` a real one.

Every scenario ends in a state that does not change any more, so that it can be told again with a controller that is killed at
every single request, and must end the same.
"""

from . import failures, hands, inputs, pauses, progress, worlds  # noqa: F401 - each adds its own
from .scenario import SCENARIOS, Scenario

__all__ = ["SCENARIOS", "Scenario"]
