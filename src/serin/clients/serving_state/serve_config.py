"""Revisions as applications of a RayService: which of its serveConfigV2 are ours, and what its status says of them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import yaml

from serin.clients.serving_state.values import SCALE, Declared, RevisionStatus, Topology, declared_from
from serin.core.errors import InputError, ServingError
from serin.core.params import RevisionParams
from serin.core.revision import Revision

REVISION_BUILDER = "serin.serve.revisions.application:build"
"""The import path of an application that Serin owns; its args are a ``Declared`` and the revision's name."""
_AUTOSCALING = {
    "min_replicas": "min_replicas",
    "max_replicas": "max_replicas",
    "target_ongoing": "target_ongoing_requests",
}
"""Names of ``serve.revisions.autoscaling``, and Serve's own (``ray.serve.config.AutoscalingConfig``)."""
_SCALES = frozenset({"HEALTHY", "UPSCALING", "DOWNSCALING"})
"""A deployment of which some replicas answer (``ray.serve.schema.DeploymentStatus``)."""


def scale_options(settings: RevisionParams) -> dict[str, Any]:
    """How many replicas a revision has, in Serve's words (``ray.serve.schema.DeploymentSchema``)."""
    if settings.autoscaling is None:
        return {"num_replicas": settings.replicas}
    scaling = settings.autoscaling.model_dump()
    return {"autoscaling_config": {theirs: scaling[ours] for ours, theirs in _AUTOSCALING.items()}}


def deployment_of(revision: Revision) -> str:
    """The deployment whose replicas run vLLM, as ``ray.serve.llm``'s builder calls it."""
    return f"LLMServer:{revision.label}"


def application_of(revision: str, declared: Declared) -> dict[str, Any]:
    """A revision as ``ray.serve.schema.ServeApplicationSchema`` has it.

    Its scale stands apart from its args, of which Serve makes the version of its code: other args restart every replica. One
    that has no scale at first is restarted, too, when it gets one, since Serve then sees options that it did not see before.
    """
    named = Revision.parse(revision)
    arguments = {key: value for key, value in asdict(declared).items() if key != "path"}
    scale = {key: arguments["settings"].pop(key) for key in SCALE if key in arguments["settings"]}
    application: dict[str, Any] = {
        "name": named.label,
        "route_prefix": named.route,
        "import_path": REVISION_BUILDER,
        "args": {"revision": revision, **arguments},
    }
    if scale:
        options = scale_options(RevisionParams.model_validate(scale))
        application["deployments"] = [{"name": deployment_of(named), **options}]
    return application


def applications_with(config: Mapping[str, Any], present: Topology, wanted: Topology) -> list[dict[str, Any]]:
    """The applications of ``config``, in their order, for ``wanted`` instead of ``present``; new ones come last.

    Raises:
        ServingError: a revision that runs is to autoscale from now on, or no longer: Serve would restart it.
    """
    kept = []
    for application in config["applications"]:
        revision = _revision_in(application)
        if revision is None:
            kept.append(application)
        elif revision in wanted.revisions:
            before, after = present.revisions[revision], wanted.revisions[revision]
            if _autoscales(before) != _autoscales(after):
                kept_to = "autoscaling" if _autoscales(before) else "a fixed number of replicas"
                raise ServingError(
                    f"{revision} runs with {kept_to}, and Serve would restart it to change that: "
                    f"'serin undeploy {revision}' first, or keep to it"
                )
            kept.append(application if before == after else application_of(revision, after))
    new = [name for name in wanted.revisions if name not in present.revisions]
    return kept + [application_of(name, wanted.revisions[name]) for name in new]


def _autoscales(declared: Declared) -> bool:
    return declared.settings.get("autoscaling") is not None


