"""The RayService starts what ``serin serve`` and ``serin deploy`` start: the same applications, environment and Ray."""

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from serin.clients.serving_state import Declared, Topology
from serin.clients.serving_state.serve_config import applications_with, topology_of
from serin.core.errors import ConfigError
from serin.core.params import ServeParams
from serin.serve.drain import hard_stop_s, pod_s
from serin.serve.gateway.replica import (
    EVIDENCE_VARIABLE,
    GATEWAY_RESOURCE,
    SIGNING_KEY_VARIABLE,
    cluster_application,
    settings_from,
)
from serin.serve.local.settings import RunSettings, environment
from serin.serve.middleware import SECRET_VARIABLE
from serin.serve.revisions.node_cache import MODELS_VARIABLE, STORAGE_VARIABLE, storage_of

REVISION = "law-qa@" + "3f9a1c20" * 8


@pytest.fixture(scope="module")
def service(cluster: Any) -> dict[str, Any]:
    """Its spec."""
    (found,) = cluster.of("RayService")
    spec: dict[str, Any] = found["spec"]
    return spec


@pytest.fixture(scope="module")
def config(service: dict[str, Any]) -> dict[str, Any]:
    """What Ray Serve is told."""
    told: dict[str, Any] = yaml.safe_load(service["serveConfigV2"])
    return told


