"""The RayService starts what ``serin deploy`` starts: the same application, in the same environment, with the same Ray."""

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from serin.core.params import ServeParams
from serin.core.revision import Revision
from serin.serve.local.settings import RunSettings, environment
from serin.serve.middleware import SECRET_VARIABLE
from serin.serve.revisions.application import llm_config, route_of


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


def test_ray_serve_takes_it_and_no_misspelling_of_it(config: dict[str, Any]) -> None:
    done = ray_takes(config)
    assert done.returncode == 0, done.stderr
    (application,) = config["applications"]
    assert ray_takes({**config, "applications": [{**application, "import_path": "no colon"}]}).returncode != 0


def test_each_application_is_what_deploy_starts_on_a_gpu(config: dict[str, Any]) -> None:
    params = ServeParams()
    for application in config["applications"]:
        (told,) = application["args"]["llm_configs"]
        revision = told["model_loading_config"]["model_id"]
        model = Path("/models") / Revision.parse(revision).label
        ours = {k: v for k, v in llm_config(params, revision, model, on_gpu=True).items() if v is not None}
        assert told == ours
        assert application["name"] == Revision.parse(revision).label
        assert application["route_prefix"] == route_of(revision)


def test_what_is_imported_exists(config: dict[str, Any]) -> None:
    """Read rather than imported: vLLM takes half a minute."""
    for application in config["applications"]:
        module, _, name = application["import_path"].partition(":")
        package, *rest = module.split(".")
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        tree = ast.parse(Path(spec.origin).parent.joinpath(*rest, "__init__.py").read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_model_is_fetched_to_where_it_is_looked_for(service: dict[str, Any], config: dict[str, Any]) -> None:
    (worker,) = service["rayClusterConfig"]["workerGroupSpecs"]
    (fetching,) = worker["template"]["spec"]["initContainers"]
    variables = {each["name"]: each.get("value") for each in fetching["env"]}
    (told,) = config["applications"][0]["args"]["llm_configs"]
    where = told["model_loading_config"]
    assert variables["SERIN_REVISION"] == where["model_id"]
    assert where["model_source"] == f"{variables['SERIN_MODELS']}/{Revision.parse(where['model_id']).label}"
    (container,) = worker["template"]["spec"]["containers"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert mounts["/models"] in {mount["name"] for mount in fetching["volumeMounts"]}


def test_pods_have_the_environment_that_serve_gives_its_processes(service: dict[str, Any]) -> None:
    settings = RunSettings(ServeParams().model_dump(), "/state", "/run", "marker", "secret", 1, 2)
    ours = environment(settings, {})
    of_one_machine = {name for name in ours if "HAPROXY_" in name and not name.endswith("HARD_STOP_AFTER_S")}
    of_one_machine |= {
        "SERIN_SERVE_MARKER", "TMPDIR", "NO_PROXY", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER",
        "RAY_DEDUP_LOGS", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", SECRET_VARIABLE,
    }  # fmt: skip
    for group in groups(service):
        (container,) = group["template"]["spec"]["containers"]
        given = {each["name"]: each.get("value") for each in container["env"]}
        assert {name: given.get(name) for name in ours.keys() - of_one_machine} == {
            name: value for name, value in ours.items() if name not in of_one_machine
        }
        assert "value" not in next(each for each in container["env"] if each["name"] == SECRET_VARIABLE)


def test_a_drain_cuts_no_request_off(service: dict[str, Any]) -> None:
    for group in groups(service):
        spec = group["template"]["spec"]
        (container,) = spec["containers"]
        hard_stop_s = next(e["value"] for e in container["env"] if e["name"] == "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S")
        assert ServeParams().request_timeout_s < int(hard_stop_s) < spec["terminationGracePeriodSeconds"]


def test_it_is_the_ray_of_the_image(cluster: Any, service: dict[str, Any]) -> None:
    pinned = (cluster.root / "constraints.txt").read_text().splitlines()
    assert f"ray=={service['rayClusterConfig']['rayVersion']}" in pinned
    assert service["rayClusterConfig"]["authOptions"] == {"mode": "token"}
