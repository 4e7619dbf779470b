"""What the API server refuses of Kubernetes' own kinds: by their schemas, and by the rules that no schema can say.

The schemas are those that ``kubernetes-validate`` carries, in their strict form: an unknown field is refused, where a real server
drops it with a warning. Rules and words follow ``pkg/apis/batch/validation`` and ``pkg/apis/core/validation``.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from .quantities import amount

VERSION = "1.35"
_DNS_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_DNS_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_LABEL_KEY = re.compile(r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
_FIXED = (
    "completions",
    "completionMode",
    "selector",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "successPolicy",
    "managedBy",
)


def metadata_faults(new: Mapping[str, Any]) -> list[str]:
    """Names, labels, annotations and owners."""
    metadata = new["metadata"]
    faults = []
    if len(metadata["name"]) > 253 or not _DNS_NAME.match(metadata["name"]):
        faults.append(
            f"metadata.name: Invalid value: {metadata['name']!r}: a lowercase RFC 1123 subdomain must consist of lower case "
            "alphanumeric characters, '-' or '.', at most 253 of them"
        )
    faults += _label_faults("metadata.labels", metadata.get("labels"))
    for key, value in (metadata.get("annotations") or {}).items():
        if not _LABEL_KEY.match(key) or not isinstance(value, str):
            faults.append(f"metadata.annotations: Invalid value: {key!r}: must be a qualified name with a string")
    for i, owner in enumerate(metadata.get("ownerReferences") or ()):
        faults += [
            f"metadata.ownerReferences[{i}].{name}: Required value"
            for name in ("apiVersion", "kind", "name", "uid")
            if not owner.get(name)
        ]
    if sum(1 for owner in metadata.get("ownerReferences") or () if owner.get("controller")) > 1:
        faults.append("metadata.ownerReferences: Only one reference can have Controller set to true")
    return faults


def schema_faults(api_version: str, kind: str, new: Mapping[str, Any]) -> list[str]:
    """Against Kubernetes' own schema, strictly. None for a kind that there is no schema of."""
    shape = {k: v for k, v in new.items() if k != "status"}
    shape["metadata"] = {"name": "checked"}
    return list(_schema_faults(api_version, kind, json.dumps(shape, sort_keys=True)))


@lru_cache(maxsize=512)
def _schema_faults(api_version: str, kind: str, shape: str) -> tuple[str, ...]:
    validator = _validator(api_version, kind)
    if validator is None:
        return ()
    found = sorted(validator.iter_errors(json.loads(shape)), key=lambda error: list(map(str, error.absolute_path)))
    return tuple(f"{'.'.join(map(str, error.absolute_path)) or '<root>'}: {error.message[:300]}" for error in found)


@lru_cache(maxsize=64)
def _validator(api_version: str, kind: str) -> Any:
    from importlib import resources

    import jsonschema
    from referencing import Registry, Resource

    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{VERSION}.0-local-strict"
    called = re.sub(r"^([^./]*)(?:[.][^/]*)?/", r"\1-", api_version)
    file = folder / f"{kind.lower()}-{called}.json"
    if not file.is_file():
        return None
    schema = json.loads(file.read_text())
    registry: Any = Resource.from_contents(json.loads((folder / "_definitions.json").read_text())) @ Registry()
    return jsonschema.validators.Draft202012Validator(schema, registry=Resource.from_contents(schema) @ registry)


def job_faults(new: Mapping[str, Any], old: Mapping[str, Any] | None) -> list[str]:
    """Of a Job: what its fields demand of one another, and what may not change."""
    spec, template = new["spec"], new["spec"]["template"]
    faults = _label_faults("spec.template.labels", template.get("metadata", {}).get("labels"))
    if len(new["metadata"]["name"]) > 63:
        faults.append(
            f"spec.template.labels: Invalid value: {new['metadata']['name']!r}: must be no more than 63 bytes"
        )
    faults += list(pod_faults(template["spec"], "spec.template.spec"))
    policy = template["spec"].get("restartPolicy", "Always")
    if policy not in ("Never", "OnFailure"):
        faults.append(
            f'spec.template.spec.restartPolicy: Unsupported value: "{policy}": supported values: "OnFailure", "Never"'
        )
    if rules := (spec.get("podFailurePolicy") or {}).get("rules"):
        if policy != "Never":
            faults.append(
                f'spec.template.spec.restartPolicy: Invalid value: "{policy}": only "Never" with podFailurePolicy'
            )
        if spec.get("podReplacementPolicy", "Failed") != "Failed":
            faults.append(
                'spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"'
            )
        names = {container["name"] for container in template["spec"]["containers"]}
        for i, rule in enumerate(rules):
            faults += list(_rule_faults(rule, f"spec.podFailurePolicy.rules[{i}]", names))
    if spec.get("completionMode") == "Indexed" and spec.get("completions") is None:
        faults.append('spec.completions: Required value: when completion mode is "Indexed"')
    if old is not None:
        faults += _job_changes(spec, old)
    return faults


