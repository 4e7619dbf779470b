"""One object as it changes: read, then watched, and read anew whenever the watch ends or fails."""

import logging
import threading
from collections.abc import Callable

from serin.clients.kubernetes.cluster import Cluster, Object
from serin.clients.kubernetes.faults import ExpiredError
from serin.clients.kubernetes.kinds import Kind
from serin.core.errors import ConfigError, InputError, RetryableError, ServingError

_log = logging.getLogger(__name__)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 15.0


def follow_object(
    cluster: Cluster,
    kind: Kind,
    name: str,
    heard: Callable[[Object | None], None],
    stopped: threading.Event,
    watch_s: float,
) -> None:
    """Call ``heard`` with an object and with each change of it, until ``stopped``.

    Whatever goes wrong, it begins again after a pause.

    Args:
        cluster: where it is.
        kind: of the object.
        name: of the object.
        heard: gets None where there is no such object at first; one that goes later leaves its last value.
        stopped: ends it.
        watch_s: the longest that a watch lasts before the object is read anew, whatever the watch said.
    """
    pause_s = _FIRST_PAUSE_S
    told = False
    while not stopped.is_set():
        try:
            found = cluster.get(kind, name)
            version = "0" if found is None else str(found["metadata"]["resourceVersion"])
            if found is not None or not told:
                heard(found)
                told = True
            for sort, event in cluster.watch(kind, version, timeout_s=watch_s, name=name):
                if sort in ("ADDED", "MODIFIED"):
                    heard(event)
                if stopped.is_set():
                    return
            pause_s = _FIRST_PAUSE_S
        except ExpiredError:
            continue
        except (RetryableError, ConfigError, InputError, ServingError) as error:
            _log.warning("%s; the last value stays in force, and it is tried again in %.0f s", error, pause_s)
            stopped.wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
