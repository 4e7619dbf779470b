"""The scenarios on a real cluster, and on the stand-in as if it were one: the same requests, by the same kubeconfig's rights.

The second proves the first, where there is no cluster: the stand-in has no CRDs, no Role and no kubelet there until the tests
have made their own.
"""

import base64
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from serin.clients.kubernetes import open_cluster
from serin.clients.storage import S3Storage
from serin.core.task import STAGES

from ..integration.conftest import s3_endpoint  # noqa: F401 - a fixture
from .backend import NEEDS
from .controllers import Processes
from .kubelet import Work
from .real import Installation, Place
from .real.admin import Admin, wait
from .real.credentials import server
from .real.installation import documents
from .scenarios import SCENARIOS, Scenario
from .standin import StandIn
from .world import World

KUBECONFIG = "SERIN_TEST_KUBECONFIG"
"""Not KUBECONFIG: what is made and deleted here shall be so in a cluster that somebody named for it."""
HANDFUL = (
    "every_stage_runs_once_and_hands_its_hash_to_the_next",
    "a_drained_node_costs_no_retry",
    "bad_params_fail_at_once_with_the_trainers_own_words",
    "kueue_takes_the_quota_back_and_gives_it_again",
    "no_node_has_room",
    "a_finetune_deleted_mid_run_takes_everything_with_it",
)
_PAUSE_S = 0.25
_LATE_S = 10.0
_LIMIT_S = 400.0
"""A Job controller waits longer from one failed pod to the next, and each word of the kubelet is a request."""


# ---- the clusters --------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def cluster() -> Iterator[Installation]:
    """The cluster of ``SERIN_TEST_KUBECONFIG``."""
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        pytest.fail(
            f"-m cluster runs in one process, and this is {worker}: the CRDs are one for all; add -n 0", pytrace=False
        )
    named = os.environ.get(KUBECONFIG, "")
    if not Path(named).is_file():
        found = f"{named} is no file" if named else "it is not set"
        pytest.fail(
            f"-m cluster needs {KUBECONFIG}, the kubeconfig of an administrator of a cluster for tests, and {found}: CRDs, "
            f"namespaces and a Node are made there and deleted again; set it, as in '{KUBECONFIG}=... pytest -m cluster'",
            pytrace=False,
        )
    with Installation(Path(named)) as installation:
        yield installation


@pytest.fixture(scope="module")
def imitation() -> Iterator[Installation]:
    """The stand-in, of which nothing is used but its kubeconfig."""
    with StandIn(namespace="default", crds=[], nodes=False) as standin:
        assert standin.kubeconfig is not None
        with Installation(standin.kubeconfig) as installation:
            yield installation
        left = [call for call in standin.calls if call.code == 403]
        assert not left, "the Role of k8s/base lacks something"
        assert wait(lambda: not leftovers(standin), _LATE_S), f"left behind: {leftovers(standin)}"


def leftovers(standin: StandIn) -> list[str]:
    """What should be gone after the last test."""
    plurals = ("namespaces", "pods", "nodes", "customresourcedefinitions", "jobs")
    found = [each.object["metadata"] for plural in plurals for each in standin.store.all(standin.resource(plural))]
    return [metadata["name"] for metadata in found if metadata["name"] != "default"]


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A namespace of whichever cluster a test names, if that has what the test needs."""
    installation: Installation = request.getfixturevalue(request.param)
    scenario: Scenario | None = request.node.callspec.params.get("scenario")
    needs = {"jobs"} if scenario is None else scenario.needs
    if missing := [NEEDS[need] for need in sorted(needs - installation.has)]:
        pytest.skip(f"the cluster has not {' nor '.join(missing)}")
    with Place(installation, tmp_path) as place:
        yield place


@pytest.fixture
def processes(place: Place, s3_endpoint: str, tmp_path: Path) -> Iterator[Processes]:  # noqa: F811, ARG001 - sets credentials
    """Controllers with the rights of their ServiceAccount, on this machine."""
    environment = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    with Processes(place.kubeconfig_of, tmp_path, environment, _PAUSE_S) as processes:
        yield processes


@pytest.fixture
def world(place: Place, processes: Processes, s3_endpoint: str) -> World:  # noqa: F811
    """One namespace."""
    where = {"url": f"s3://serin/{place.namespace}", "endpoint_url": s3_endpoint}
    return World(place.user, place, S3Storage(where["url"], where["endpoint_url"]), where, processes, limit_s=_LIMIT_S)


# ---- the tests -----------------------------------------------------------------------------------------------------------
def both() -> list[object]:
    """Each scenario on the real cluster, and some on the imitation as well."""
    named = {each.name: each for each in SCENARIOS}
    real = [pytest.param("cluster", each, id=name, marks=pytest.mark.cluster) for name, each in named.items()]
    return [*real, *(pytest.param("imitation", named[name], id=f"imitated-{name}") for name in HANDFUL)]


@pytest.mark.parametrize(("place", "scenario"), both(), indirect=["place"])
def test_scenario(scenario: Scenario, world: World, processes: Processes) -> None:
    processes.start()
    scenario.tell(world)
    wait(lambda: world.made == scenario.made, _LATE_S)
    assert world.made == scenario.made


@pytest.mark.parametrize(
    "place", [pytest.param("cluster", marks=pytest.mark.cluster), "imitation"], indirect=True, ids=["real", "imitated"]
)
def test_of_two_controllers_one_is_killed_and_the_other_goes_on(world: World, processes: Processes) -> None:
    world.pods.script(Work(), stage="train")
    processes.start("first")
    world.submit()
    world.until_running()
    processes.start("second")
    processes.kill("first")
    world.pods.release()
    world.until_phase("Succeeded")
    made = {("law", stage): 1 for stage in STAGES}
    wait(lambda: world.made == made, _LATE_S)
    assert world.made == made


def test_a_cluster_with_other_crds_is_left_as_it_is() -> None:
    with StandIn(namespace="default", crds=[], nodes=False) as standin:
        assert standin.kubeconfig is not None
        installation = Installation(standin.kubeconfig)
        other, _ = documents("crds/modelrollouts.yaml", "crds/finetunes.yaml")
        other["spec"]["names"]["shortNames"] = ["other"]
        standin.create(other)
        with pytest.raises(AssertionError, match="not that of k8s/base/crds: run 'kubectl apply"), installation:
            pass
        assert leftovers(standin) == [other["metadata"]["name"]]


def test_the_readme_tells_how() -> None:
    root = Path(__file__).parents[2]
    (command,) = re.findall(
        r"^(\w+)=\S+ \S+/python -m pytest -m cluster (\S+)$", (root / "k8s/README.md").read_text(), re.M
    )
    assert command == (KUBECONFIG, Path(__file__).relative_to(root).as_posix())


@pytest.mark.parametrize("is_checked", [True, False])
def test_the_controller_trusts_the_server_as_the_kubeconfig_does(is_checked: bool, tmp_path: Path) -> None:
    authority = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    trust = {"certificate-authority-data": base64.b64encode(authority.encode()).decode()}
    cluster = {"server": "https://127.0.0.1:6443", **(trust if is_checked else {"insecure-skip-tls-verify": True})}
    config = {
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config))
    opened = open_cluster(None, None, {"KUBECONFIG": str(path)})
    found = server(Admin(opened))
    assert found["server"] == "https://127.0.0.1:6443"
    if is_checked:
        assert Path(found["certificate-authority"]).read_text() == authority
    else:
        assert found["insecure-skip-tls-verify"] is True
