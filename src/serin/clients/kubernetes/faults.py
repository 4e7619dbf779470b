"""What the API server, or the way to it, answers instead of what was asked for.

    RetryableError
    ├── UnavailableError    429, 5xx, no answer in time, a broken connection
    └── ConflictError       409: somebody else changed the object meanwhile
        └── ExistsError     409 on create: an object of this name is there already
    FinalError
    ├── AbsentError         404: no such object, or no such API
    │   └── UnservedError   404: no such API, so its CRD is not installed
    └── ExpiredError        410: this resourceVersion is no longer kept, so list again
    ConfigError
    ├── InvalidError        400, 422: the object breaks a rule of its schema or of an admission webhook
    └── ForbiddenError      401, 403: the credentials do not allow it, or a quota is used up

The API server's own words follow ours. Tokens are in no message.
"""

import json
from collections.abc import Mapping
from typing import Any

from serin.core.errors import ConfigError, FinalError, RetryableError, SerinError


class UnavailableError(RetryableError):
    """The API server does not answer, or asks to come back later."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        """What the server asked for; None where it did not."""
        super().__init__(message)


class ConflictError(RetryableError):
    """The object is not what it was when it was read."""


class ExistsError(ConflictError):
    """An object of this name is there already."""


class AbsentError(FinalError):
    """The object is not there, or the cluster does not know its kind."""


class UnservedError(AbsentError):
    """The cluster does not know the kind."""

    exit_code = 78


class ExpiredError(FinalError):
    """The API server no longer keeps what happened since this resourceVersion."""


class InvalidError(ConfigError):
    """The object breaks a rule."""


class ForbiddenError(ConfigError):
    """Not allowed."""


def refusal(what: str, creates: bool, code: int, body: bytes, headers: Mapping[str, str]) -> SerinError:
    """The error for an answer of 400 or more (https://kubernetes.io/docs/reference/using-api/api-concepts, meta/v1 Status).

    Args:
        what: what was asked for, such as ``create jobs run-7``.
        creates: whether something was to be created, where 409 means that it is there.
        code: of the answer.
        body: of the answer: a ``Status`` in JSON, or a proxy's own page.
        headers: of the answer.
    """
    said, reason = _words(body)
    heard = f"{what}: the API server answered {code}" + (f" ({said})" if said else "")
    if code == 409 and creates and reason in ("AlreadyExists", ""):
        return ExistsError(f"{heard}; delete it, or choose another name")
    if code == 409:
        return ConflictError(f"{heard}; read it again and repeat the change")
    if code == 404:
        # Only an object's own answer names it, or the namespace that it lacks.
        if '"' not in said:
            return UnservedError(
                f"{heard}; its CRD is not installed in this cluster: apply k8s/base/crds, or name another --context"
            )
        return AbsentError(f"{heard}; check the name and the namespace")
    if code == 410:
        return ExpiredError(f"{heard}; list again")
    if code in (401, 403):
        return ForbiddenError(f"{heard}; check the credentials, the Role and the namespace's quota")
    if code == 429 or code >= 500:
        return UnavailableError(f"{heard}; try again later", _retry_after_s(headers))
    return InvalidError(f"{heard}; mend the object")


def _words(body: bytes) -> tuple[str, str]:
    """Message and reason of a ``Status``."""
    try:
        status: Any = json.loads(body)
    except ValueError:
        return body[:200].decode(errors="replace").strip(), ""
    if not isinstance(status, dict):
        return "", ""
    return str(status.get("message") or ""), str(status.get("reason") or "")


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds; the API server sends no dates (RFC 9110 §10.2.3 would allow them)."""
    text = headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None
