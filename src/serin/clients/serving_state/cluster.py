"""Serving state in a Kubernetes cluster: what deploy, rollout and the gateways tell each other through the API server.

ConfigMap <name>-weights    how traffic is split (desired; written under its resourceVersion)
ConfigMap <name>-gateways   the version of the weights that each gateway replica follows, one key a replica
RayService <name>           which revisions shall run (its serveConfigV2), and which do (its status)
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from serin.clients.kubernetes import Cluster, ConflictError, ExistsError, Object
from serin.clients.kubernetes.following import follow_object
from serin.clients.kubernetes.kinds import CONFIG_MAPS, RAY_SERVICES
from serin.clients.serving_state.serve_config import (
    applications_with,
    read_serve_config,
    status_of,
    topology_of,
    written,
)
from serin.clients.serving_state.values import RevisionStatus, Seen, Topology, Weights, seen_in, weights_from
from serin.core.errors import InputError, RetryableError, ServingError

_WEIGHTS_KEY = "weights.json"
_CHANGE_TIMEOUT_S = 30.0
_ACK_POLL_S = 0.5
_ACK_TIMEOUT_S = 90.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long things take here; tests are in more of a hurry."""

    renew_s: float = 10.0
    """How often a gateway replica renews its acknowledgement."""
    poll_s: float = 2.0
    """How often a waiting command asks; the operator looks at Serve about as often."""
    expires_s: float = 40.0
    """An acknowledgement that a waiting command saw unchanged for so long is that of a replica that is gone."""
    watch_s: float = 60.0
    """The longest that a watch lasts before everything is read anew, whatever it said."""


