"""What JobSet's API demands of the part of a JobSet that Serin writes.

Source: kubernetes-sigs/jobset 0.12: ``config/components/crd/bases/jobset.x-k8s.io_jobsets.yaml`` (the schema's required fields,
types and words) and ``pkg/webhooks/jobset_webhook.go`` (names, reasons, rules that have to differ). Fields that Serin does not
write are not listed, so that a misspelt one is a fault here; a Job's own template is Kubernetes' to judge.
"""

import re
from collections.abc import Mapping
from typing import Any

import jsonschema

_WORDS = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
_COUNT = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_RULE_NAME = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")
_LONGEST_LABEL = 63
_REASONS = {
    "BackoffLimitExceeded",
    "DeadlineExceeded",
    "FailedIndexes",
    "MaxFailedIndexesExceeded",
    "PodFailurePolicy",
}


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def spec_schema(patterns: bool = True) -> dict[str, Any]:
    """Of ``spec``; ``patterns``: as it is from 0.10 on, where a rule may look at a failure's message (KEP-262)."""
    rule = _closed(
        ["name", "action"],
        name={"type": "string"},
        action={
            "enum": [
                "FailJobSet",
                "RestartJobSet",
                "RestartJobSetAndIgnoreMaxRestarts",
                "RestartJob",
                "RestartJobAndIgnoreMaxRestarts",
            ]
        },
        onJobFailureReasons=_WORDS,
        **({"onJobFailureMessagePatterns": _WORDS} if patterns else {}),
    )
    policy = _closed(
        [],
        maxRestarts=_COUNT,
        restartStrategy={"enum": ["Recreate", "BlockingRecreate", "InPlaceRestart"]},
        rules={"type": "array", "items": rule},
    )
    job = _closed(["name", "template"], name={"type": "string"}, replicas=_COUNT, template={"type": "object"})
    network = _closed([], enableDNSHostnames={"type": "boolean"}, publishNotReadyAddresses={"type": "boolean"})
    return _closed(
        [],
        network=network,
        failurePolicy=policy,
        replicatedJobs={"type": "array", "items": job},
        suspend={"type": "boolean"},
        ttlSecondsAfterFinished=_COUNT,
    )


def faults_of(jobset: Mapping[str, Any], patterns: bool = True) -> list[str]:
    """What a cluster with JobSet, and strict field validation, would say against it."""
    validator = jsonschema.Draft202012Validator(spec_schema(patterns))
    found = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(jobset["spec"])]
    rules = jobset["spec"].get("failurePolicy", {}).get("rules", [])
    names = [rule.get("name", "") for rule in rules]
    found += [f"rule name {name!r}" for name in names if not _RULE_NAME.fullmatch(name) or len(name) > 128]
    found += [f"rule names are not unique: {names}"] if len(set(names)) < len(names) else []
    found += [
        f"reason {each}" for rule in rules for each in rule.get("onJobFailureReasons", []) if each not in _REASONS
    ]
    for job in jobset["spec"].get("replicatedJobs", []):
        last_job = f"{jobset['metadata']['name']}-{job['name']}-{job.get('replicas', 1) - 1}"
        last_pod = f"{last_job}-{job['template']['spec'].get('completions', 1) - 1}-abcde"
        found += [
            f"{name} is no label"
            for name in (last_job, last_pod)
            if not _LABEL.fullmatch(name) or len(name) > _LONGEST_LABEL
        ]
    return found
