"""Deploying to a cluster and taking away again: the test plays KubeRay's operator and a gateway."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from serin.clients.files import write_json
from serin.clients.kubernetes import open_cluster
from serin.clients.kubernetes.kinds import RAY_SERVICES
from serin.clients.serving_state.cluster import ClusterState, Patience
from serin.clients.storage import Storage, open_storage
from serin.core.errors import ConfigError, ServingError
from serin.core.params import RevisionParams, ServeParams, StorageParams
from serin.core.revision import Revision
from serin.serve.gateway.replica import cluster_application
from serin.serve.topology.deploy import deploy
from serin.serve.topology.published import Published, find_published
from serin.serve.topology.undeploy import undeploy

from ....cluster.standin import StandIn

PARAMS = ServeParams(max_model_len=64, start_timeout_s=60)
HURRIED = Patience(renew_s=0.1, expires_s=2.0, poll_s=0.05)


@pytest.fixture
def api() -> Iterator[StandIn]:
    with StandIn(auto=False) as standin:
        config = {"applications": [cluster_application(2)]}
        spec = {"serveConfigV2": yaml.safe_dump(config), "rayClusterConfig": {}}
        standin.create(
            {"apiVersion": "ray.io/v1", "kind": "RayService", "metadata": {"name": "serin-serve"}, "spec": spec}
        )
        for name in ("weights", "gateways"):
            standin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"serin-serve-{name}"}})
        yield standin


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(StorageParams(url=str(tmp_path / "storage")))


def opened(api: StandIn) -> ClusterState:
    cluster = open_cluster(None, None, {**os.environ, "KUBECONFIG": str(api.kubeconfig)})
    return ClusterState(cluster, "serin-serve", Path("/nowhere"), HURRIED)


def publish(storage: Storage, digest: str, tmp_path: Path, **config: Any) -> Published:
    folder = tmp_path / "storage/models/law" / digest
    write_json(folder / "config.json", {"architectures": ["A"], "max_position_embeddings": 128, **config})
    (folder / "model.safetensors").write_bytes(b"0")
    write_json(tmp_path / f"storage/published/law/{digest}.json", {"name": "law", "digest": digest})
    return find_published(storage, Revision("law", digest[:12]))


@contextmanager
def operated(state: ClusterState, failing: str = "") -> Iterator[list[list[str]]]:
    """Applications become what they are declared to be; the lists say which ones ran, as they changed."""
    stopped, looked = threading.Event(), threading.Event()
    runs: list[list[str]] = []

    def work() -> None:
        while not stopped.wait(0.05):
            service = state.cluster.get(RAY_SERVICES, "serin-serve")
            assert service is not None
            declared = [each["name"] for each in yaml.safe_load(service["spec"]["serveConfigV2"])["applications"]]
            if not runs or runs[-1] != declared:
                runs.append(declared)
            bad = {"status": "DEPLOY_FAILED", "message": "Traceback\nValueError: bad weights"}
            shown = {name: bad if failing and failing in name else {"status": "RUNNING"} for name in declared}
            status = {"activeServiceStatus": {"rayClusterName": "c", "applicationStatuses": shown}}
            state.cluster.apply_status(RAY_SERVICES, "serin-serve", {"status": status}, "kuberay")
            state.acknowledge("g1", state.weights().version)
            looked.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert looked.wait(30)
        yield runs
    finally:
        stopped.set()
        thread.join()


def test_the_first_is_stable_the_second_waits_and_is_scaled_and_goes(
    api: StandIn, storage: Storage, tmp_path: Path
) -> None:
    state = opened(api)
    first, second = publish(storage, "a" * 64, tmp_path), publish(storage, "b" * 64, tmp_path)
    with operated(opened(api)) as runs:
        weights = deploy(PARAMS, RevisionParams(), storage, first, state, lambda _: None)
        assert weights.stable == str(first.revision)
        assert state.topology().revisions[str(first.revision)].settings == {"replicas": 1}, (
            "else Serve restarts it to scale it"
        )
        assert deploy(PARAMS, RevisionParams(), storage, second, state, lambda _: None).stable == str(first.revision)
        deploy(PARAMS, RevisionParams(replicas=3), storage, second, state, lambda _: None)
        assert state.topology().revisions[str(second.revision)].settings == {"replicas": 3}
        assert state.topology().revisions[str(second.revision)].path is None
        with pytest.raises(ServingError, match="other settings"):
            deploy(PARAMS, RevisionParams(gpus=2), storage, second, state, lambda _: None)
        undeploy(PARAMS, str(second.revision), state, force=False, tell=lambda _: None)
    assert runs == [
        ["gateway"],
        ["gateway", "law-aaaaaaaa"],
        ["gateway", "law-aaaaaaaa", "law-bbbbbbbb"],
        ["gateway", "law-aaaaaaaa"],
    ]


def test_one_that_cannot_be_loaded_says_why_and_is_declared_no_longer(
    api: StandIn, storage: Storage, tmp_path: Path
) -> None:
    state = opened(api)
    broken = publish(storage, "c" * 64, tmp_path)
    with operated(opened(api), failing="cccc"):
        with pytest.raises(ServingError, match="ValueError: bad weights"):
            deploy(PARAMS, RevisionParams(), storage, broken, state, lambda _: None)
        assert state.topology().revisions == {}
    assert state.weights().stable is None


@pytest.mark.parametrize(
    ("config", "said"),
    [({"architectures": []}, "names no architecture"), ({"max_position_embeddings": 32}, "must not be above 32")],
)
def test_what_vllm_could_not_load_is_refused_before_it_is_declared(
    api: StandIn, storage: Storage, tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    published = publish(storage, "d" * 64, tmp_path, **config)
    with pytest.raises(ConfigError, match=said):
        deploy(PARAMS, RevisionParams(), storage, published, opened(api), lambda _: None)
    assert opened(api).topology().revisions == {}
