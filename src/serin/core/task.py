"""What a pod is told to do, and what it leaves behind: the only words between the controller and the stages."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Stage = Literal["train", "merge", "evaluate", "publish"]
STAGES: tuple[Stage, ...] = ("train", "merge", "evaluate", "publish")
Word = Literal["base", "model", "dataset", "adapter", "merged", "evaluation", "published"]
"""What goes in and comes out: ``model`` is the folder of the base model's weights, ``base`` the record that pins them."""
INPUTS: dict[Stage, tuple[Word, ...]] = {
    "train": ("base", "dataset"),
    "merge": ("base", "dataset", "adapter"),
    "evaluate": ("base", "dataset", "merged"),
    "publish": ("base", "dataset", "adapter", "merged", "evaluation"),
}
OUTPUT: dict[Stage, Word] = {"train": "adapter", "merge": "merged", "evaluate": "evaluation", "publish": "published"}
TASK_VARIABLE = "SERIN_TASK"
"""The environment variable that holds a pod's task as JSON."""
MODEL_VARIABLE = "SERIN_BASE_MODEL"
"""The environment variable that says where the folder of the base model lies, if not where ``base.json`` says."""
DVC_HASH = r"^[0-9a-f]{32}(\.dir)?$"
"""A content hash as ``dvc.lock`` has it; of a folder it ends in ``.dir``."""


class Task(BaseModel):
    """One stage of one FineTune, as it stands in the pod's environment. It holds no secret."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    stage: Stage
    """Which stage."""
    prefix: str
    """Where in storage this stage of this FineTune leaves its result, logs and progress; see ``prefix_of``."""
    params: dict[str, Any]
    """Sections of ``params.yaml``; ``storage`` says where everything lies."""
    inputs: dict[Word, str]
    """DVC hashes of what goes in; each lies in ``<storage.url>/dvc``."""
    nodes: int = 1
    """Pods that train together."""
    processes: int = 1
    """Processes in each of them: one a GPU."""


class Result(BaseModel):
    """``<prefix>/result.json``, written once, after everything else: the stage is done."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    stage: Stage
    """Which stage."""
    out: str = Field(pattern=DVC_HASH)
    """DVC hash of its output."""
    digest: str
    """Of the output, or of the model that it points to."""
    metrics: dict[str, Any] = {}
    """A few figures for people: ``final_loss``, ``best_validation_loss``, ``tokens`` ..."""
    passed: bool | None = None
    """Of ``evaluate``: whether the gate said yes."""
    missed: list[str] = []
    """The rules that did not hold, each with its figures."""
    revision: str | None = None
    """Of ``publish``: what can be deployed now."""


class Ending(BaseModel):
    """A container's termination message: why it ended. Kubernetes cuts it at 4,096 bytes, so ``message`` is kept short."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    exit_code: int
    """See ``serin.core.errors``."""
    message: str
    """What the stage itself said last, at most 2,000 characters."""
    result: Result | None = None
    """There where it is done, and only after it stands in storage."""
    memory_estimate_bytes: int | None = None
    """Of main memory, as training planned it; ``progress.json`` of a pod may have a field of this name too."""


def prefix_of(namespace: str, name: str, uid: str, stage: Stage) -> str:
    """``runs/<namespace>/<name>-<uid8>/<stage>``: unlike the name alone it never means two objects."""
    return f"runs/{namespace}/{name}-{uid[:8]}/{stage}"


def result_key(prefix: str) -> str:
    """``Result``."""
    return f"{prefix}/result.json"


def progress_key(prefix: str) -> str:
    """What ``progress.json`` of the newest attempt says."""
    return f"{prefix}/progress.json"


def attempt_prefix(prefix: str, attempt: str) -> str:
    """What one attempt (a pod's name) leaves: ``alive.json`` while it runs, ``ended.json``, and its log."""
    return f"{prefix}/attempts/{attempt}"


def log_prefix(prefix: str, attempt: str) -> str:
    """Parts of the log of one attempt, ``00001.log`` and so on: put together they are what it printed."""
    return f"{attempt_prefix(prefix, attempt)}/log"
