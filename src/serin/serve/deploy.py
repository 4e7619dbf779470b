"""Bringing up a published revision: find its record, check its folder, declare it, wait until it answers."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from serin.clients.serving_state import FolderState, RevisionStatus, Weights
from serin.clients.storage import Storage, read_json_from
from serin.core.errors import ConfigError, InputError, ServingError
from serin.core.params import ServeParams
from serin.core.revision import Revision

_POLL_S = 0.2
_SAY_EVERY_S = 5.0
_START_TRIES = 2


@dataclass(frozen=True, slots=True)
class Published:
    """A revision with its whole digest, and where its model lies in storage."""

    revision: Revision
    prefix: str
    lineage: Mapping[str, Any]


def find_published(storage: Storage, wanted: Revision) -> Published:
    """The one published record that ``wanted`` names, by its digest or a prefix of it. Raises InputError."""
    folder = f"published/{wanted.name}/"
    keys = [key for key in storage.list(folder) if key.endswith(".json")]
    matches = [key for key in keys if key.removeprefix(folder).startswith(wanted.digest)]
    if len(matches) != 1:
        known = ", ".join(f"{wanted.name}@{key.removeprefix(folder)[:12]}" for key in keys) or "none"
        found = "not published" if not matches else f"the beginning of {len(matches)} revisions"
        raise InputError(f"{wanted} is {found}; published: {known}; run 'serin publish', or give more digits")
    record = read_json_from(storage, matches[0])
    revision = Revision(str(record["name"]), str(record["digest"]))
    prefix = str(record.get("prefix") or f"models/{revision.name}/{revision.digest}")
    return Published(revision, prefix, record.get("lineage") or {})


def check_model(folder: Path, params: ServeParams) -> None:
    """Refuse what vLLM could not load, before a minute is spent on trying. Raises ConfigError (78)."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}; expected a merged model in Hugging Face format") from error
    if not config.get("architectures"):
        raise ConfigError(f"{path} names no architecture; expected a merged model in Hugging Face format")
    if not list(folder.glob("*.safetensors")):
        raise ConfigError(f"{folder} holds no *.safetensors; expected a merged model in Hugging Face format")
    longest = config.get("max_position_embeddings")
    if isinstance(longest, int) and longest < params.max_model_len:
        raise ConfigError(
            f"serve.max_model_len = {params.max_model_len}: must not be above {longest}, the longest text of {folder}; "
            "edit params.yaml, then 'serin stop' and 'serin serve' again"
        )


def deploy(
    params: ServeParams, storage: Storage, published: Published, state: FolderState, tell: Callable[[str], None]
) -> Weights:
    """Declare a revision, wait until it is ready, and make it stable if nothing is; returns the weights then.

    Raises:
        ConfigError: the model cannot be served with these params; nothing was declared.
        ServingError: nothing serves, or the revision could not be loaded and is no longer declared.
    """
    if not state.serves():
        raise ServingError(f"nothing is served from {state.folder}: run 'serin serve --detach' first")
    revision = str(published.revision)
    folder = storage.fetch_folder(published.prefix, state.folder / "models" / published.revision.label)
    check_model(folder, params)
    same_label = [
        known
        for known in state.topology().revisions
        if known != revision and Revision.parse(known).label == published.revision.label
    ]
    if same_label:
        raise ServingError(f"{revision} shares its route with {same_label[0]}, which is deployed: they cannot both run")
    entry = state.status().get(revision)
    if entry is not None and entry.state == "failed":
        _withdraw(state, revision)
    if revision not in state.topology().revisions:
        state.change_topology(lambda topology: topology.with_revision(revision, folder, published.lineage))
    try:
        _wait_until_ready(params, state, revision, tell)
    except BaseException:
        if state.weights().stable != revision and state.weights().canary != revision:
            _withdraw(state, revision)
        raise
    weights = state.change_weights(lambda w: w if w.stable is not None else replace(w, stable=revision, salt=revision))
    state.wait_for_ack(weights.version)
    return weights


def _withdraw(state: FolderState, revision: str) -> None:
    """Declare a revision no longer, and wait until the supervisor has let it go."""
    state.change_topology(lambda topology: topology.without_revision(revision))
    while state.serves() and revision in state.status():
        time.sleep(_POLL_S)


def _wait_until_ready(params: ServeParams, state: FolderState, revision: str, tell: Callable[[str], None]) -> None:
    started = time.monotonic()
    said = started - _SAY_EVERY_S
    while True:
        now = time.monotonic()
        entry = state.status().get(revision, RevisionStatus("starting", "waiting for its turn"))
        if entry.state == "ready":
            return
        if entry.state == "failed":
            raise ServingError(f"{revision} could not be loaded: {entry.message}; see {state.logs_folder}/ray")
        if not state.serves():
            raise ServingError(f"serving ended while {revision} was loading: see {state.logs_folder}")
        if now - started > _START_TRIES * params.start_timeout_s:
            raise ServingError(f"{revision} was not ready after {now - started:.0f} s: see {state.logs_folder}")
        if now - said >= _SAY_EVERY_S:
            said = now
            message = f", {entry.message}" if entry.message else ""
            left = _START_TRIES * params.start_timeout_s - (now - started)
            tell(f"{revision[:24]}… is {entry.state}{message} ({now - started:.0f} s, at most {left:.0f} s left)")
        time.sleep(_POLL_S)
