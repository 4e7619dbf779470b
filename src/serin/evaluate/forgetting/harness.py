"""Tasks of lm-evaluation-harness (Gao et al., EleutherAI), with a score for each document, so that models can be paired.

Nothing is asked of a hub for tasks whose data are local files (``dataset_path: json`` with ``data_files``); whether others may
fetch theirs, ``HF_HUB_OFFLINE`` says.
"""

import copy
import difflib
import io
import logging
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from serin.core.errors import ConfigError
from serin.core.params import ForgettingParams
from serin.evaluate.metrics.metric import Scores
from serin.lm.chat import RENDERED_ON

_SEED = 1234
"""The harness' own, of few-shot examples and of tasks that draw."""
_GENERATES = "generate_until"
_NEAR = 5


@dataclass(frozen=True, slots=True)
class LoadedTasks:
    """Tasks with their data, ready to be run on any model."""

    by_name: Mapping[str, tuple[str, ...]]
    """The tasks that each name of ``evaluate.forgetting.tasks`` stands for: itself, or those of a group or tag."""
    tasks: Mapping[str, Any]


def load_tasks(params: ForgettingParams) -> LoadedTasks:
    """Find the tasks by name, in ``task_folder`` first, and load their data.

    Raises:
        ConfigError: lm-evaluation-harness is not installed, there is no such folder or task, or one's data cannot be loaded.
    """
    if not params.tasks:
        return LoadedTasks({}, {})
    try:
        with _quiet():
            from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise ConfigError(
            f"evaluate.forgetting.tasks needs lm-evaluation-harness ({error}): pip install 'serin[harness]'"
        ) from error
    manager = _manager_that_knows(params, TaskManager)
    by_name: dict[str, tuple[str, ...]] = {}
    tasks: dict[str, Any] = {}
    for name in dict.fromkeys(params.tasks):
        found = _load(manager, name)
        by_name[name] = tuple(found)
        tasks |= found
    return LoadedTasks(by_name, tasks)


def run_tasks(
    params: ForgettingParams,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    batch_size: int,
    loaded: LoadedTasks | None = None,
) -> dict[str, Scores]:
    """The score of each document by the main metric of its task, by the names in ``evaluate.forgetting.tasks``.

    The main metric is the first that the task names of those that are a mean over documents and better when higher, after the
    task's first filter. A group has the documents of all its tasks, one after another. Where a task generates, the chat
    template is applied; where it compares likelihoods, it is not, as is usual for either. ``loaded`` spares loading the tasks
    again for the next model; documents and their order are the same for each.

    Raises:
        ConfigError: as ``load_tasks``, or a task has no such metric or cannot be run with this model.
    """
    loaded = loaded or load_tasks(params)
    if not loaded.tasks:
        return {}
    scores: dict[str, list[float]] = {}
    with _quiet(), _seeded(model):
        from lm_eval.models.huggingface import HFLM

        # The wrapper may give the tokenizer a pad token.
        lm = HFLM(
            pretrained=model,
            tokenizer=copy.deepcopy(tokenizer),
            batch_size=batch_size,
            chat_template_args={"strftime_now": RENDERED_ON.strftime},
        )
        for generates in (False, True):
            chosen = {n: t for n, t in loaded.tasks.items() if (t.OUTPUT_TYPE == _GENERATES) is generates}
            if chosen:
                scores |= _run(lm, chosen, params.task_questions, generates)
    return {
        name: Scores(tuple(value for task in tasks for value in scores[task])) for name, tasks in loaded.by_name.items()
    }


def _manager_that_knows(params: ForgettingParams, make: Callable[..., Any]) -> Any:
    """An index of tasks; reading the harness' own 14,000 takes seconds, and is left out where the folder has them all."""
    folder = None if params.task_folder is None else Path(params.task_folder)
    if folder is not None:
        if not folder.is_dir():
            raise ConfigError(
                f"evaluate.forgetting.task_folder = {str(folder)!r} is no folder: expected one with task files (YAML)"
            )
        with _quiet():
            manager = make(include_path=str(folder), include_defaults=False)
        if all(_is_whole_in(manager.task_index, name) for name in params.tasks):
            return manager
    with _quiet():
        manager = make(include_path=None if folder is None else str(folder))
    if unknown := [name for name in params.tasks if name not in manager.task_index]:
        near = difflib.get_close_matches(unknown[0], manager.all_tasks, n=_NEAR)
        where = (
            ""
            if folder is None
            else f"; {folder} may have it in a file that is no task (lm_eval passes such files over)"
        )
        raise ConfigError(
            f"evaluate.forgetting.tasks: there is no task {unknown[0]!r}"
            f"{', near it are ' + ', '.join(near) if near else ''}{where}; 'lm_eval ls tasks' lists them all"
        )
    return manager