class ClusterState:
    """The state of one RayService.

    Args:
        cluster: its namespace.
        rayservice: its name.
        evidence: the folder of this pod to which gateways append what they saw.
        patience: how long things take.
    """

    def __init__(self, cluster: Cluster, rayservice: str, evidence: Path, patience: Patience | None = None) -> None:
        self.cluster = cluster
        self.rayservice = rayservice
        self.evidence_folder = evidence
        self.patience = patience or Patience()

    @property
    def name(self) -> str:
        """Where it is, for messages."""
        return f"RayService {self.cluster.namespace}/{self.rayservice}"

    @property
    def logs(self) -> str:
        """Where to read on when something went wrong, for messages."""
        return f"'kubectl -n {self.cluster.namespace} describe rayservice {self.rayservice}' and its pods' logs"

    @property
    def renew_s(self) -> float:
        """How often a gateway replica renews its acknowledgement."""
        return self.patience.renew_s

    @property
    def poll_s(self) -> float:
        """How often a waiting command may ask."""
        return self.patience.poll_s

    def evidence_path(self, replica: str) -> Path:
        """The file of this pod to which a gateway replica appends what it saw."""
        return self.evidence_folder / f"{replica}.jsonl"

    # ---- how traffic is split --------------------------------------------------------------------------------------------
    def weights(self) -> Weights:
        """The split as it is declared. Raises InputError where it is damaged."""
        return _weights_in(self.cluster.get(CONFIG_MAPS, self._weights_name))

    def change_weights(self, change: Callable[[Weights], Weights]) -> Weights:
        """Write ``change`` of the present weights with the next version; unchanged ones stay. It may be called again.

        Raises:
            ConflictError: others kept changing them for half a minute.
        """
        deadline = time.monotonic() + _CHANGE_TIMEOUT_S
        while True:
            found = self.cluster.get(CONFIG_MAPS, self._weights_name)
            present = _weights_in(found)
            wanted = replace(change(present), version=present.version)
            if wanted == present:
                return present
            next_one = replace(wanted, version=present.version + 1)
            data = {_WEIGHTS_KEY: json.dumps(asdict(next_one), sort_keys=True)}
            try:
                if found is None:
                    self.cluster.create(CONFIG_MAPS, _config_map(self._weights_name, data))
                else:
                    self.cluster.replace(CONFIG_MAPS, self._weights_name, {**found, "data": data})
            except (ConflictError, ExistsError):
                if time.monotonic() > deadline:
                    raise
                continue
            return next_one

    def acknowledge(self, replica: str, version: int) -> None:
        """Say that a gateway replica follows ``version``: a merge patch, which touches no other replica's key."""
        beat = json.dumps({"version": version, "time": time.time()})
        self.cluster.patch(CONFIG_MAPS, self._gateways_name, {"data": {replica: beat}})

    def forget(self, replica: str) -> None:
        """A gateway replica ends: nobody need wait for it."""
        self.cluster.patch(CONFIG_MAPS, self._gateways_name, {"data": {replica: None}})

    def wait_for_ack(self, version: int, timeout_s: float | None = None) -> None:
        """Return once every living gateway replica (at least one) follows ``version`` or a later one.

        Whether a replica lives is judged by this process's own clock alone: its entry changes, or it does not.

        Raises:
            RetryableError: it takes longer than ``timeout_s``.
        """
        limit_s = _ACK_TIMEOUT_S if timeout_s is None else timeout_s
        deadline = time.monotonic() + limit_s
        changed: dict[str, tuple[str, float]] = {}
        while True:
            now = time.monotonic()
            found = self.cluster.get(CONFIG_MAPS, self._gateways_name)
            entries: dict[str, str] = dict((found or {}).get("data") or {})
            for replica, beat in entries.items():
                if changed.get(replica, ("", 0.0))[0] != beat:
                    changed[replica] = (beat, now)
            behind = {replica for replica, beat in entries.items() if _version_in(beat) < version}
            gone = {replica for replica in behind if now - changed[replica][1] > self.patience.expires_s}
            for replica in gone:
                self.forget(replica)
            if entries.keys() - behind and not behind - gone:
                return
            if now > deadline:
                waiting = ", ".join(sorted(behind)) or "none has ever acknowledged anything"
                raise RetryableError(
                    f"not every gateway of {self.name} acknowledged weights version {version} in {limit_s:.0f} s "
                    f"({waiting}): see {self.logs}, and try again"
                )
            time.sleep(min(_ACK_POLL_S, self.patience.poll_s))

    # ---- which revisions run ---------------------------------------------------------------------------------------------
    def topology(self) -> Topology:
        """Which revisions shall run."""
        return topology_of(self._service())

    def change_topology(self, change: Callable[[Topology], Topology]) -> Topology:
        """Write ``change`` of the present topology under the RayService's resourceVersion. It may be called again.

        Applications that Serin does not own, and revisions that did not change, stay as they are: Serve deletes what a new
        config leaves out, and rebuilds what it changes.
        """
        deadline = time.monotonic() + _CHANGE_TIMEOUT_S
        while True:
            service = self._service()
            config = read_serve_config(service)
            present = topology_of(service)
            wanted = change(present)
            if wanted.revisions == present.revisions:
                return present
            applications = applications_with(config, present, wanted)
            spec = {**service["spec"], "serveConfigV2": written({**config, "applications": applications})}
            try:
                made = self.cluster.replace(RAY_SERVICES, self.rayservice, {**service, "spec": spec})
            except ConflictError:
                if time.monotonic() > deadline:
                    raise
                continue
            return topology_of(made)

    def status(self) -> Mapping[str, RevisionStatus]:
        """How revisions are, in Serve's own words as the operator wrote them down last."""
        return status_of(self._service())

    def serves(self) -> bool:
        """Whether there is such a RayService."""
        return self.cluster.get(RAY_SERVICES, self.rayservice) is not None

    # ---- for gateways ----------------------------------------------------------------------------------------------------
    def look(self) -> Seen:
        """What a gateway goes by, now."""
        return _seen(self.weights(), self._service())

    def follow(self, heard: Callable[[Seen], None], stopped: threading.Event) -> None:
        """Watch both objects, each in a thread; what the API server does not tell stays as it was."""
        weights: Weights | None = None
        seen: Seen | None = None
        lock = threading.Lock()

        def tell() -> None:
            if weights is not None and seen is not None:
                heard(replace(seen, weights=weights))

        def of_weights(found: Object | None) -> None:
            nonlocal weights
            with lock:
                weights = _weights_in(found)
                tell()

        def of_service(found: Object | None) -> None:
            nonlocal seen
            with lock:
                seen = Seen() if found is None else _seen(Weights(), found)
                tell()

        watch_s = self.patience.watch_s
        beside = threading.Thread(
            target=follow_object,
            args=(self.cluster, RAY_SERVICES, self.rayservice, of_service, stopped, watch_s),
            daemon=True,
        )
        beside.start()
        follow_object(self.cluster, CONFIG_MAPS, self._weights_name, of_weights, stopped, watch_s)

    # ---- the objects -----------------------------------------------------------------------------------------------------
    @property
    def _weights_name(self) -> str:
        return f"{self.rayservice}-weights"

    @property
    def _gateways_name(self) -> str:
        return f"{self.rayservice}-gateways"

    def _service(self) -> Object:
        found = self.cluster.get(RAY_SERVICES, self.rayservice)
        if found is None:
            raise ServingError(
                f"there is no {self.name}: apply k8s/serving first, or name yours in serve.rayservice of params.yaml"
            )
        return found


def _seen(weights: Weights, service: Object) -> Seen:
    """One that is declared and does not show yet starts, too."""
    starting = RevisionStatus("starting")
    return seen_in(weights, {**dict.fromkeys(topology_of(service).revisions, starting), **status_of(service)})


def _weights_in(found: Object | None) -> Weights:
    text = ((found or {}).get("data") or {}).get(_WEIGHTS_KEY)
    if not text:
        return Weights()
    try:
        value: Any = json.loads(text)
    except ValueError as error:
        raise InputError(f"the weights are damaged ({error}): remove them and deploy again") from error
    return weights_from(value)


def _version_in(beat: str) -> int:
    """The version that a replica follows; -1 where its entry is damaged, so that it does not count as following."""
    try:
        return int(json.loads(beat)["version"])
    except (ValueError, KeyError, TypeError):
        return -1


def _config_map(name: str, data: Mapping[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "serin"}},
        "data": dict(data),
    }
