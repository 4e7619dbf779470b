"""What a manifest of k8s/ refers to is there: accounts, classes, Secrets, images, queues, the pods of a selector."""

import re
from typing import Any

import pytest
import yaml

YOURS = {"serin-storage", "serin-serve", "serin-redis"}
"""Secrets that nobody but the user can make; k8s/README.md says how."""


def test_what_a_pod_refers_to_is_there(cluster: Any) -> None:
    def named(kind: str) -> set[str]:
        return {manifest["metadata"]["name"] for manifest in cluster.of(kind)}

    secrets = {ray_secret(cluster)}
    config_maps = {each["metadata"]["name"]: each.get("data", {}) for each in cluster.of("ConfigMap")}
    for pod in cluster.pods():
        assert pod.spec["serviceAccountName"] in named("ServiceAccount")
        assert pod.spec.get("priorityClassName") in {None, *named("PriorityClass")}
        volumes = {volume["name"] for volume in pod.spec["volumes"]}
        for container in pod.spec["containers"] + pod.spec.get("initContainers", []):
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            secrets |= {each["secretRef"]["name"] for each in container.get("envFrom", [])}
            for variable in container.get("env", []):
                if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                    secrets.add(reference["name"])
                if reference := variable.get("valueFrom", {}).get("configMapKeyRef"):
                    assert reference.get("optional") or reference["key"] in config_maps[reference["name"]]
    assert secrets == YOURS
    readme = (cluster.root / "k8s/README.md").read_text()
    assert all(f"create secret generic {name}" in readme for name in YOURS)


def ray_secret(cluster: Any) -> str:
    """The Secret that the operator gives Ray for its Redis."""
    (service,) = cluster.of("RayService")
    options = service["spec"]["rayClusterConfig"]["gcsFaultToleranceOptions"]
    return str(options["redisPassword"]["valueFrom"]["secretKeyRef"]["name"])


def test_every_disruption_budget_and_monitor_is_of_pods_that_exist(cluster: Any) -> None:
    selecting = [*cluster.of("PodDisruptionBudget"), *cluster.of("PodMonitor")]
    assert len(selecting) == 4
    for manifest in selecting:
        chosen = [pod for pod in cluster.pods() if cluster.matches(manifest["spec"]["selector"], pod.labels)]
        assert chosen, manifest["metadata"]["name"]
        for endpoint in manifest["spec"].get("podMetricsEndpoints", []):
            for pod in chosen:
                assert endpoint["port"] in {p["name"] for c in pod.spec["containers"] for p in c["ports"]}


@pytest.mark.parametrize("folder", ["k8s/overlays/dev", "k8s/overlays/prod", "k8s/overlays/serving"])
def test_every_image_is_one_of_ours_under_a_tag_that_stays(cluster: Any, folder: str) -> None:
    ours = re.findall(r'image\.title="([\w-]+)"', (cluster.root / "images/Dockerfile").read_text())
    images = [
        container["image"]
        for manifest in cluster.build(folder)
        for _, template in cluster.templates(manifest)
        for container in template["spec"]["containers"] + template["spec"].get("initContainers", [])
    ]
    assert images
    for image in images:
        name, _, tag = image.rpartition(":")
        assert name.rpartition("/")[2] in ours
        assert tag not in ("", "latest")


def test_a_run_in_the_queue_can_start(cluster: Any) -> None:
    """Kueue admits no pod that requests what its ClusterQueue does not cover, and no queue that leads nowhere."""
    (local,), (queue,), (flavor,) = cluster.of("LocalQueue"), cluster.of("ClusterQueue"), cluster.of("ResourceFlavor")
    assert local["spec"]["clusterQueue"] == queue["metadata"]["name"]
    assert queue["spec"]["namespaceSelector"] == {
        "matchLabels": {"kubernetes.io/metadata.name": local["metadata"]["namespace"]}
    }
    (group,) = queue["spec"]["resourceGroups"]
    assert [each["name"] for each in group["flavors"]] == [flavor["metadata"]["name"]]
    covered = set(group["coveredResources"])
    assert {each["name"] for each in group["flavors"][0]["resources"]} == covered
    for stage in ("train", "merge", "evaluate", "publish"):
        made = cluster.job(stage, queue=local["metadata"]["name"], priorityClass="serin-run")
        assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == local["metadata"]["name"]
        (container,) = made["spec"]["template"]["spec"]["containers"]
        assert container["resources"]["requests"].keys() <= covered


def test_the_examples_queue_and_classes_are_those_of_this_folder(cluster: Any) -> None:
    def named(kind: str) -> set[str]:
        return {manifest["metadata"]["name"] for manifest in cluster.of(kind)}

    examples = [
        yaml.safe_load(path.read_text()) for path in (cluster.root / "examples/kubernetes").glob("finetune*.yaml")
    ]
    placements = [example["spec"]["run"]["placement"] for example in examples]
    assert {"gpu"} <= {placement.get("queue") for placement in placements} - {None} <= named("LocalQueue")
    assert {placement.get("priorityClass") for placement in placements} - {None} <= named("PriorityClass")
    assert {placement.get("serviceAccount") for placement in placements} - {None} <= named("ServiceAccount")


def test_runs_give_way_to_what_serves(cluster: Any) -> None:
    values = {manifest["metadata"]["name"]: manifest for manifest in cluster.of("PriorityClass")}
    assert values["serin-run"]["value"] < values["serin-serve"]["value"]
    assert values["serin-run"]["preemptionPolicy"] == "Never"
    assert not any(manifest["globalDefault"] for manifest in values.values())
