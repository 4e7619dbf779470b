"""The Roles allow what the code asks of the API server: not less, since a call would fail, and not more."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serin.clients.kubernetes import Kind, kinds
from serin.controller.loop.caches import WATCHED

SOURCE = Path(__file__).parents[3] / "src/serin"
VERBS = {
    "get": ["get"],
    "list": ["list"],
    "pages": ["list"],
    "watch": ["watch"],
    "create": ["create"],
    "patch": ["patch"],
    "apply_status": ["patch"],
    "replace": ["update"],
    "delete": ["delete"],
    "pod_log": ["get"],
}
"""Methods of ``Cluster``, and what the API server calls them."""
JOBS = (kinds.JOBS, kinds.JOB_SETS)
KINDS_OF: dict[str, tuple[Kind, ...]] = {
    "following.py:follow_object": (),  # its callers': `asked_of_state` has them
    "reconcile.py:_created": JOBS,
    "reconcile.py:_patched": (*JOBS, kinds.WORKLOADS),
    "reconcile.py:_read_end": (kinds.PODS, kinds.JOBS),
    "storage_facts.py:_look_for_result": JOBS,
    "watcher.py:_round": tuple(watched.kind for watched in WATCHED),
    "watcher.py:_watch": tuple(watched.kind for watched in WATCHED),
}
"""Which kinds a function means that is given one."""
STATE = SOURCE / "clients/serving_state"
OF_GATEWAYS = {"acknowledge", "forget", "look", "follow", "weights", "_service"}
"""Methods of ``ClusterState`` that a gateway calls; ``weights`` and ``_service`` only read."""
OF_ROLLOUTS = {"weights", "change_weights", "_service"}
"""Those that the controller calls for a ModelRollout; ``status`` reads by ``_service``."""
OBJECTS = {
    "self._weights_name": ("", "configmaps", "serin-serve-weights"),
    "self._gateways_name": ("", "configmaps", "serin-serve-gateways"),
    "self.rayservice": ("ray.io", "rayservices", "serin-serve"),
}


def calls(folder: Path) -> Iterator[tuple[str, str, tuple[Kind, ...]]]:
    """Every call of a method of ``Cluster``: where, which, and on which kinds."""
    for path in sorted(folder.rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef):
                continue
            for node in ast.walk(function):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                    continue
                owner = ast.unparse(node.func.value).rpartition(".")[2].lstrip("_")
                if owner != "cluster" or node.func.attr not in VERBS:
                    continue
                where = f"{path.name}:{function.name}"
                if node.func.attr == "pod_log":
                    yield where, "pod_log", (kinds.PODS,)
                    continue
                named = getattr(kinds, ast.unparse(node.args[0]), None)
                assert named is not None or where in KINDS_OF, f"{where}: say in KINDS_OF which kinds it means"
                yield where, node.func.attr, (named,) if named is not None else KINDS_OF[where]


def asked(folder: str) -> set[tuple[str, str, str]]:
    """Group, resource and verb of everything that the code under a folder asks for."""
    suffix = {"apply_status": "/status", "pod_log": "/log"}
    return {
        (kind.group, kind.plural + suffix.get(method, ""), verb)
        for _, method, found in calls(SOURCE / folder)
        for kind in found
        for verb in VERBS[method]
    }


def allowed(role: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Group, resource and verb of everything that a Role allows."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_controller_may_do_what_it_does_and_nothing_else(cluster: Any) -> None:
    (role,) = [each for each in cluster.of("Role") if each["metadata"]["name"] == "serin-controller"]
    of_weights = asked_of_state(lambda name: name in OF_ROLLOUTS)
    events = asked("clients/kubernetes")
    assert events <= {("events.k8s.io", "events", verb) for verb in ("create", "get", "patch")}
    assert allowed(role) == asked("controller") | events | asked("rollout") | {
        (group, resource, verb) for group, resource, _, verb in of_weights
    }
    assert [rule["resourceNames"] for rule in role["rules"] if "configmaps" in rule["resources"]] == [
        ["serin-serve-weights"]
    ]


def test_each_function_that_is_given_a_kind_is_there(cluster: Any) -> None:
    folders = ("controller", "clients/kubernetes")
    assert KINDS_OF.keys() <= {where for each in folders for where, _, _ in calls(cluster.root / "src/serin" / each)}


def test_a_user_may_do_what_the_command_line_does(cluster: Any) -> None:
    (role,) = [each for each in cluster.of("Role") if each["metadata"]["name"] == "serin-user"]
    needed = asked("job") | asked("cli")
    assert {("serin.dev", "finetunes", "create"), ("", "pods/log", "get")} <= needed
    assert needed <= allowed(role)


def asked_of_state(functions: Callable[[str], bool]) -> set[tuple[str, str, str, str]]:
    """Group, resource, name and verb of what these methods of ``ClusterState`` ask for."""
    found: set[tuple[str, str, str, str]] = set()
    of_client = list(calls(SOURCE / "clients/kubernetes"))
    following = {
        verb for where, method, _ in of_client if where == "following.py:follow_object" for verb in VERBS[method]
    }
    for function in ast.walk(ast.parse((STATE / "cluster.py").read_text())):
        if not isinstance(function, ast.FunctionDef) or not functions(function.name):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and node.id == "follow_object":
                followed = [OBJECTS["self._weights_name"], OBJECTS["self.rayservice"]]
                found |= {(*each, verb) for each in followed for verb in following}
            if not isinstance(node, ast.Call) or ast.unparse(node.func).rpartition(".")[0] != "self.cluster":
                continue
            verbs = VERBS[ast.unparse(node.func).rpartition(".")[2]]
            if verbs == ["create"]:
                continue  # only where nobody applied k8s/serving
            named = [OBJECTS[ast.unparse(node.args[1])]]
            found |= {(*each, verb) for each in named for verb in verbs}
    return found


def allowed_by_name(cluster: Any, role: str) -> set[tuple[str, str, str, str]]:
    (found,) = [each for each in cluster.of("Role") if each["metadata"]["name"] == role]
    return {
        (group, resource, name, verb)
        for rule in found["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule["resourceNames"]
        for verb in rule["verbs"]
    }


def test_a_gateway_may_do_what_it_does_to_three_objects_and_nothing_else(cluster: Any) -> None:
    asked_for = asked_of_state(lambda name: name in OF_GATEWAYS)
    assert ("", "configmaps", "serin-serve-gateways", "patch") in asked_for
    assert allowed_by_name(cluster, "serin-gateway") == asked_for


def test_who_deploys_may_do_what_deploy_does_and_nothing_else(cluster: Any) -> None:
    assert allowed_by_name(cluster, "serin-deployer") == asked_of_state(
        lambda name: name not in {"acknowledge", "follow"}
    )


@pytest.mark.parametrize("forbidden", ["secrets", "pods/exec", "serviceaccounts/token", "*"])
def test_nobody_may_take_what_is_not_theirs(cluster: Any, forbidden: str) -> None:
    for role in cluster.of("Role"):
        for group, resource, verb in allowed(role):
            assert forbidden not in (group, resource, verb)


def test_no_right_reaches_beyond_the_namespace(cluster: Any) -> None:
    assert cluster.of("ClusterRole") == []
    assert cluster.of("ClusterRoleBinding") == []


def test_each_bound_role_is_bound_to_its_own_account_alone(cluster: Any) -> None:
    bindings = {binding["roleRef"]["name"]: binding["subjects"] for binding in cluster.of("RoleBinding")}
    assert bindings == {
        name: [{"kind": "ServiceAccount", "name": name, "namespace": "serin"}]
        for name in ("serin-controller", "serin-gateway")
    }
    (deployment,) = cluster.of("Deployment")
    assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == "serin-controller"