def groups(service: dict[str, Any]) -> list[dict[str, Any]]:
    """Head and workers."""
    cluster = service["rayClusterConfig"]
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def ray_takes(config: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
    """Ask Ray in a process of its own: importing it warns, and warnings are errors here."""
    program = (
        "import json, sys; from ray.serve.schema import ServeDeploySchema as S; S.model_validate(json.load(sys.stdin))"
    )
    return subprocess.run([sys.executable, "-c", program], input=json.dumps(config), capture_output=True, text=True)


def with_revision(config: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """After a deploy."""
    declared = Declared("models/law-qa/3f9a", None, {"commit": "1"}, settings)
    added = applications_with(config, Topology(), Topology(1, {REVISION: declared}))
    return {**config, "applications": added}


def test_ray_serve_takes_it_and_no_misspelling_of_it(config: dict[str, Any]) -> None:
    done = ray_takes(with_revision(config, replicas=2, vllm={"max_num_seqs": 8}))
    assert done.returncode == 0, done.stderr
    (application,) = config["applications"]
    assert ray_takes({**config, "applications": [{**application, "import_path": "no colon"}]}).returncode != 0


def test_it_starts_the_gateway_and_nothing_else(config: dict[str, Any], service: dict[str, Any]) -> None:
    (application,) = config["applications"]
    assert application == cluster_application(application["args"]["replicas"])
    assert topology_of({"metadata": {"name": "s"}, "spec": service}).revisions == {}


def test_each_gateway_replica_has_a_pod_of_its_own(config: dict[str, Any], service: dict[str, Any]) -> None:
    (application,) = config["applications"]
    (group,) = [each for each in service["rayClusterConfig"]["workerGroupSpecs"] if each["groupName"] == "gateway"]
    assert application["args"]["replicas"] == group["replicas"] == group["minReplicas"] == group["maxReplicas"] >= 2
    assert json.loads(json.loads(group["rayStartParams"]["resources"])) == {GATEWAY_RESOURCE: 1}
    (spread,) = group["template"]["spec"]["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert spread["labelSelector"]["matchLabels"].items() <= group["template"]["metadata"]["labels"].items()


def test_what_is_imported_exists(config: dict[str, Any]) -> None:
    """Read rather than imported: vLLM takes half a minute."""
    for application in with_revision(config)["applications"]:
        module, _, name = application["import_path"].partition(":")
        package, *rest = module.split(".")
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        tree = ast.parse(Path(spec.origin).parent.joinpath(*rest).with_suffix(".py").read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_a_gateway_pod_is_told_what_its_replica_asks_for(cluster: Any, service: dict[str, Any]) -> None:
    (group,) = [each for each in service["rayClusterConfig"]["workerGroupSpecs"] if each["groupName"] == "gateway"]
    (container,) = group["template"]["spec"]["containers"]
    config_maps = {each["metadata"]["name"]: each.get("data", {}) for each in cluster.of("ConfigMap")}
    told = {}
    for each in container["env"]:
        origin = each.get("valueFrom", {})
        if reference := origin.get("configMapKeyRef"):
            told[each["name"]] = config_maps[reference["name"]].get(reference["key"], "")
        else:
            told[each["name"]] = "x" * 64 if "secretKeyRef" in origin else each["value"]
    params, settings = settings_from(told)
    (found,) = cluster.of("RayService")
    assert params.rayservice == found["metadata"]["name"]
    assert settings.base_url == "http://127.0.0.1:8000"
    assert told[EVIDENCE_VARIABLE].startswith("/tmp/")
    storage_of({**told, STORAGE_VARIABLE: "."})
    assert {f"{params.rayservice}-weights", f"{params.rayservice}-gateways"} <= config_maps.keys()
    with pytest.raises(ConfigError, match=SIGNING_KEY_VARIABLE):
        settings_from({**told, SIGNING_KEY_VARIABLE: "short"})


def test_models_are_fetched_to_a_disk_of_the_node(service: dict[str, Any]) -> None:
    (group,) = [each for each in service["rayClusterConfig"]["workerGroupSpecs"] if each["groupName"] == "gpu"]
    (container,) = group["template"]["spec"]["containers"]
    (where,) = [each["value"] for each in container["env"] if each["name"] == MODELS_VARIABLE]
    (mount,) = [each for each in container["volumeMounts"] if each["mountPath"] == where]
    assert not mount.get("readOnly")


def test_pods_have_the_environment_that_serve_gives_its_processes(service: dict[str, Any]) -> None:
    settings = RunSettings(ServeParams().model_dump(), "/state", "/run", "marker", "secret", 1, 2, 3)
    ours = environment(settings, {})
    of_all = ("HARD_STOP_AFTER_S", "TIMEOUT_CLIENT_S")
    of_one_machine = {name for name in ours if "HAPROXY_" in name and not name.endswith(of_all)}
    of_one_machine |= {
        "SERIN_SERVE_MARKER", "TMPDIR", "NO_PROXY", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER",
        "RAY_DEDUP_LOGS", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", SECRET_VARIABLE,
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT", "RAY_worker_niceness",
    }  # fmt: skip
    for group in groups(service):
        (container,) = group["template"]["spec"]["containers"]
        given = {each["name"]: each.get("value") for each in container["env"]}
        assert {name: given.get(name) for name in ours.keys() - of_one_machine} == {
            name: value for name, value in ours.items() if name not in of_one_machine
        }
        assert "value" not in next(each for each in container["env"] if each["name"] == SECRET_VARIABLE)


def test_the_image_has_the_haproxy_that_serve_makes_here(cluster: Any, tmp_path: Path) -> None:
    """Ray's is the one that counts headers' time and says 503 while it knows no routes only with our program before it."""
    text = (cluster.root / "images/Dockerfile").read_text()
    (made,) = re.findall(r"^RUN python -m serin\.serve\.haproxy (\S+)$", text, re.MULTILINE)
    assert f"ENV RAY_SERVE_HAPROXY_BINARY_PATH={made}\n" in text
    program, config = tmp_path / "haproxy", tmp_path / "haproxy.cfg"
    config.write_text("defaults\n    mode http\n")
    subprocess.run([sys.executable, "-m", "serin.serve.haproxy", str(program)], check=True)
    told = subprocess.run([str(program), "-v", "-f", str(config)], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("HAProxy version")
    assert "timeout http-request 10s" in config.read_text()


def test_a_drain_cuts_no_request_off(cluster: Any, service: dict[str, Any]) -> None:
    (told,) = [each["data"]["serve.json"] for each in cluster.of("ConfigMap") if "serve.json" in each.get("data", {})]
    longest_s = ServeParams.model_validate_json(told).request_timeout_s
    for group in groups(service):
        spec = group["template"]["spec"]
        (container,) = spec["containers"]
        given = next(e["value"] for e in container["env"] if e["name"] == "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S")
        assert int(given) >= hard_stop_s(longest_s)
        assert spec["terminationGracePeriodSeconds"] >= pod_s(longest_s)


def test_it_is_the_ray_of_the_image(cluster: Any, service: dict[str, Any]) -> None:
    pinned = (cluster.root / "constraints.txt").read_text().splitlines()
    assert f"ray=={service['rayClusterConfig']['rayVersion']}" in pinned
    assert service["rayClusterConfig"]["authOptions"] == {"mode": "token"}
