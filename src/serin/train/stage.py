"""The stage ``train``: base + dataset to an adapter (or, with ``method: full``, to weights)."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from serin.clients.files import code_digest, digests_in, output_folder, read_manifest, seal, write_json
from serin.clients.runs import runs_folder
from serin.clients.storage import open_storage
from serin.core.digest import digest_of, digest_of_files
from serin.core.errors import ConfigError, GateError, PreemptedError, StorageError
from serin.core.manifest import MANIFEST, Manifest
from serin.core.params import CheckpointParams, Params, TrainParams
from serin.lm.device import bound_kernel_caches, give_memory_back
from serin.lm.load import load_stops, load_tokenizer
from serin.lm.nf4 import NOTES, Noted, digest_of_notes, note_nf4, notes_as_json
from serin.lm.packing import find_layout
from serin.train.checkpoint.attempts import (
    Attempt,
    count_memory_kills,
    read_attempt,
    record_ending,
    was_killed_for_memory,
    write_attempt,
)
from serin.train.checkpoint.copies import Copies, fetch_newer
from serin.train.checkpoint.state import State
from serin.train.checkpoint.store import CheckpointStore
from serin.train.curves import write_curves
from serin.train.data.examples import Rendered, render_split
from serin.train.data.order import order_of
from serin.train.data.splits import read_split, refuse_leaks
from serin.train.history import History
from serin.train.loop.loop import Loop, Work
from serin.train.loop.preemption import Stopper
from serin.train.loop.step import halved, precision_of
from serin.train.model.build import TrainableModel, build
from serin.train.model.tokens import add_tokens
from serin.train.processes import Processes, processes
from serin.train.sharding import gather, shard
from serin.train.watch.watcher import Watcher
from serin.train.watch.watchers import Watchers

HELD_OUT = ("validation", "test", "control")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run learns from."""

    base: Path
    base_digest: str
    dataset: Path


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says of one attempt."""

    fresh: bool = False
    """Forget the run's checkpoints."""
    killed_for_memory: bool = False
    """The caller knows that the last attempt was killed for want of memory."""


@dataclass(frozen=True, slots=True)
class Data:
    """The two splits that training reads, as token ids."""

    train: Rendered
    validation: Rendered | None


