"""The gate over a dataset's quality: a pure function of the report and the limits in params."""

from collections.abc import Mapping
from typing import Any

from serin.core.params import LimitParams

# Left out by the mixing that params ask for: nothing is wrong with these.
_NO_FAULT = ("over_weight",)


def verdict_on(limits: LimitParams, report: Mapping[str, Any]) -> dict[str, Any]:
    """``{"passed": …, "rules": […]}``, a rule for each limit that is set; without limits everything passes."""
    rules = _rules(limits, report)
    return {"passed": all(rule["passed"] for rule in rules), "rules": rules}


def _rules(limits: LimitParams, report: Mapping[str, Any]) -> list[dict[str, Any]]:
    read, kept = report["read"], report["kept"]
    rejected = {reason: count for reason, count in report["rejected"].items() if reason not in _NO_FAULT}
    rules = []
    if limits.max_rejected is not None:
        found = _share(sum(rejected.values()), read)
        rules.append(_at_most("max_rejected", found, limits.max_rejected, "of the records were rejected"))
    for reason, limit in sorted(limits.max_rejected_by.items()):
        found = _share(report["rejected"].get(reason, 0), read)
        rules.append(_at_most(f"max_rejected_by.{reason}", found, limit, f"of the records were rejected as {reason}"))
    if limits.max_personal_data is not None:
        found = max((_share(kind["records"], read) for kind in report["personal_data"].values()), default=0.0)
        rules.append(
            _at_most(
                "max_personal_data", found, limits.max_personal_data, "of the records hold personal data of one type"
            )
        )
    if limits.max_contaminated is not None:
        benchmarks = report["contamination"]["benchmarks"]
        found, unreadable = (sum(benchmark[key] for benchmark in benchmarks) for key in ("matched", "unreadable"))
        says = f"{found} records resemble a benchmark's, at most {limits.max_contaminated} may"
        if unreadable:
            says += f"; {unreadable} records of benchmarks could not be read, so nobody knows about them"
        passed = found <= limits.max_contaminated and not unreadable
        rules.append(_rule("max_contaminated", found, limits.max_contaminated, passed, says))
    if limits.min_train is not None:
        found = report["splits"]["train"]["records"]
        says = f"the train split has {found} records, at least {limits.min_train} are asked for"
        rules.append(_rule("min_train", found, limits.min_train, found >= limits.min_train, says))
    for language, limit in sorted(limits.min_language_share.items()):
        found = _share(report["languages"].get(language, 0), kept)
        says = f"{found:.1%} of the records kept are in {language}, at least {limit:.1%} have to be"
        rules.append(_rule(f"min_language_share.{language}", found, limit, found >= limit, says))
    return rules


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _at_most(rule: str, found: float, limit: float, what: str) -> dict[str, Any]:
    return _rule(rule, found, limit, found <= limit, f"{found:.1%} {what}, at most {limit:.1%} may be")


def _rule(rule: str, found: float, limit: float, passed: bool, says: str) -> dict[str, Any]:
    return {"rule": rule, "limit": limit, "found": round(found, 6), "passed": passed, "says": says}
