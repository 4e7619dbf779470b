"""Who reaches whom under the NetworkPolicies of k8s/, and who does not."""

from typing import Any

import pytest

S3 = "52.218.0.1"
METADATA = "169.254.169.254"
API_SERVER = "10.96.0.1"


@pytest.fixture(scope="module")
def network(cluster: Any) -> Any:
    """All policies."""
    return cluster.network(cluster.of("NetworkPolicy"))


@pytest.fixture(scope="module")
def pods(cluster: Any) -> dict[str, Any]:
    """One of each sort."""
    found = {
        pod.labels.get("serin.dev/stage")
        or pod.labels.get("app.kubernetes.io/component")
        or pod.labels["app.kubernetes.io/name"]: pod
        for pod in cluster.pods()
    }
    others = {
        "dns": ("kube-system", {"k8s-app": "kube-dns"}),
        "prometheus": ("monitoring", {"app.kubernetes.io/name": "prometheus"}),
        "operator": ("kuberay", {"app.kubernetes.io/name": "kuberay-operator"}),
        "stranger": ("default", {"app": "stranger"}),
        "neighbour": ("serin", {"app": "neighbour"}),
    }
    return found | {name: cluster.pod(name, space, labels, {}) for name, (space, labels) in others.items()}


RAY = ["serin-serve", "gateway", "revisions"]
SORTS = ("serin-controller", *RAY, "train", "merge", "evaluate", "publish")


def test_every_policy_is_of_pods_that_exist_and_of_ports_that_they_have(cluster: Any) -> None:
    for policy in cluster.of("NetworkPolicy"):
        spec = policy["spec"]
        if policy["metadata"]["name"] == "serin-redis":
            continue  # of labels that the operator gives, and without ports of its own
        chosen = [pod for pod in cluster.pods() if cluster.matches(spec["podSelector"], pod.labels)]
        assert chosen, policy["metadata"]["name"]
        named = {p["name"] for pod in chosen for c in pod.spec["containers"] for p in c.get("ports", [])}
        wanted = {port["port"] for rule in spec.get("ingress", []) for port in rule.get("ports", [])}
        assert wanted <= named


@pytest.mark.parametrize("sort", SORTS)
def test_everyone_may_ask_for_names_and_reach_s3(network: Any, pods: dict[str, Any], sort: str) -> None:
    assert network.lets(pods[sort], pods["dns"], 53, "UDP")
    assert network.lets(pods[sort], "169.254.20.10", 53, "UDP")
    assert network.lets(pods[sort], S3, 443)
    assert network.lets(pods[sort], "2600:1f00::1", 443)


@pytest.mark.parametrize("sort", SORTS)
def test_nobody_may_ask_the_node_for_credentials_or_speak_in_clear(
    network: Any, pods: dict[str, Any], sort: str
) -> None:
    assert not network.lets(pods[sort], METADATA, 80)
    assert not network.lets(pods[sort], METADATA, 443)
    assert not network.lets(pods[sort], "fd00:ec2::254", 443)
    assert not network.lets(pods[sort], S3, 80)


def test_only_who_asks_the_api_server_reaches_it_at_its_own_port(network: Any, pods: dict[str, Any]) -> None:
    assert [sort for sort in SORTS if network.lets(pods[sort], API_SERVER, 6443)] == ["serin-controller", "gateway"]


def test_the_metrics_are_for_monitoring_alone(network: Any, pods: dict[str, Any]) -> None:
    controller = pods["serin-controller"]
    assert [name for name, pod in pods.items() if network.lets(pod, controller, 8080)] == ["prometheus"]
    assert not network.lets(pods["prometheus"], controller, 8081)


@pytest.mark.parametrize("port", [22, 443, 8000, 29500])
def test_nobody_reaches_the_pods_of_a_run_but_those_that_train_with_them(
    network: Any, pods: dict[str, Any], port: int
) -> None:
    for stage in ("merge", "evaluate", "publish"):
        assert [name for name, pod in pods.items() if network.lets(pod, pods[stage], port)] == []
    assert [name for name, pod in pods.items() if network.lets(pod, pods["train"], port)] == ["train"]


def test_ray_is_reached_by_itself_and_the_operator(network: Any, pods: dict[str, Any]) -> None:
    ray = pods["serin-serve"]
    assert [name for name, pod in pods.items() if network.lets(pod, ray, 6379)] == RAY
    assert [name for name, pod in pods.items() if network.lets(pod, ray, 8265)] == [*RAY, "operator"]
    assert [name for name, pod in pods.items() if network.lets(pod, ray, 8000)] == [*RAY, "operator"]


@pytest.mark.parametrize("port", [8404, 9101])
def test_haproxys_statistics_and_metrics_are_for_nobody_else(network: Any, pods: dict[str, Any], port: int) -> None:
    """HAProxy binds them to every address of its pod."""
    assert [name for name, pod in pods.items() if network.lets(pod, pods["gateway"], port)] == RAY


def test_the_head_alone_reaches_redis(network: Any, pods: dict[str, Any], cluster: Any) -> None:
    """KubeRay labels the head and its clean-up (ray-operator/controllers/ray/common/pod.go)."""
    head = pods["serin-serve"]
    labelled = cluster.pod(head.name, head.namespace, {**head.labels, "ray.io/node-type": "head"}, head.spec)
    assert network.lets(labelled, "10.1.2.3", 6379)
    assert not any(network.lets(pods[sort], "10.1.2.3", 6379) for sort in SORTS)


def test_a_pod_that_nobody_thought_of_is_cut_off(network: Any, pods: dict[str, Any]) -> None:
    neighbour = pods["neighbour"]
    assert not network.lets(neighbour, S3, 443)
    assert not network.lets(pods["stranger"], neighbour, 80)


def test_the_overlay_for_kind_reaches_an_s3_server_in_the_cluster(cluster: Any, pods: dict[str, Any]) -> None:
    dev = cluster.network([m for m in cluster.build("k8s/overlays/dev") if m["kind"] == "NetworkPolicy"])
    assert dev.lets(pods["serin-controller"], "10.96.7.7", 9000)
    assert dev.lets(pods["train"], "10.96.7.7", 9000)
