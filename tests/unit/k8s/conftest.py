"""What the manifests of k8s/ come to: built by kubectl as a user would, and the pods that the controller makes beside them."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from serin.controller.jobs import render
from serin.core.task import STAGES, Stage

ROOT = Path(__file__).parents[3]
SERVING = "k8s/overlays/serving"
HASH = "0" * 32 + ".dir"
Manifest = dict[str, Any]


@cache
def build(folder: str) -> tuple[Manifest, ...]:
    """``kubectl kustomize``; a missing kubectl fails the test, since nothing else builds what a user applies."""
    assert shutil.which("kubectl"), "kubectl is not on the PATH: install it (Debian: apt-get install kubernetes-client)"
    done = subprocess.run(["kubectl", "kustomize", str(ROOT / folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


@dataclass(frozen=True)
class Pod:
    """A pod that a manifest leads to. Outside of the cluster it is an address alone."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]


def templates(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every pod template of an object, by its path."""

    def walk(value: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        if isinstance(value, dict):
            if isinstance(value.get("spec"), dict) and "containers" in value["spec"]:
                yield path, value
                return
            for key, child in value.items():
                yield from walk(child, f"{path}.{key}")
        elif isinstance(value, list):
            for i, child in enumerate(value):
                yield from walk(child, f"{path}[{i}]")

    yield from walk(manifest, f"{manifest['kind']}/{manifest['metadata']['name']}")


def finetune(**placement: Any) -> Manifest:
    """A small FineTune, with what the user sets of its placement."""
    run = {
        "inputs": {"base": HASH, "dataset": HASH},
        "params": {"storage": {"url": "s3://bucket/prefix"}},
        "placement": {"image": "serin-train:dev", **placement},
    }
    metadata = {"name": "law-qa", "namespace": "serin", "uid": "3f9a1c20-0000-4000-8000-000000000000"}
    return {"apiVersion": "serin.dev/v1alpha1", "kind": "FineTune", "metadata": metadata, "spec": {"run": run}}


def job(stage: Stage, **placement: Any) -> Manifest:
    """What the controller makes for a stage."""
    words = ("base", "dataset", "adapter", "merged", "evaluation")
    return render(finetune(**placement), stage, dict.fromkeys(words, HASH))  # type: ignore[arg-type]


def pods() -> list[Pod]:
    """One for each template: of the controller, of serving, and of every stage of a run."""
    made = [(m["metadata"].get("namespace", "serin"), m) for m in (*build("k8s/overlays/prod"), *build(SERVING))]
    made += [("serin", job(stage, nodes=2 if stage == "train" else 1)) for stage in STAGES]
    return [
        Pod(path, namespace, template["metadata"]["labels"], template["spec"])
        for namespace, manifest in made
        for path, template in templates(manifest)
    ]


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """A label selector, as the API defines it; an empty one matches everything."""
    wanted = selector.get("matchLabels", {})
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    tests: dict[str, Callable[[Mapping[str, Any]], bool]] = {
        "Exists": lambda e: e["key"] in labels,
        "DoesNotExist": lambda e: e["key"] not in labels,
        "In": lambda e: labels.get(e["key"]) in e["values"],
        "NotIn": lambda e: labels.get(e["key"]) not in e["values"],
    }
    return all(tests[each["operator"]](each) for each in selector.get("matchExpressions", []))


class Network:
    """Who reaches whom, by the rules of NetworkPolicies: allowed is what any policy of a pod allows, in both directions."""

    def __init__(self, policies: list[Manifest]) -> None:
        self.policies = policies

    def lets(self, source: Pod | str, target: Pod | str, port: int, protocol: str = "TCP") -> bool:
        """Whether a connection is let through; a string is an address outside of the cluster."""
        leaves = isinstance(source, str) or self._open("egress", source, target, target, port, protocol)
        enters = isinstance(target, str) or self._open("ingress", target, source, target, port, protocol)
        return leaves and enters

    def _open(self, way: str, own: Pod, peer: Pod | str, target: Pod | str, port: int, protocol: str) -> bool:
        mine = [
            policy
            for policy in self.policies
            if policy["metadata"]["namespace"] == own.namespace
            and way.capitalize() in policy["spec"]["policyTypes"]
            and matches(policy["spec"]["podSelector"], own.labels)
        ]
        rules = [rule for policy in mine for rule in policy["spec"].get(way, [])]
        side = "to" if way == "egress" else "from"
        return not mine or any(
            (not rule.get(side) or any(self._is(each, peer, own.namespace) for each in rule[side]))
            and self._takes(rule.get("ports"), target, port, protocol)
            for rule in rules
        )

    @staticmethod
    def _is(wanted: Mapping[str, Any], peer: Pod | str, namespace: str) -> bool:
        if "ipBlock" in wanted:
            if not isinstance(peer, str):
                return False
            block, address = wanted["ipBlock"], ip_address(peer)
            return address in ip_network(block["cidr"]) and not any(
                address in ip_network(each) for each in block.get("except", [])
            )
        if isinstance(peer, str):
            return False
        if "namespaceSelector" in wanted:
            of_namespace = {"kubernetes.io/metadata.name": peer.namespace}
            if not matches(wanted["namespaceSelector"], of_namespace):
                return False
        elif peer.namespace != namespace:
            return False
        return matches(wanted.get("podSelector", {}), peer.labels)

    @staticmethod
    def _takes(ports: list[Mapping[str, Any]] | None, target: Pod | str, port: int, protocol: str) -> bool:
        if not ports:
            return True
        named = {}
        if isinstance(target, Pod):
            named = {
                each["name"]: each["containerPort"]
                for container in target.spec.get("containers", [])
                for each in container.get("ports", [])
            }
        return any(
            each.get("protocol", "TCP") == protocol and named.get(each["port"], each["port"]) == port for each in ports
        )


class Cluster:
    """Everything above, for tests to ask."""

    root = ROOT
    build = staticmethod(build)
    templates = staticmethod(templates)
    job = staticmethod(job)
    pods = staticmethod(pods)
    matches = staticmethod(matches)
    pod = Pod
    network = Network

    def everything(self) -> list[Manifest]:
        """All objects of the production overlay and of serving."""
        return [*build("k8s/overlays/prod"), *build(SERVING)]

    def of(self, kind: str) -> list[Manifest]:
        """Those of one kind."""
        return [manifest for manifest in self.everything() if manifest["kind"] == kind]


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """What a cluster holds once everything has been applied."""
    return Cluster()
