"""Every pod passes Pod Security's restricted profile, says what it needs, and starts what exists."""

from typing import Any

import click

from serin.cli import cli

from ...cluster.standin.checks import restricted_faults


def test_every_pod_is_restricted_and_cannot_write_its_root(cluster: Any) -> None:
    pods = cluster.pods()
    assert len(pods) == 8
    for pod in pods:
        assert restricted_faults(pod.spec) == [], pod.name
        for container in [*pod.spec["containers"], *pod.spec.get("initContainers", [])]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, pod.name
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, pod.name
        assert pod.spec["securityContext"]["runAsUser"] == 1000


def test_only_who_asks_the_api_server_has_a_token(cluster: Any) -> None:
    with_token = {
        pod.spec["serviceAccountName"] for pod in cluster.pods() if pod.spec.get("automountServiceAccountToken", True)
    }
    without = {pod.spec["serviceAccountName"] for pod in cluster.pods()} - with_token
    assert with_token == {"serin-controller", "serin-gateway"}
    assert without == {"serin-run", "serin-serve"}
    assert all(account["automountServiceAccountToken"] is False for account in cluster.of("ServiceAccount"))


def test_every_container_says_what_it_needs(cluster: Any) -> None:
    for pod in cluster.pods():
        for container in pod.spec["containers"] + pod.spec.get("initContainers", []):
            resources = container["resources"]
            assert {"cpu", "memory"} <= resources["requests"].keys(), pod.name
            assert "memory" in resources["limits"], pod.name


def test_the_controllers_command_exists_and_listens_where_the_probes_look(cluster: Any) -> None:
    (deployment,) = cluster.of("Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["command"][:3] == ["python", "-m", "serin"]
    group = cli.get_command(click.Context(cli), container["command"][3])
    assert isinstance(group, click.Group)
    run = group.commands[container["command"][4]]
    given = run.make_context("run", list(container["args"])).params
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"metrics": given["metrics_port"], "health": given["health_port"]}
    assert given["listen"] == "0.0.0.0"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "health"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_a_second_controller_is_ready_in_production(cluster: Any) -> None:
    (deployment,) = cluster.of("Deployment")
    assert deployment["spec"]["replicas"] == 2
    (dev,) = [m for m in cluster.build("k8s/overlays/dev") if m["kind"] == "Deployment"]
    assert dev["spec"]["replicas"] == 1