def _is_whole_in(index: Mapping[str, Any], name: str) -> bool:
    """Whether the index has the task, or the group with all of its tasks, none of which is made up within the group."""
    if name not in index:
        return False
    members = (index[name].cfg or {}).get("task")
    return not isinstance(members, list) or all(isinstance(m, str) and _is_whole_in(index, m) for m in members)


def _load(manager: Any, name: str) -> dict[str, Any]:
    try:
        with _quiet():
            found: dict[str, Any] = manager.load([name])["tasks"]
    except Exception as error:  # tasks run code of their own, which may raise anything
        raise ConfigError(
            f"evaluate.forgetting.tasks: {name} cannot be loaded ({_told(error)}): its data have to be local, in the cache of "
            "datasets, or to be fetched where HF_HUB_OFFLINE is not set"
        ) from error
    for task, loaded in found.items():
        for flag, what in (("UNSAFE_CODE", "runs code that a model wrote"), ("MULTIMODAL", "shows pictures or sound")):
            if getattr(loaded, flag, False):
                raise ConfigError(
                    f"evaluate.forgetting.tasks: {task} {what}, which Serin does not do; take another task"
                )
        _main_metric(task, loaded)
        if loaded.config.num_fewshot is None:
            loaded.set_config(key="num_fewshot", value=0)
    return found


def _main_metric(name: str, task: Any) -> str:
    from lm_eval.api.metrics import mean

    averaged = [metric for metric, how in task.aggregation().items() if how is mean]
    for metric in averaged:
        if task.higher_is_better().get(metric):
            return str(metric)
    raise ConfigError(
        f"evaluate.forgetting.tasks: {name} measures {', '.join(task.aggregation())}, none of which is a mean over documents "
        "that is better when higher, such as acc or exact_match; take another task, or give it such a metric"
    )


def _run(lm: Any, tasks: Mapping[str, Any], limit: int | None, generates: bool) -> dict[str, list[float]]:
    """Values by task, in the order of its documents."""
    from lm_eval.evaluator import evaluate

    for task in tasks.values():
        task.set_fewshot_seed(seed=_SEED)
    try:
        result: dict[str, Any] = evaluate(
            lm=lm,
            task_dict={"tasks": dict(tasks)},
            limit=limit,
            bootstrap_iters=0,
            log_samples=True,
            apply_chat_template=generates,
            fewshot_as_multiturn=generates,
        )
    except Exception as error:  # as above; and the harness asserts what it expects of a model
        raise ConfigError(f"evaluate.forgetting.tasks: {', '.join(tasks)} cannot be run ({_told(error)})") from error
    return {name: _values(name, task, result["samples"][name]) for name, task in tasks.items()}


def _values(name: str, task: Any, samples: Sequence[Mapping[str, Any]]) -> list[float]:
    metric, first = _main_metric(name, task), samples[0]["filter"]
    by_document = {sample["doc_id"]: sample.get(metric) for sample in samples if sample["filter"] == first}
    values = []
    for document, value in sorted(by_document.items()):
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise ConfigError(
                f"evaluate.forgetting.tasks: {name} gives {value!r} as {metric} of document {document}: expected a number"
            )
        values.append(float(value))
    return values


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the harness' progress bars and log: a stage shows progress of its own, and errors are raised."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _seeded(model: PreTrainedModel) -> Iterator[None]:
    """Seeds for tasks that draw; afterwards all generators are as they were."""
    import numpy as np

    before, numpy_before = random.getstate(), np.random.get_state()
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        random.seed(_SEED)
        np.random.seed(_SEED)
        torch.manual_seed(_SEED)
        try:
            yield
        finally:
            random.setstate(before)
            np.random.set_state(numpy_before)