def _rule_faults(rule: Mapping[str, Any], at: str, containers: set[str]) -> Iterator[str]:
    codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
    if bool(codes) == bool(conditions):
        yield f"{at}: Invalid value: specifying one of OnExitCodes and OnPodConditions is required"
    if rule["action"] not in ("FailJob", "FailIndex", "Ignore", "Count"):
        yield f"{at}.action: Unsupported value: {rule['action']!r}"
    if codes:
        values = codes["values"]
        if values != sorted(set(values)):
            yield f"{at}.onExitCodes.values: Invalid value: {values}: must be ordered and without duplicates"
        if codes["operator"] == "In" and 0 in values:
            yield f"{at}.onExitCodes.values: Invalid value: 0: must not be 0 for the In operator"
        if codes.get("containerName") not in (None, *containers):
            yield f"{at}.onExitCodes.containerName: Invalid value: {codes['containerName']!r}: must be one of the container names"


def _job_changes(spec: Mapping[str, Any], old: Mapping[str, Any]) -> list[str]:
    faults = [
        f"spec.{name}: Invalid value: field is immutable" for name in _FIXED if spec.get(name) != old["spec"].get(name)
    ]
    before, after = old["spec"]["template"], spec["template"]
    if old["spec"].get("suspend") and "startTime" not in old.get("status", {}):
        before, after = _fixed(before), _fixed(after)
    if before != after:
        faults.append("spec.template: Invalid value: field is immutable")
    return faults


def _fixed(template: Mapping[str, Any]) -> dict[str, Any]:
    """What of a template even a queue may not set while a Job is suspended and was never started (KEP-2926)."""
    scheduling = ("nodeSelector", "affinity", "tolerations", "schedulingGates")
    return {k: v for k, v in template["spec"].items() if k not in scheduling}


def pod_faults(spec: Mapping[str, Any], at: str) -> Iterator[str]:
    """Of a pod's spec: volumes that are mounted and not there, resources that contradict each other, names."""
    volumes = {volume["name"] for volume in spec.get("volumes") or ()}
    names: set[str] = set()
    for i, container in enumerate([*(spec.get("initContainers") or ()), *spec["containers"]]):
        here = f"{at}.containers[{i}]"
        if container["name"] in names or not _DNS_LABEL.match(container["name"]):
            yield f"{here}.name: Invalid value: {container['name']!r}: must be a DNS label, once"
        names.add(container["name"])
        if not container.get("image"):
            yield f"{here}.image: Required value"
        paths = [mount["mountPath"] for mount in container.get("volumeMounts") or ()]
        if len(set(paths)) != len(paths):
            yield f"{here}.volumeMounts: Invalid value: must be unique: {sorted(paths)}"
        for mount in container.get("volumeMounts") or ():
            if mount["name"] not in volumes:
                yield f"{here}.volumeMounts: Not found: {mount['name']!r}"
        for variable in container.get("env") or ():
            if "value" in variable and "valueFrom" in variable:
                yield f"{here}.env[{variable['name']}]: Invalid value: may not have both value and valueFrom"
        resources = container.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        for name, wanted in requests.items():
            if name in limits and amount(wanted) > amount(limits[name]):
                yield f"{here}.resources.requests: Invalid value: {wanted!r}: must be less than or equal to {name} limit"
        for name in {n for n in (*limits, *requests) if "/" in n}:
            if limits.get(name) is None or amount(requests.get(name, limits[name])) != amount(limits[name]):
                yield f"{here}.resources.requests: Invalid value: must be equal to {name} limit"
    if len({volume["name"] for volume in spec.get("volumes") or ()}) != len(spec.get("volumes") or ()):
        yield f"{at}.volumes: Duplicate value"


def restricted_faults(spec: Mapping[str, Any]) -> list[str]:
    """What the Pod Security profile ``restricted`` forbids of a pod's spec. Source: kubernetes.io, Pod Security Standards."""
    faults = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    for volume in spec.get("volumes") or ():
        faults += [f"restricted volume types ({sort})" for sort in volume if sort != "name" and sort not in allowed]
    pod = spec.get("securityContext") or {}
    for container in [*(spec.get("initContainers") or ()), *spec["containers"]]:
        own = container.get("securityContext") or {}
        capabilities = own.get("capabilities") or {}
        name = f'container "{container["name"]}"'
        if own.get("privileged"):
            faults.append(f"privileged ({name})")
        if own.get("allowPrivilegeEscalation") is not False:
            faults.append(f"allowPrivilegeEscalation != false ({name})")
        if "ALL" not in (capabilities.get("drop") or ()) or set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}:
            faults.append(f"unrestricted capabilities ({name})")
        if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
            faults.append(f"runAsNonRoot != true ({name})")
        if own.get("runAsUser", pod.get("runAsUser")) == 0:
            faults.append(f"runAsUser=0 ({name})")
        profile = own.get("seccompProfile", pod.get("seccompProfile")) or {}
        if profile.get("type") not in ("RuntimeDefault", "Localhost"):
            faults.append(f"seccompProfile ({name})")
        faults += [f"hostPorts ({name})" for port in container.get("ports") or () if port.get("hostPort")]
    return faults


def _label_faults(at: str, labels: Mapping[str, Any] | None) -> list[str]:
    faults = []
    for key, value in (labels or {}).items():
        name = key.rpartition("/")[2]
        if not _LABEL_KEY.match(key) or len(name) > 63:
            faults.append(f"{at}: Invalid value: {key!r}: name part must be a qualified name of at most 63 characters")
        if not isinstance(value, str) or len(value) > 63 or not _LABEL_VALUE.match(value):
            faults.append(
                f"{at}: Invalid value: {value!r}: a valid label must be at most 63 letters, digits, '-', '_' and '.'"
            )
    return faults
