"""The training loop: evaluate, save, step, until done. It can be left anywhere and gone on with, and nobody can tell after."""

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from serin.core.errors import ConfigError, FinalError, PreemptedError, RetryableError, StorageError
from serin.core.params import RunParams, TrainParams
from serin.lm.chat import Example
from serin.lm.packing import Batch, Layout
from serin.lm.score import Likelihood, response_likelihood
from serin.train.checkpoint.attempts import Attempt, write_attempt
from serin.train.checkpoint.copies import Copies
from serin.train.checkpoint.state import State
from serin.train.checkpoint.store import CheckpointStore
from serin.train.data.order import Order, share_of
from serin.train.history import History, StepRecord, ValidationRecord
from serin.train.loop.divergence import why_diverged
from serin.train.loop.optimise import Optimizer, learning_rate
from serin.train.loop.preemption import Stop, Stopper
from serin.train.loop.schedule import checkpoint_is_due, stops_early, validation_is_due
from serin.train.loop.speed import Speedometer
from serin.train.loop.step import (
    Precision,
    compute_gradient,
    drop_gradients,
    free_memory,
    halved,
    ids_of,
    is_out_of_memory,
    seed_step,
)
from serin.train.model.build import TrainableModel
from serin.train.processes import Processes
from serin.train.sharding import even_out, gather, gradient_norm, shorten_gradient
from serin.train.watch.watcher import RunInfo, Watcher

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Work:
    """What a run is given: the model, the data in its order, and how to compute."""

    params: TrainParams
    model: TrainableModel
    train: Sequence[Example]
    validation: Sequence[Example]
    order: Order
    layout: Layout
    precision: Precision
    sharded: bool = False
    """Whether the model is cut up over the processes, which then have to make the same passes."""


