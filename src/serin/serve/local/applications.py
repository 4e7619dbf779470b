"""What Ray Serve says of the applications that run, out of the details that its controller keeps.

``serve.status()`` says the same, and pickles the router's class of every application first, again and again: asked thrice a
second, a quarter of a core.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_ANSWERS = "RUNNING"
"""As ``ReplicaState`` of Serve names a replica that answers."""


@dataclass(frozen=True, slots=True)
class Application:
    """``status`` in Serve's words (``ray.serve.schema.ApplicationStatus``), and what it and its deployments have to say."""

    status: str
    said: str
    answers: bool
    """Whether each of its deployments has a replica that answers, while others of them start or have crashed."""


def applications() -> dict[str, Application]:
    """Every application by its name. Needs a running Serve."""
    from ray.serve.context import _get_global_client

    return read_details(_get_global_client().get_serve_details())


def read_details(details: Mapping[str, Any]) -> dict[str, Application]:
    """The applications in what ``ray.serve.schema.ServeInstanceDetails`` describes."""
    return {name: _application(each) for name, each in details["applications"].items()}


def _application(details: Mapping[str, Any]) -> Application:
    deployments = details["deployments"].values()
    return Application(
        status=_word(details["status"]),
        said="\n".join([details["message"], *(each["message"] for each in deployments)]),
        answers=bool(deployments) and all(_has_one_that_answers(each["replicas"]) for each in deployments),
    )


def _has_one_that_answers(replicas: Iterable[Mapping[str, Any]]) -> bool:
    return any(_word(each["state"]) == _ANSWERS for each in replicas)


def _word(value: Any) -> str:
    """Of an enumeration whose values are words, and which may or may not have become one."""
    return str(getattr(value, "value", value))
