"""Which cluster is meant, and as whom."""

from pathlib import Path

import pytest
import yaml

from serin.clients.kubernetes import open_cluster
from serin.clients.kubernetes.kinds import JOBS
from serin.core.errors import ConfigError

from ....cluster.standin import StandIn


def kubeconfig(folder: Path, server: str = "http://127.0.0.1:1", **namespaces: str) -> Path:
    contexts = [
        {"name": name, "context": {"cluster": "c", "user": "u", **({"namespace": space} if space else {})}}
        for name, space in namespaces.items()
    ]
    path = folder / "config"
    path.parent.mkdir(parents=True, exist_ok=True)
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": next(iter(namespaces)),
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": contexts,
    }
    path.write_text(yaml.safe_dump(config))
    return path


def test_the_namespace_is_the_given_one_else_the_contexts(tmp_path: Path) -> None:
    environment = {"KUBECONFIG": str(kubeconfig(tmp_path, here="training", there="serving", bare=""))}
    assert open_cluster(None, None, environment).namespace == "training"
    assert open_cluster(None, "there", environment).namespace == "serving"
    assert open_cluster(None, "bare", environment).namespace == "default"
    assert open_cluster("mine", "there", environment).namespace == "mine"


def test_the_kubeconfig_of_the_home_folder_is_found(tmp_path: Path) -> None:
    kubeconfig(tmp_path / ".kube", here="home")
    assert open_cluster(None, None, {"HOME": str(tmp_path)}).namespace == "home"


def test_a_context_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="context elsewhere"):
        open_cluster(None, "elsewhere", {"KUBECONFIG": str(kubeconfig(tmp_path, here=""))})


def test_a_damaged_kubeconfig_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("{not: [yaml")
    with pytest.raises(ConfigError, match=str(path)):
        open_cluster(None, None, {"KUBECONFIG": str(path)})


def test_without_any_cluster_it_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="set KUBECONFIG"):
        open_cluster(None, None, {"HOME": str(tmp_path)})


def test_a_pod_speaks_with_its_service_accounts_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("of-the-pod")
    (tmp_path / "ca.crt").write_text("certificate")
    (tmp_path / "namespace").write_text("training\n")
    environment = {"HOME": str(tmp_path), "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
    cluster = open_cluster(None, None, environment, service_account=tmp_path)
    assert cluster.namespace == "training"
    with StandIn(auto=False) as api:
        api.kubeconfig_of("of-the-pod")
        # A pod's own connection is TLS, which the stand-in does not speak.
        monkeypatch.setattr(type(cluster.transport.configuration), "host", api.url)
        assert cluster.get(JOBS, "j") is None
        assert [call.token.lower().removeprefix("bearer ") for call in api.calls] == ["of-the-pod"]