def read_serve_config(service: Mapping[str, Any]) -> dict[str, Any]:
    """The Serve config of a RayService. Raises InputError where it is none."""
    name = service["metadata"]["name"]
    try:
        config = yaml.safe_load(service["spec"].get("serveConfigV2") or "{}")
        applications = [dict(each) for each in config.get("applications") or []]
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        raise InputError(f"serveConfigV2 of RayService {name} is no Serve config ({error}): mend it") from error
    return {**config, "applications": applications}


def written(config: Mapping[str, Any]) -> str:
    """A Serve config as text, in the order in which it was read."""
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=120)


def topology_of(service: Mapping[str, Any]) -> Topology:
    """The revisions that a RayService declares. Raises InputError where it is damaged."""
    revisions = {}
    for application in read_serve_config(service)["applications"]:
        revision = _revision_in(application)
        if revision is not None:
            arguments = {key: value for key, value in application["args"].items() if key != "revision"}
            settings = {**(arguments.get("settings") or {}), **_scale_in(application)}
            revisions[revision] = declared_from({**arguments, "settings": settings})
    return Topology(int(service["metadata"].get("generation", 0)), revisions)


def _scale_in(application: Mapping[str, Any]) -> dict[str, Any]:
    """What ``application_of`` wrote of a revision's scale, as its settings have it."""
    (options,) = application.get("deployments") or [{}]
    scaling = options.get("autoscaling_config")
    if scaling is not None:
        return {"autoscaling": {ours: scaling[theirs] for ours, theirs in _AUTOSCALING.items()}}
    return {"replicas": options["num_replicas"]} if "num_replicas" in options else {}


def status_of(service: Mapping[str, Any]) -> dict[str, RevisionStatus]:
    """How revisions are, from what the operator read of Ray's dashboard.

    One that is declared and does not show yet is missing; one that shows and that the config has no more is draining, under
    its label, since nothing says its whole name.
    """
    seen = _applications_seen(service.get("status") or {})
    configured = {application.get("name") for application in read_serve_config(service)["applications"]}
    declared = {Revision.parse(name).label: name for name in topology_of(service).revisions}
    found = {}
    for label, application in seen.items():
        if label in declared:
            found[declared[label]] = _judged(application)
        elif label not in configured:
            found[label] = RevisionStatus("draining")
    return found


def _applications_seen(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Those of the Ray cluster that serves; of the one that is being made where none serves yet."""
    active = status.get("activeServiceStatus") or {}
    shown = active if active.get("rayClusterName") else status.get("pendingServiceStatus") or {}
    return dict(shown.get("applicationStatuses") or {})


def _judged(application: Mapping[str, Any]) -> RevisionStatus:
    """Serve's words (ray.serve.schema.ApplicationStatus) in ours.

    Nothing counts replicas here. Some of them are lost where Serve says UNHEALTHY, which it never does before all were there
    once, and while it scales some are not there yet: the others answer, and HAProxy asks none that does not.
    """
    state = str(application.get("status", ""))
    if state == "RUNNING":
        return RevisionStatus("ready")
    deployments = (application.get("serveDeploymentStatuses") or {}).values()
    said = [str(application.get("message") or ""), *(str(each.get("message") or "") for each in deployments)]
    message = last_words("\n".join(filter(None, said)))
    if state == "DEPLOY_FAILED":
        return RevisionStatus("failed", message)
    scales = bool(deployments) and {str(each.get("status")) for each in deployments} <= _SCALES
    if state == "UNHEALTHY" or (state == "DEPLOYING" and scales):
        return RevisionStatus("ready", message)
    return RevisionStatus("starting")


def last_words(message: str) -> str:
    """What an error says at its end, out of Serve's message with a traceback in it; empty where it says nothing."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _revision_in(application: Mapping[str, Any]) -> str | None:
    """The revision that an application is; None where Serin does not own it."""
    if application.get("import_path") != REVISION_BUILDER:
        return None
    revision = (application.get("args") or {}).get("revision")
    if not isinstance(revision, str):
        raise InputError(f"application {application.get('name')!r} names no revision in its args: mend serveConfigV2")
    return revision
