"""Starting an experiment on this machine."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from serin.clients.serving_state import FolderState, Weights
from serin.core.errors import UsageError
from serin.core.params import ExperimentParams
from serin.rollout.experiment.engine import claim, claimed_by, holds, release
from serin.rollout.experiment.state import ExperimentState, new_experiment, stop
from serin.rollout.experiment.store import Experiments, ExperimentStep, ExperimentStore
from serin.rollout.start import deployed

LEAST_SHARE = 0.01
"""Arms with less wait longer for a conclusion than anybody does."""


def begin(
    wanted: Sequence[str],
    params: ExperimentParams,
    serving: FolderState,
    experiments: Experiments,
    person: str,
    now: float,
) -> tuple[ExperimentStore, bool]:
    """Give revisions their shares of the users; the steps, and whether it is new.

    Args:
        wanted: revisions, each as ``REVISION=SHARE``, or all without a share, which are then equal with stable's.

    Raises:
        UsageError: nothing is stable, shares are impossible, or a rollout or another experiment runs.
        ServingError: a revision is not deployed.
    """
    present = serving.weights()
    if present.stable is None:
        raise UsageError("no revision is stable: the first one that 'serin deploy' brings up becomes it")
    shares = shares_of(wanted)
    variants = {deployed(name, serving): share for name, share in shares.items()}
    if len(variants) < len(shares):
        raise UsageError(f"{', '.join(shares)}: two of them are the same revision; name each once")
    if present.stable in variants:
        raise UsageError(f"{present.stable} is stable, which takes part in every experiment: leave it out")
    weights = Weights(stable=present.stable, variants=variants).arms()
    if present.experiment is not None:
        running = experiments.of(present.experiment).last().state
        if running.weights == weights and holds(running, present):
            return experiments.of(running.id), False
    name = f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%S}-{len(weights)}-arms"
    store = experiments.of(name)
    state = new_experiment(name, present.stable, weights, params, now)
    claimed_by(state, present)  # refuses before anything is written
    if not store.append(ExperimentStep(number=0, t=now, action="create", person=person, state=state)):
        raise UsageError(f"experiment {name} is being started by another process: see 'serin experiment status'")
    _open(store, state, serving, now)
    return store, True


def shares_of(wanted: Sequence[str]) -> Mapping[str, float]:
    """Revision, as it was written, to share. Raises UsageError where they leave stable less than an arm needs."""
    given = {name: share for name, _, share in (each.partition("=") for each in wanted)}
    if len(given) < len(wanted):
        raise UsageError(f"{', '.join(wanted)}: name each revision once")
    if not any(given.values()):
        return dict.fromkeys(given, 1 / (len(given) + 1))
    shares = {name: _share(name, text) for name, text in given.items()}
    if math.fsum(shares.values()) > 1 - LEAST_SHARE:
        raise UsageError(
            f"the shares sum to {math.fsum(shares.values()):g}: leave stable at least {LEAST_SHARE:g}, or there is nothing "
            "to compare with"
        )
    return shares


def _share(name: str, text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not LEAST_SHARE <= share <= 1:
        raise UsageError(
            f"{name}={text}: expected a share of the users, such as {name}=0.2 and at least {LEAST_SHARE:g}; give each "
            "revision its own, or none for equal shares"
        )
    return share


def _open(store: ExperimentStore, state: ExperimentState, serving: FolderState, now: float) -> None:
    try:
        claim(state, serving)
    except UsageError as refused:
        ended = stop(state, f"it never began: {refused}", now)
        store.append(ExperimentStep(number=1, t=now, action="stop", state=ended))
        raise
    newest = store.last().state
    if newest.decision != "running":  # somebody looked before the weights were its own, and ended it
        release(newest, serving)
        raise UsageError(f"experiment {state.id} was ended while it began ({newest.reason}): start another one")
