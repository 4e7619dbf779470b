"""Taking a revision away in two phases, so that no request fails: nobody is sent to it any more, then it is removed.

1. The weights say that it retires. Every gateway acknowledges them, and from then on sends nothing new to it.
2. It leaves the topology. Its replicas answer what they have begun, and end (``serve.drain``).

Killed in between, the same command goes on: both phases can be done again.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from serin.clients.serving_state import FolderState, ServingState, Weights
from serin.core.errors import ServingError, UsageError
from serin.core.params import ServeParams
from serin.core.revision import Revision
from serin.serve.drain import replica_s
from serin.serve.topology.deploy import withdraw

_END_MARGIN_S = 60.0
"""From the last answer to the end of a replica's process, and until that is seen."""


def find_deployed(wanted: Revision, state: ServingState) -> str:
    """The one deployed revision that ``wanted`` names, whole or by its first digits. Raises ServingError."""
    known = sorted(state.topology().revisions)
    matches = [name for name in known if name.startswith(str(wanted))]
    if len(matches) != 1:
        found = "not deployed" if not matches else f"the beginning of {len(matches)} deployed revisions"
        raise ServingError(f"{wanted} is {found}; deployed: {', '.join(known) or 'none'}")
    return matches[0]


def undeploy(
    params: ServeParams, revision: str, state: ServingState, *, force: bool, tell: Callable[[str], None]
) -> None:
    """Remove a deployed revision once nothing of it is in use.

    Args:
        params: how long a request may take.
        revision: its whole name.
        state: where it is deployed.
        force: take it out of the rollout, the experiment or the shadow that uses it; those requests go to stable.
        tell: is told what happens.

    Raises:
        UsageError: it is stable, or in use and ``force`` was not given; nothing was changed.
        RetryableError: a gateway did not acknowledge in time; it is retiring, and the same command goes on.
        ServingError: it still runs long after its longest request must have ended.
    """
    weights = state.change_weights(lambda present: _retired(present, revision, force))
    if state.serves():
        tell(f"{revision[:24]}… gets no more requests; waiting until every gateway has heard of it")
        state.wait_for_ack(weights.version)
    started = time.monotonic()
    drain_s = replica_s(params.request_timeout_s)
    tell(f"{revision[:24]}… answers what it has begun, {drain_s:.0f} s at most")
    withdraw(state, revision, drain_s + _END_MARGIN_S)
    state.change_weights(lambda present: _gone(present, revision))
    if isinstance(state, FolderState):
        state.remove_model(Revision.parse(revision).label)
    tell(f"{revision[:24]}… has ended after {time.monotonic() - started:.0f} s")


def _retired(present: Weights, revision: str, force: bool) -> Weights:
    use = present.use_of(revision)
    if use == "stable":
        raise UsageError(
            f"{revision} is stable, so its requests would have nowhere to go: promote another one first, or end serving with "
            "'serin stop --forget'"
        )
    if use is not None and not force:
        raise UsageError(f"{revision} is {use}: end that first, or give --force, and its requests go to stable")
    kept = tuple(name for name in present.retiring if name != revision)
    retired = replace(present, retiring=(*kept, revision))
    if revision == retired.canary:
        retired = replace(retired, rollout=None, canary=None, canary_weight=0.0)
    if revision in retired.variants:
        variants = {name: share for name, share in retired.variants.items() if name != revision}
        retired = replace(retired, variants=variants, experiment=retired.experiment if variants else None)
    if revision == retired.shadow:
        retired = replace(retired, shadow=None, shadow_share=0.0)
    return retired


def _gone(present: Weights, revision: str) -> Weights:
    return replace(present, retiring=tuple(name for name in present.retiring if name != revision))
