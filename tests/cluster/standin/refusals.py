"""How an API server says no: a ``Status`` object with a code, a reason and words."""

from collections.abc import Mapping
from typing import Any


class Refusal(Exception):
    """An answer other than the object that was asked for."""

    def __init__(self, code: int, reason: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.headers = dict(headers or {})

    def status(self) -> dict[str, Any]:
        """The body of the answer."""
        details = {"retryAfterSeconds": int(self.headers["Retry-After"])} if "Retry-After" in self.headers else {}
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": details,
            "code": self.code,
        }


def not_found(plural: str, name: str) -> Refusal:
    """404 for an object."""
    return Refusal(404, "NotFound", f'{plural} "{name}" not found')


def no_such_path() -> Refusal:
    """404 for an API that is not served."""
    return Refusal(404, "NotFound", "the server could not find the requested resource")


def already_exists(plural: str, name: str) -> Refusal:
    """409 on create."""
    return Refusal(409, "AlreadyExists", f'{plural} "{name}" already exists')


def conflict(plural: str, name: str, why: str) -> Refusal:
    """409 on everything else."""
    return Refusal(409, "Conflict", f'Operation cannot be fulfilled on {plural} "{name}": {why}')


def stale(plural: str, name: str) -> Refusal:
    """409 for a write that rests on an old version."""
    return conflict(
        plural,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )


def expired(version: str) -> Refusal:
    """410 for a version that history does not reach back to."""
    return Refusal(410, "Expired", f"too old resource version: {version}")


def invalid(kind: str, name: str, faults: list[str]) -> Refusal:
    """422 for an object that breaks a rule."""
    return Refusal(422, "Invalid", f'{kind} "{name}" is invalid: {"; ".join(faults)}')


def bad_request(message: str) -> Refusal:
    """400 for a request that cannot be understood."""
    return Refusal(400, "BadRequest", message)


def forbidden(who: str, verb: str, resource: str, group: str, namespace: str | None) -> Refusal:
    """403 as RBAC has it."""
    where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
    what = f'User "{who}" cannot {verb} resource "{resource}" in API group "{group}"{where}'
    return Refusal(403, "Forbidden", f"{resource} is forbidden: {what}")
