"""Trying again: hours of a GPU may hang on one request that storage does not answer."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from serin.clients.storage.faults import REFUSALS
from serin.core.errors import StorageError

T = TypeVar("T")

_PAUSES_S = (1.0, 5.0, 20.0, 60.0)


def patiently(act: Callable[[], T], pause: Callable[[float], None], pauses_s: Sequence[float] = _PAUSES_S) -> T:
    """What ``act`` gives, tried again after each pause where storage fails for a reason that may pass.

    Raises:
        StorageError: it failed to the last; or was refused, which waiting does not mend.
    """
    for pause_s in pauses_s:
        try:
            return act()
        except REFUSALS:
            raise
        except StorageError:
            pause(pause_s)
    return act()
