"""Bringing up a published revision: check it, declare it, wait until it answers."""

import time
from collections.abc import Callable
from dataclasses import replace

from serin.clients.serving_state import SCALE, Declared, FolderState, RevisionStatus, ServingState, Weights
from serin.clients.storage import Storage
from serin.core.errors import ServingError
from serin.core.params import RevisionParams, ServeParams
from serin.core.revision import Revision
from serin.serve.topology.published import Published, check_published
from serin.serve.topology.settings import check_vllm_arguments

_SAY_EVERY_S = 5.0
_START_TRIES = 2


def deploy(
    params: ServeParams,
    settings: RevisionParams,
    storage: Storage,
    published: Published,
    state: ServingState,
    tell: Callable[[str], None],
) -> Weights:
    """Declare a revision, wait until it is ready, and make it stable if nothing is; returns the weights then.

    Deploying one that runs changes how many replicas it has.

    Raises:
        ConfigError: the model cannot be served with these params; nothing was declared.
        ServingError: nothing serves, or the revision could not be loaded and is no longer declared.
    """
    if not state.serves():
        raise ServingError(f"nothing is served from {state.name}: run 'serin serve --detach' first")
    revision = str(published.revision)
    check_published(storage, published, params)
    check_vllm_arguments(settings)
    same_label = [
        known
        for known in state.topology().revisions
        if known != revision and Revision.parse(known).label == published.revision.label
    ]
    if same_label:
        raise ServingError(f"{revision} shares its route with {same_label[0]}, which is deployed: they cannot both run")
    entry = state.status().get(revision)
    if entry is not None and entry.state == "failed":
        withdraw(state, revision, params.start_timeout_s)
    changed = _declare(state, revision, _declaration(settings, storage, published, state))
    if changed and entry is not None and entry.state == "ready":
        tell(f"{revision} goes on answering while replicas come and go")
    try:
        _wait_until_ready(params, state, revision, tell)
    except BaseException:
        if state.weights().use_of(revision) is None:
            withdraw(state, revision, params.start_timeout_s)
        raise
    weights = state.change_weights(lambda present: _welcomed(present, revision))
    state.wait_for_ack(weights.version)
    return weights


def withdraw(state: ServingState, revision: str, timeout_s: float) -> None:
    """Declare a revision no longer, and wait until nothing of it runs. Raises ServingError after ``timeout_s``."""
    state.change_topology(lambda topology: topology.without_revision(revision))
    deadline = time.monotonic() + timeout_s
    names = {revision, Revision.parse(revision).label}
    while state.serves() and names & state.status().keys():
        if time.monotonic() > deadline:
            raise ServingError(f"{revision} still runs {timeout_s:.0f} s after it was removed: see {state.logs}")
        time.sleep(state.poll_s)


def _declaration(settings: RevisionParams, storage: Storage, published: Published, state: ServingState) -> Declared:
    """On this machine the model is fetched now; on a cluster by whichever node runs it. The scale is always told."""
    told = settings.model_dump(exclude_unset=True, exclude=set(SCALE))
    scale = "replicas" if settings.autoscaling is None else "autoscaling"
    told |= settings.model_dump(include={scale})
    if isinstance(state, FolderState):
        folder = storage.fetch_folder(published.prefix, state.models_folder / published.revision.label)
        return Declared(published.prefix, str(folder), published.lineage, told)
    return Declared(published.prefix, None, published.lineage, told)


def _declare(state: ServingState, revision: str, declared: Declared) -> bool:
    """Whether that changes anything."""
    present = state.topology().revisions.get(revision)
    if present is not None and _beside_scale(present) != _beside_scale(declared):
        raise ServingError(
            f"{revision} runs with other settings ({dict(present.settings)}), and all but {' and '.join(SCALE)} are for its "
            f"whole life: 'serin undeploy {revision}' first, or deploy it as it is"
        )
    state.change_topology(
        lambda topology: (
            topology if topology.revisions.get(revision) == declared else topology.with_revision(revision, declared)
        )
    )
    return present != declared


def _beside_scale(declared: Declared) -> Declared:
    return replace(declared, settings={k: v for k, v in declared.settings.items() if k not in SCALE})


def _welcomed(present: Weights, revision: str) -> Weights:
    """The revision may be asked again, and is stable where nothing is."""
    back = replace(present, retiring=tuple(name for name in present.retiring if name != revision))
    return back if back.stable is not None else replace(back, stable=revision, salt=revision)


def _wait_until_ready(params: ServeParams, state: ServingState, revision: str, tell: Callable[[str], None]) -> None:
    started = time.monotonic()
    said = started - _SAY_EVERY_S
    while True:
        now = time.monotonic()
        entry = state.status().get(revision, RevisionStatus("starting", "waiting for its turn"))
        if entry.state == "ready":
            return
        if entry.state == "failed":
            raise ServingError(f"{revision} could not be loaded: {entry.message}; see {state.logs}")
        if not state.serves():
            raise ServingError(f"serving ended while {revision} was loading: see {state.logs}")
        if now - started > _START_TRIES * params.start_timeout_s:
            said_last = f" ({entry.message})" if entry.message else ""
            raise ServingError(f"{revision} was not ready after {now - started:.0f} s{said_last}: see {state.logs}")
        if now - said >= _SAY_EVERY_S:
            said = now
            message = f", {entry.message}" if entry.message else ""
            left = _START_TRIES * params.start_timeout_s - (now - started)
            tell(f"{revision[:24]}… is {entry.state}{message} ({now - started:.0f} s, at most {left:.0f} s left)")
        time.sleep(state.poll_s)