def run(
    params: Params,
    inputs: Inputs,
    out: Path,
    watch: Callable[[Path], Watcher],
    options: Options | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Manifest | None:
    """Train, or go on from the newest checkpoint of the same run, and write what was learnt with its manifest to ``out``.

    Args:
        params: ``train`` determines the result, ``runs`` how it is reached, and ``storage`` where copies go.
        inputs: the verified base and the dataset.
        out: not there until everything in it is whole.
        watch: makes the watcher, given the run's own folder.
        options: of this attempt.
        environment: for SERIN_RUNS, XDG_CACHE_HOME and what torchrun sets.

    Returns:
        The manifest, or None in a process that is not the first of several.

    Raises:
        ConfigError: the base model or the data cannot be trained on, or training diverged.
        GateError: the dataset misses a limit of ``prepare.limits``.
        InputError: the dataset is missing or damaged.
        PreemptedError: asked to stop; a new checkpoint is saved.
        FinalError: asked to stop before anything new was saved, or another process trains this run.
        RetryableError: memory ran out in a model that is in parts; the next start takes fewer examples at once.
    """
    bound_kernel_caches()
    if params.train.gradient_checkpointing and not torch.cuda.is_available():
        give_memory_back()
    prepared = read_manifest(inputs.dataset, "dataset", verify=True)
    refuse_below_quality(inputs.dataset, prepared)
    digests = {
        "base": inputs.base_digest,
        "dataset": prepared.digest,
        **_digest_of_start(params.train, inputs.base_digest),
    }
    store = CheckpointStore(
        checkpoints_folder(params.runs.checkpoints, environment),
        key_of(params.train, digests),
        params.runs.checkpoints.keep,
    )
    options = options or Options()
    with processes(environment) as team, store.lock() if team.is_first else nullcontext():
        team.refuse_difference("the run", store.key)
        if team.is_first and options.fresh:
            store.forget()
        with watched(watch(store.folder), store) if team.is_first else nullcontext(Watchers([])) as watcher:
            history, model, data, nf4 = train(params, inputs, store, team, watcher, options)
            weights = gather(model.trained, team) if params.runs.sharded and params.train.method == "full" else None
            if not team.is_first:
                return None
            return write_output(out, model, weights, history, data, params.train, digests, nf4)


@contextmanager
def watched(watcher: Watcher, store: CheckpointStore) -> Iterator[Watcher]:
    """Whoever watches hears how the attempt ended, and the next attempt can read it."""
    try:
        yield watcher
    except (PreemptedError, KeyboardInterrupt) as error:
        record_ending(store.folder, "preempted")
        watcher.ended("preempted", str(error) or "stopped by Ctrl-C")
        raise
    except BaseException as error:
        record_ending(store.folder, "failed")
        watcher.ended("failed", str(error) or type(error).__name__)
        raise
    record_ending(store.folder, "finished")
    watcher.ended("finished", "")


def train(
    params: Params, inputs: Inputs, store: CheckpointStore, team: Processes, watcher: Watcher, options: Options
) -> tuple[History, TrainableModel, Data, dict[str, Noted]]:
    """How the run went, the model with the chosen weights, what it was trained on, and notes of the base's weights in NF4."""
    tokenizer = load_tokenizer(inputs.base)
    pieces = add_tokens(tokenizer, params.train.added_tokens)
    data = read_data(params, inputs, tokenizer, watcher)
    copies = copies_of(params, store, watcher) if team.is_first else None
    try:
        state = team.from_first(newest_state(params, store, watcher) if team.is_first else None)
        attempt = (
            next_attempt(params.train, store, state, watcher, options.killed_for_memory) if team.is_first else None
        )
        attempt = team.from_first(attempt)
        assert attempt is not None
        sharded = params.runs.sharded and team.count > 1
        model = build(params.train, inputs.base, tokenizer, pieces, torch.device("cpu") if sharded else None)
        nf4 = note_nf4(model.module)
        if sharded:
            whole = params.train.method != "full"
            model = replace(model, trained=shard(model.module, model.trained, whole, team))
        for note in model.notes:
            watcher.noted(note)
        precision = precision_of(model.dtype, team.device)
        with precision():
            layout = find_layout(model.module)
        if layout == "padded":
            watcher.noted("packed examples would see each other in this architecture: each gets a row, with padding")
        order = order_of(params.train, len(data.train.examples))
        validation = data.validation.examples if data.validation else ()
        work = Work(params.train, model, data.train.examples, validation, order, layout, precision, sharded)
        with Stopper() as stopper:
            loop = Loop(work, params.runs, store, copies, attempt, watcher, team, stopper)
            if state is not None:
                loop.restore(state)
                state = None  # as large as what is trained, and its moments
            history = loop.run(store.key)
    finally:
        if copies is not None:
            copies.close()
    return history, model, data, nf4


def read_data(params: Params, inputs: Inputs, tokenizer: PreTrainedTokenizerBase, watcher: Watcher) -> Data:
    """Both splits; what was dropped or cut is told of. Nothing of a held-out split may stand in train."""
    conversations = read_split(inputs.dataset, "train")
    held_out = {split: read_split(inputs.dataset, split) for split in HELD_OUT}
    refuse_leaks(conversations, held_out)
    workers = params.runs.loader_workers
    stops = load_stops(inputs.base, tokenizer)
    train_split = render_split(tokenizer, stops, conversations, params.train, "train", workers)
    watcher.noted(train_split.summary("train"))
    if not held_out["validation"]:
        watcher.noted(
            "the validation split is empty: nothing is evaluated while training, and the last weights are kept"
        )
        return Data(train_split, None)
    validation = render_split(tokenizer, stops, held_out["validation"], params.train, "validation", workers)
    watcher.noted(validation.summary("validation"))
    return Data(train_split, validation)


def copies_of(params: Params, store: CheckpointStore, watcher: Watcher) -> Copies | None:
    """What copies checkpoints to storage, where params ask for it."""
    wanted = params.runs.checkpoints.to_storage
    if wanted == "never" or (wanted == "auto" and not params.storage.url.startswith("s3://")):
        return None
    copies = Copies(open_storage(params.storage), store.key, params.runs.checkpoints.keep, watcher.noted)
    store.is_in_use = copies.is_using
    return copies


def newest_state(params: Params, store: CheckpointStore, watcher: Watcher) -> State | None:
    """The newest complete checkpoint, from this disk or from storage; one that cannot be used is told of."""
    local = store.newest(watcher.noted)
    if params.runs.checkpoints.to_storage == "never" or (local is not None and local.finished):
        return local
    try:
        step = fetch_newer(open_storage(params.storage), store.key, local.step if local else None, store.folder)
    except StorageError as error:
        watcher.noted(f"storage does not say whether it has a newer checkpoint ({error})")
        return local
    if step is None:
        return local
    watcher.noted(f"fetched the checkpoint of step {step} from storage")
    return store.newest(watcher.noted)


def next_attempt(
    params: TrainParams, store: CheckpointStore, state: State | None, watcher: Watcher, killed_for_memory: bool
) -> Attempt:
    """This attempt, recorded; its micro-batch is that of the last one, halved if that was killed for memory."""
    last, kills = read_attempt(store.folder), count_memory_kills()
    size = min(params.micro_batch_size, params.batch_size)
    size = last.micro_batch_size if last else state.micro_batch_size if state else size
    if was_killed_for_memory(last, kills, killed_for_memory):
        before, size = size, halved(size)
        watcher.noted(
            f"the last attempt was killed for memory: the micro-batch is halved from {before} to {size} examples"
        )
    attempt = Attempt((last.number if last else 0) + 1, size, None, kills)
    write_attempt(store.folder, attempt)
    return attempt


def write_output(
    out: Path,
    model: TrainableModel,
    weights: Mapping[str, torch.Tensor] | None,
    history: History,
    data: Data,
    params: TrainParams,
    digests: Mapping[str, str],
    nf4: Mapping[str, Noted],
) -> Manifest:
    """The adapter or the weights, the curves, notes of the base's weights in NF4, and the manifest over all."""
    metrics = figures_of(model, history, data)
    inputs = dict(digests) | ({"nf4": digest_of_notes(nf4)} if nf4 else {})
    with output_folder(out) as folder:
        model.save(folder, weights)
        if nf4:
            write_json(folder / NOTES, notes_as_json(nf4))
        write_curves(folder, history, metrics)
        kind = "weights" if params.method == "full" else "adapter"
        return seal(folder, kind=kind, inputs=inputs, params=params.model_dump(), metrics=metrics)


def figures_of(model: TrainableModel, history: History, data: Data) -> dict[str, Any]:
    """What the content determines of a run."""
    best, last = history.best, history.steps[-1]
    return {
        "examples": len(data.train.examples),
        "tokens": data.train.tokens,
        "trained_tokens": data.train.trained_tokens,
        "dropped": data.train.dropped,
        "cut": data.train.cut,
        "steps": last.step,
        "epochs": last.epoch,
        "final_loss": last.loss,
        "validation_loss": history.validations[-1].loss if history.validations else None,
        "best_validation_loss": best.loss if best else None,
        "best_step": best.step if best else None,
        "trainable_parameters": model.counts.trained,
        "parameters": model.counts.total,
    }


def refuse_below_quality(dataset: Path, prepared: Manifest) -> None:
    """Raises GateError where ``prepare`` found the data worse than ``prepare.limits`` allow."""
    misses = [f"  {rule['says']}" for rule in prepared.metrics.get("gate", {}).get("rules", ()) if not rule["passed"]]
    if misses:
        raise GateError(
            "\n".join(
                [f"{dataset} is not to be trained on, by prepare.limits:", *misses, "mend the data, or move the limits"]
            )
        )


def key_of(params: TrainParams, digests: Mapping[str, str]) -> str:
    """The identity of a run: what it learns from, how, and by which code."""
    return digest_of({"code": code_digest(), "params": params.model_dump(), "inputs": dict(digests)})


def checkpoints_folder(params: CheckpointParams, environment: Mapping[str, str]) -> Path:
    """Where runs keep their checkpoints: it depends neither on the working directory nor on an output."""
    return runs_folder(environment) if params.folder is None else Path(params.folder).expanduser()


def _digest_of_start(params: TrainParams, base_digest: str) -> dict[str, str]:
    """Of the adapter to go on from: Serin's own is verified, one of plain PEFT has no manifest."""
    if params.start_from is None:
        return {}
    folder = Path(params.start_from)
    if (folder / MANIFEST).is_file():
        made = read_manifest(folder, "adapter", verify=True)
        if made.inputs.get("base") != base_digest:
            raise ConfigError(
                f"train.start_from = {params.start_from!r}: that adapter was trained on the base "
                f"{made.inputs.get('base', '?')[:12]}, and this base is {base_digest[:12]}; take an adapter of this one"
            )
        return {"adapter": made.digest}
    if not folder.is_dir():
        raise ConfigError(f"train.start_from = {params.start_from!r}: there is no such folder; edit params.yaml")
    return {"adapter": digest_of_files(digests_in(folder))}