class Loop:
    """One attempt at a run, from its newest checkpoint or from the start, to its end.

    The state is ``step``, ``history``, the weights and the optimizer's moments. Everything else (the order of the data, the
    rate, dropout, what is due) is a function of the step.
    """

    def __init__(
        self,
        work: Work,
        runs: RunParams,
        store: CheckpointStore,
        copies: Copies | None,
        attempt: Attempt,
        watcher: Watcher,
        processes: Processes,
        stopper: Stopper,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.params = work.params
        self.runs = runs
        self.model = work.model
        self.train = work.train
        self.validation = work.validation
        self.order = work.order
        self.layout = work.layout
        self.precision = work.precision
        self.sharded = work.sharded
        self.store = store
        self.copies = copies
        self.attempt = attempt
        self.watcher = watcher
        self.processes = processes
        self.stopper = stopper
        self.optimizer = Optimizer(work.model.groups(), work.params.weight_decay)
        self.weights = list(work.model.trained.values())
        self.lengths = [len(example.input_ids) for example in work.train]
        self.speed = Speedometer(clock, self.order.steps)
        self.step = 0
        self.start_step = 0
        self.history = History()
        self.saved_step: int | None = None
        self.tried_step: int | None = None
        """The last step that was to be saved; where that failed, ``saved_step`` is an earlier one."""
        self.finished = False

    def run(self, key: str) -> History:
        """Train to the end and leave the chosen weights in the model.

        Raises:
            PreemptedError: asked to stop by SIGTERM; a new checkpoint is saved.
            KeyboardInterrupt: likewise by Ctrl-C.
            FinalError: asked to stop, with nothing new to save or no way to save it.
            ConfigError: training diverged, or memory does not hold one example.
        """
        self.watcher.started(
            RunInfo(key, self.attempt.number, self.step, self.order.steps, self.params.model_dump()), self.history
        )
        if self.finished:
            return self.history
        try:
            while True:
                if self.validation and validation_is_due(
                    self.params.validation, self.order, self.step, self.history.validations
                ):
                    self.validate()
                if self.step == self.order.steps or stops_early(self.params.validation, self.history.validations):
                    break
                if checkpoint_is_due(self.runs.checkpoints, self.step, self.tried_step):
                    self.save_or_go_on()
                self.leave_if_asked()
                self.take_step()
        except Stop:
            self.leave()
        self.choose()
        return self.history

    def restore(self, state: State) -> None:
        """Go on from a checkpoint; it can be let go of after that."""
        self.step = self.start_step = state.step
        self.saved_step = self.tried_step = state.step
        self.history = state.history
        self.finished = state.finished
        self.model.restore(state.weights)
        if state.moments:
            self.optimizer.restore(state.moments, state.step)

    def take_step(self) -> None:
        """One optimizer step. On any way out before the update, weights and moments are as they were."""
        self.watcher.entered("training", self.step)
        self.speed.step_begins()
        rows = self.order.rows(self.step)
        examples = [self.train[row] for row in rows]
        trained_tokens = sum(example.trained_tokens for example in examples)
        loss = self.processes.sum(self.gradient(rows, trained_tokens))
        self.agree_on_micro_batch()
        self.processes.sum_gradients(self.weights)
        norm = gradient_norm(self.weights, self.processes)
        rate = learning_rate(self.params, self.step, self.order.steps)
        self.refuse_divergence(loss, norm, examples)
        if self.params.max_grad_norm is not None:
            shorten_gradient(self.weights, norm, self.params.max_grad_norm)
        self.update(rate)
        self.step += 1
        tokens = sum(len(example.input_ids) for example in examples)
        record = StepRecord(
            self.step, self.order.epoch_after(self.step), loss, rate, norm, tokens=tokens, trained_tokens=trained_tokens
        )
        self.history.steps.append(record)
        self.speed.step_ends(tokens)
        self.watcher.stepped(record, self.speed.read(self.step, self.attempt.micro_batch_size))

    def gradient(self, rows: Sequence[int], trained_tokens: int) -> float:
        """This process's share of the gradient of the step that sees ``rows``."""
        mine = share_of(rows, self.lengths, self.processes.rank, self.processes.count)
        share = self.evened_out([self.train[row] for row in mine], len(rows))
        if not self.model.module.training:  # walking all modules of a large model takes milliseconds
            self.model.module.train()

        def compute() -> float:
            seed_step(self.params.seed, self.step, self.processes.rank)
            return compute_gradient(
                self.model.module,
                self.weights,
                share,
                trained_tokens,
                self.attempt.micro_batch_size,
                self.layout,
                self.precision,
                self.before_micro_batch,
            )

        return self.within_memory(compute)

    def within_memory(self, work: Callable[[], T]) -> T:
        """Do the work, and do it again with half the micro-batch as often as memory runs out in it."""
        while True:
            try:
                return work()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            self.halve_micro_batch()  # here, and not above, what the error holds on to is free

    def before_micro_batch(self, batch: Batch) -> None:
        """Leave in the middle of a step if asked to (several processes do so between steps), and tell the noise of lengths."""
        if self.processes.count == 1:
            self.stopper.leave_if_requested()
        if self.model.noise is not None:
            self.model.noise.lengths = batch.lengths

    def update(self, rate: float) -> None:
        """Apply the gradient; where memory runs out in it, go on with what is left of it."""
        self.optimizer.begin(rate)
        self.within_memory(self.optimizer.finish)

    def evened_out(self, share: Sequence[Example], examples: int) -> Sequence[Example]:
        """This process's share; where the model is in parts, all shares are made equally long."""
        return even_out(share, examples, self.processes) if self.sharded else share

    def halve_micro_batch(self) -> None:
        """Take fewer examples at once from now on; recorded before the step is tried again, for the case of a kill.

        Raises:
            RetryableError: the model is in parts, so that the others wait for this process in the middle of a step: the next
                start goes on with the smaller micro-batch.
        """
        size = halved(self.attempt.micro_batch_size)
        if self.sharded:
            write_attempt(self.store.folder, replace(self.attempt, micro_batch_size=size))
            raise RetryableError(
                f"memory ran out in step {self.step + 1}, and with runs.sharded a process cannot try again alone: run the "
                f"command again; it goes on from the newest checkpoint, with {size} instead of "
                f"{self.attempt.micro_batch_size} examples at once"
            )
        free_memory()
        self.take_micro_batch(size)

    def agree_on_micro_batch(self) -> None:
        """Several processes take as many examples as the one that had to halve: it alone would keep the others waiting."""
        if (smallest := self.processes.smallest(self.attempt.micro_batch_size)) < self.attempt.micro_batch_size:
            self.take_micro_batch(smallest)

    def take_micro_batch(self, size: int) -> None:
        """Record and tell the new size."""
        before, self.attempt = self.attempt.micro_batch_size, replace(self.attempt, micro_batch_size=size)
        if self.processes.is_first:
            write_attempt(self.store.folder, self.attempt)
        self.watcher.noted(
            f"memory ran out in step {self.step + 1}: the micro-batch is halved from {before} to {size} examples, a step "
            f"still sees {self.params.batch_size}"
        )

    def refuse_divergence(self, loss: float, norm: float, examples: Sequence[Example]) -> None:
        """Raises ConfigError, before the weights are touched, where the step shows that training has gone wrong."""
        losses = [record.loss for record in self.history.steps[-100:]]
        first = self.history.steps[0].loss if self.history.steps else loss
        why = why_diverged([*losses, loss], first, norm, self.params.max_loss_ratio)
        if why is not None:
            drop_gradients(self.weights)
            raise ConfigError(
                f"training diverged at step {self.step + 1}: {why}; the batch's records: {ids_of(examples)}; lower "
                "train.learning_rate, or look at these records"
            )

    def validate(self) -> None:
        """The loss on the validation split; every generator of random numbers is left as it was."""
        self.watcher.entered("evaluating", self.step)
        share = self.evened_out(self.validation[self.processes.rank :: self.processes.count], len(self.validation))
        self.model.module.eval()

        def score() -> Likelihood:
            with torch.random.fork_rng(), self.precision():
                return response_likelihood(
                    self.model.module,
                    share,
                    self.attempt.micro_batch_size,
                    self.layout,
                    lambda _: self.stopper.leave_if_requested() if self.processes.count == 1 else None,
                )

        mine = self.within_memory(score)
        tokens = round(self.processes.sum(mine.tokens))
        loss = self.processes.sum(mine.nll) / tokens
        record = ValidationRecord(self.step, self.order.epoch_after(self.step), loss, tokens)
        self.history.validations.append(record)
        is_best = self.history.best == record
        if is_best and self.params.validation.choose == "best":
            weights = gather(self.model.weights(), self.processes)
            if self.processes.is_first:
                self.store.save_best(self.step, weights)
        self.watcher.validated(record, is_best)

    def state(self) -> State:
        """What a checkpoint of now holds; all processes have to ask for it."""
        weights, moments = (gather(t, self.processes) for t in (self.model.weights(), self.optimizer.moments()))
        return State(self.step, self.attempt.micro_batch_size, self.history, weights, moments)

    def save_or_go_on(self) -> None:
        """Save; where that fails, say so and go on training: the next one may succeed, and those before it are there."""
        self.tried_step = self.step
        try:
            self.save(self.state())
        except (OSError, StorageError) as error:
            self.watcher.noted(f"no checkpoint of step {self.step} ({error}); training goes on")

    def save(self, state: State) -> None:
        """Write a checkpoint, and hand it to whoever copies it."""
        self.watcher.entered("saving", self.step)
        if self.processes.is_first:
            folder = self.store.save(state)
            if self.copies is not None:
                self.copies.add(state.step, folder)
        self.saved_step = self.step

    def leave_if_asked(self) -> None:
        """Raises Stop where any process was asked to stop."""
        if self.processes.any(self.stopper.requested):
            raise Stop

    def leave(self) -> None:
        """Save what is done and end: the way out after SIGTERM or Ctrl-C."""
        drop_gradients(self.weights)
        new = self.step > self.start_step
        if new and self.saved_step != self.step:
            try:
                self.save(self.state())
            except (OSError, StorageError) as error:
                raise FinalError(f"stopped at step {self.step}, and could not save it: {error}") from error
        left_s = self.runs.checkpoints.grace_s - self.stopper.seconds_since()
        if self.copies is not None and not self.copies.wait(max(0.0, left_s)):
            self.watcher.noted(
                "the last checkpoint is on this disk only: its copy was not done in runs.checkpoints.grace_s"
            )
        if not new:
            raise FinalError(f"stopped at step {self.step}, before anything new could be saved: run the command again")
        if self.stopper.signal == signal.SIGINT:
            self.watcher.noted(f"step {self.step} of {self.order.steps} is saved: run again to go on")
            raise KeyboardInterrupt
        raise PreemptedError(f"stopped at step {self.step} of {self.order.steps}, which is saved: run again to go on")

    def choose(self) -> None:
        """Load the weights that were best on the validation split, and keep them in case the output is lost."""
        best = self.history.best
        if self.params.validation.choose == "best" and best is not None and best.step != self.step:
            chosen = self.store.load_best(best.step) if self.processes.is_first else {}
            self.model.restore(self.processes.from_first(chosen))
        weights = gather(self.model.weights(), self.processes)
        state = State(self.step, self.attempt.micro_batch_size, self.history, weights, moments={}, finished=True)
        if self.processes.is_first:
            try:
                self.store.finish(state)
            except (OSError, StorageError) as error:
                self.watcher.noted(f"the finished run could not be kept with its checkpoints ({error})")
