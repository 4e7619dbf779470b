"""Everything in k8s/ builds, and is what Kubernetes and the other projects' APIs take."""

import re
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

VERSIONS = ("1.33", kubernetes_validate.latest_version())
FOLDERS = ("k8s/overlays/dev", "k8s/overlays/prod", "k8s/overlays/serving", "k8s/serving")
_STRING, _STRINGS = {"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}
_QUANTITY = {"type": "string", "pattern": r"^[0-9]+(m|Ki|Mi|Gi|Ti)?$"}


def _closed(required: str, optional: str = "", **fields: Any) -> dict[str, Any]:
    """An object of these fields and no other."""
    known = {key: {} for key in (*required.split(), *optional.split())} | fields
    return {"type": "object", "additionalProperties": False, "required": required.split(), "properties": known}


_SELECTOR = {"type": "object", "propertyNames": {"enum": ["matchLabels", "matchExpressions"]}}
SPECS: dict[tuple[str, str], dict[str, Any]] = {
    # github.com/prometheus-operator/prometheus-operator, Documentation/api-reference/api.md
    ("monitoring.coreos.com/v1", "PodMonitor"): _closed(
        "selector podMetricsEndpoints",
        selector=_SELECTOR,
        podMetricsEndpoints={
            "type": "array",
            "items": _closed("port", "path interval scrapeTimeout", port=_STRING, interval={"pattern": r"^\d+s$"}),
        },
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): _closed(
        "groups",
        groups={
            "type": "array",
            "items": _closed(
                "name rules", rules={"type": "array", "items": _closed("alert expr", "for labels annotations")}
            ),
        },
    ),
    # kueue.sigs.k8s.io/docs/reference/kueue.v1beta1
    ("kueue.x-k8s.io/v1beta1", "ResourceFlavor"): _closed(
        "",
        "nodeLabels tolerations nodeTaints",
        nodeLabels={"type": "object", "additionalProperties": _STRING},
        tolerations={"type": "array", "items": _closed("", "key operator value effect")},
    ),
    ("kueue.x-k8s.io/v1beta1", "LocalQueue"): _closed("clusterQueue", clusterQueue=_STRING),
    ("kueue.x-k8s.io/v1beta1", "ClusterQueue"): _closed(
        "resourceGroups namespaceSelector",
        "queueingStrategy preemption cohort",
        namespaceSelector=_SELECTOR,
        queueingStrategy={"enum": ["StrictFIFO", "BestEffortFIFO"]},
        preemption=_closed(
            "",
            "withinClusterQueue reclaimWithinCohort",
            withinClusterQueue={"enum": ["Never", "LowerPriority", "LowerOrNewerEqualPriority"]},
        ),
        resourceGroups={
            "type": "array",
            "items": _closed(
                "coveredResources flavors",
                coveredResources=_STRINGS,
                flavors={
                    "type": "array",
                    "items": _closed(
                        "name resources",
                        resources={
                            "type": "array",
                            "items": _closed("name nominalQuota", "borrowingLimit", nominalQuota=_QUANTITY),
                        },
                    ),
                },
            ),
        },
    ),
    # ray-project.github.io/kuberay/reference/api
    ("ray.io/v1", "RayService"): _closed(
        "serveConfigV2 rayClusterConfig",
        "upgradeStrategy",
        serveConfigV2=_STRING,
        upgradeStrategy=_closed("type", type={"enum": ["NewCluster", "NewClusterWithIncrementalUpgrade", "None"]}),
        rayClusterConfig=_closed(
            "rayVersion headGroupSpec workerGroupSpecs",
            "authOptions gcsFaultToleranceOptions",
            # github.com/ray-project/kuberay, ray-operator/apis/ray/v1/raycluster_types.go
            gcsFaultToleranceOptions=_closed(
                "redisAddress",
                "redisPassword redisUsername externalStorageNamespace",
                redisAddress={"type": "string", "pattern": r"^\S+:\d+$"},
                redisPassword=_closed("valueFrom", valueFrom=_closed("secretKeyRef")),
            ),
            rayVersion=_STRING,
            authOptions=_closed("mode", mode={"enum": ["token", "disabled"]}),
            headGroupSpec=_closed("rayStartParams template"),
            workerGroupSpecs={
                "type": "array",
                "items": _closed("groupName replicas minReplicas maxReplicas rayStartParams template"),
            },
        ),
    ),
}
"""The fields of other projects' kinds that are used here; no package carries their schemas."""


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_what_its_api_takes(cluster: Any, folder: str, version: str) -> None:
    for manifest in cluster.build(folder):
        known = SPECS.get((manifest["apiVersion"], manifest["kind"]))
        if known is not None:
            assert manifest.keys() == {"apiVersion", "kind", "metadata", "spec"}
            jsonschema.validate(manifest["spec"], known)
        elif manifest["kind"] != "CustomResourceDefinition":
            kubernetes_validate.validate(manifest, version, strict=True)
        for path, template in cluster.templates(manifest):
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "checked"}, "spec": template["spec"]}
            try:
                kubernetes_validate.validate(pod, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                pytest.fail(f"{path}: {error.message}")


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_object_is_there_twice_and_all_stand_in_one_namespace(cluster: Any, folder: str) -> None:
    manifests = cluster.build(folder)
    names = [(m["apiVersion"], m["kind"], m["metadata"]["name"]) for m in manifests]
    assert len(names) == len(set(names))
    everywhere = {"Namespace", "PriorityClass", "CustomResourceDefinition", "ClusterQueue", "ResourceFlavor"}
    for manifest in manifests:
        found = manifest["metadata"].get("namespace")
        assert found == (None if manifest["kind"] in everywhere else "serin"), manifest["metadata"]["name"]


def test_no_file_is_left_out(cluster: Any) -> None:
    """Every YAML file of k8s/ is reached from a folder that a user applies."""
    root = cluster.root
    waiting, reached = [root / folder / "kustomization.yaml" for folder in FOLDERS], set()
    while waiting:
        path = waiting.pop().resolve()
        path = path / "kustomization.yaml" if path.is_dir() else path
        reached.add(path)
        if path.name == "kustomization.yaml":
            told = yaml.safe_load(path.read_text())
            for field in ("resources", "components"):
                waiting += [path.parent / each for each in told.get(field, [])]
            reached |= {(path.parent / each["path"]).resolve() for each in told.get("patches", []) if "path" in each}
    assert reached == {path.resolve() for path in (root / "k8s").rglob("*.yaml")}


def test_the_crds_are_part_of_it(cluster: Any) -> None:
    names = {crd["metadata"]["name"] for crd in cluster.of("CustomResourceDefinition")}
    assert names == {"finetunes.serin.dev", "modelrollouts.serin.dev"}


def test_the_namespace_refuses_what_is_not_restricted(cluster: Any) -> None:
    (namespace,) = cluster.of("Namespace")
    labels = namespace["metadata"]["labels"]
    prefix = "pod-security.kubernetes.io"
    assert {labels[f"{prefix}/{mode}"] for mode in ("enforce", "audit", "warn")} == {"restricted"}
    assert re.fullmatch(r"v1\.\d+", labels[f"{prefix}/enforce-version"])


def test_its_readme_names_what_is_there(cluster: Any) -> None:
    text = (cluster.root / "k8s/README.md").read_text()
    rows = re.findall(r"^\| `([\w/]+)` \|", text, re.MULTILINE)
    folders = {
        path.parent.relative_to(cluster.root / "k8s").as_posix()
        for path in (cluster.root / "k8s").rglob("kustomization.yaml")
    }
    assert set(rows) == folders - {"base/crds"}
    applied = re.findall(r"kubectl apply --server-side -k (\S+)", text)
    assert applied
    assert set(applied) <= set(FOLDERS)
    assert set(re.findall(r"--role=(\S+)", text)) <= {role["metadata"]["name"] for role in cluster.of("Role")}
    for account in ("serin-controller", "serin-run", "serin-serve", "serin-gateway"):
        assert f"`{account}`" in text
