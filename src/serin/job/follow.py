"""Follow a FineTune until it ends. The API server may be away for as long as it likes: the run does not depend on us."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from serin.clients.kubernetes.cluster import Cluster
from serin.clients.kubernetes.faults import UnavailableError
from serin.clients.kubernetes.kinds import FINE_TUNES
from serin.core.errors import FinalError
from serin.job.picture import Picture, picture_of
from serin.job.view import View, look

T = TypeVar("T")

_LOOK_EVERY_S = 2.0
_LONGEST_PAUSE_S = 30.0


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait, and what time it is."""

    every_s: float = _LOOK_EVERY_S
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = field(default=utc_now)


def follow(
    cluster: Cluster,
    name: str,
    tell: Callable[[str], None],
    pace: Pace | None = None,
    draw: Callable[[Picture], None] | None = None,
) -> dict[str, Any]:
    """Tell what is new until the FineTune has ended, and return it as it was last.

    It looks every two seconds, and less often while the API server does not answer.

    Args:
        cluster: where it is.
        name: of the FineTune.
        tell: is told each line.
        pace: how often to look.
        draw: is given how it stands at each look, instead of lines about its progress.

    Raises:
        FinalError: it is not there (any more).
    """
    pace = pace or Pace()
    view, found, seen = View(), dict[str, Any](), False
    while view.exit_code is None:
        if seen:
            pace.sleep(pace.every_s)
        present = patiently(lambda: cluster.get(FINE_TUNES, name), tell, pace)
        if present is None:
            raise FinalError(_gone(cluster, name, seen))
        found, seen = present, True
        view, lines = look(view, found, pace.now(), tells_progress=draw is None)
        for line in lines:
            tell(line)
        if draw is not None and view.exit_code is None:
            draw(picture_of(found))
    return found


def patiently(ask: Callable[[], T], tell: Callable[[str], None], pace: Pace) -> T:
    """Ask until the API server answers; says once that it does not, and once that it does again."""
    failures = 0
    while True:
        try:
            answer = ask()
        except UnavailableError as error:
            if not failures:
                tell(f"the cluster does not answer ({error}); the run goes on, and so does asking")
            pause_s = min(_LONGEST_PAUSE_S, pace.every_s * 2**failures)
            failures = min(failures + 1, 10)
            pace.sleep(max(pause_s, error.retry_after_s or 0.0))
        else:
            if failures:
                tell("the cluster answers again")
            return answer


def state_of(finetune: Mapping[str, Any], stage: str) -> Mapping[str, Any]:
    """What the status says of one stage; nothing where it says nothing."""
    stages = (finetune.get("status") or {}).get("stages") or []
    return next((one for one in stages if one["name"] == stage), {})


def _gone(cluster: Cluster, name: str, seen: bool) -> str:
    if seen:
        return (
            f"{name} was deleted in {cluster.namespace} while it was followed; what its stages stored stays in storage"
        )
    return f"{name} is not in {cluster.namespace}: 'serin job list' shows what is there; name another one, or a --namespace"
