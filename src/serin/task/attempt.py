"""One attempt at a task, by one pod: all that it says and shows is in storage while it works."""

import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from signal import Signals

import yaml

from serin.clients.dvc_remote import DvcRemote
from serin.clients.storage import Storage
from serin.clients.storage.faults import REFUSALS
from serin.core.errors import ConfigError, SerinError, StorageError
from serin.core.manifest import MANIFEST
from serin.core.task import OUTPUT, Ending, Result, Word, attempt_prefix, log_prefix, result_key
from serin.task.child import Child
from serin.task.command import PARAMS_FILE, code_of_all, command_of, environment_of, exit_codes
from serin.task.ending import Tail, last_words, write_ending
from serin.task.estimate import estimate_in_background
from serin.task.every import Every
from serin.task.log import LogParts
from serin.task.memory import read_memory
from serin.task.order import Order, params_of
from serin.task.outcome import check_output, parse_result, result_of
from serin.task.patience import patiently
from serin.task.progress import ProgressCopy
from serin.task.signs import Signs, fell_to_memory
from serin.task.stopping import Stopping

_LOG_EVERY_S, _PROGRESS_EVERY_S, _LOOK_EVERY_S = 3.0, 2.0, 1.0
_PREEMPTED = 75
_PHASES = {0: "finished", _PREEMPTED: "preempted"}
_KILLED = 128
"""A shell's exit code of a process is this and the number of the signal that killed it."""


class Attempt:
    """Fetch, run, store. ``pause`` is how to wait before storage is tried again."""

    def __init__(
        self,
        order: Order,
        storage: Storage,
        stopping: Stopping,
        environment: Mapping[str, str],
        pause: Callable[[float], None],
    ) -> None:
        task = order.task
        self.order = order
        self.storage = storage
        self.stopping = stopping
        self.environment = environment_of(order, environment)
        self.pause = pause
        self.remote = DvcRemote(storage)
        self.tail = Tail()
        self.log = LogParts(storage, log_prefix(task.prefix, order.pod))
        self.progress = ProgressCopy(storage, task.prefix, order.pod, order.runs)
        self.signs = Signs(storage, task.prefix, order.pod)
        self.sender = Every(_LOG_EVERY_S, self.log.send, "the log", self.say)
        self.took_too_much = False
        self._printing = threading.Lock()

    def make(self) -> Ending:
        """How it ended, which the termination message says too."""
        with ExitStack() as stack:
            stack.enter_context(self.sender)
            if self.order.is_first:
                stack.enter_context(Every(_PROGRESS_EVERY_S, self.progress.send, "progress.json", self.say))
            with Every(_LOOK_EVERY_S, self.signs.beat, "alive.json", self.say):
                ending = self._ending()
            self.progress.entered(_PHASES.get(ending.exit_code, "failed"), ending.message)
            write_ending(self.order.termination, ending)
        with suppress(StorageError):  # after the last part of the log, so that whoever follows knows that it is whole
            self.signs.end(ending.exit_code, self.took_too_much)
        return ending

    def hear(self, data: bytes) -> None:
        """What the stage prints goes to the pod's own log, and to storage."""
        with self._printing:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            self.tail.write(data)
            if self.log.write(data):
                self.sender.wake()

    def say(self, message: str) -> None:
        """Something that the task itself has to tell."""
        self.hear(f"task: {message}\n".encode())

    def _ending(self) -> Ending:
        try:
            self._may_write()
            self._fetch()
            ending = self._ended_with(self._run_stage())
        except SerinError as error:
            self.hear(f"serin: {error}\n".encode())
            ending = Ending(exit_code=error.exit_code, message=str(error))
        except OSError as error:
            where = error.filename or self.order.work
            message = f"{error.strerror or error}: {where}; is placement's scratch large enough?"
            self.hear(f"serin: {message}\n".encode())
            ending = Ending(exit_code=1, message=message)
        return ending.model_copy(update={"memory_estimate_bytes": self.progress.memory_estimate_bytes})

    def _ended_with(self, code: int) -> Ending:
        """What the stage's exit code comes to."""
        if code == 0 and self.order.is_first:
            result = self._store()
            return Ending(exit_code=0, message=last_words(self.tail.text()), result=result)
        if code != _PREEMPTED or not self.order.is_first:
            return Ending(exit_code=code, message=self._why(code))
        if self.order.task.stage != "train" or self.progress.phase_of_stage != "preempted":
            # An endpoint broke off, or memory ran out: only what has moved on may be tried without end.
            self.took_too_much = self.order.task.stage == "train"
            return Ending(exit_code=1, message=self._why(code))
        if not self._checkpoint_is_stored():
            message = "stopped; the checkpoint is on the pod's own disk only, and gone with it: run again"
            return Ending(exit_code=1, message=message)
        return Ending(exit_code=code, message=self._why(code))

    def _may_write(self) -> None:
        """Leave the first sign of life: a stage that computes for days must not learn at its end that it may write nothing.

        Raises:
            ConfigError: storage does not let it write. One that does not answer now may do so until there is something to store.
        """
        try:
            self.signs.beat()
        except REFUSALS as error:
            raise ConfigError(
                f"{error} (the pod's ServiceAccount, or placement.secrets, has to let it write)"
            ) from error
        except StorageError:
            return  # the next sign of life is tried in a second, and it is told there

    def _fetch(self) -> None:
        """Bring the inputs where ``dvc.yaml`` has them, and write params.yaml.

        Raises:
            ConfigError: storage lacks one, or does not let the pod in.
            StorageError: storage does not answer, or holds damaged bytes.
        """
        work = self.order.work
        work.mkdir(parents=True, exist_ok=True)
        self.order.runs.mkdir(parents=True, exist_ok=True)
        for word, content in self.order.task.inputs.items():
            self.say(f"fetching {word} {content}")
            try:
                patiently(partial(self.remote.fetch, content, self._place(word)), self.pause)
            except (ConfigError, *REFUSALS) as error:
                raise ConfigError(f"{word}: {error}") from error
        (work / PARAMS_FILE).write_text(yaml.safe_dump(params_of(self.order.task)), encoding="utf-8")

    def _run_stage(self) -> int:
        """Run it to its end; its exit code, as a shell would have it."""
        order = self.order
        fell = order.task.stage == "train" and fell_to_memory(self.storage, order.task.prefix, order.pod)
        codes = Path(tempfile.mkdtemp(prefix="codes-", dir=order.work))
        if order.task.stage == "train" and order.is_first and read_memory() is not None:
            estimate_in_background(order.work, self.environment, self.progress.estimated)
        self.progress.entered("running")
        self.stopping.stage_begins()
        child = Child(command_of(order, codes, fell), order.work, self.environment, self.hear, codes)
        self.stopping.stage_began(child)
        code = child.wait()
        self.stopping.stage_ended()
        if order.is_distributed:
            code = code_of_all(code, exit_codes(codes))
        return code if code >= 0 else _KILLED - code

    def _store(self) -> Result:
        """Store the output, then the result; where another pod was first, its result stays.

        Raises:
            InputError: the stage ended well, and its output is not whole.
            StorageError: storage does not take it.
        """
        task, folder = self.order.task, self._place(OUTPUT[self.order.task.stage])
        self.progress.entered("storing")
        manifest = check_output(task.stage, folder)
        out = patiently(lambda: self.remote.put(folder), self.pause)
        result = result_of(task.stage, folder, manifest, out)
        key, data = result_key(task.prefix), result.model_dump_json(indent=2).encode()
        record = folder.with_name(f"{folder.name}.record.json")
        if record.is_file():
            side = f"{attempt_prefix(task.prefix, self.order.pod)}/record.json"
            patiently(lambda: self.storage.write(side, record.read_bytes()), self.pause)
        if patiently(lambda: self.storage.write_new(key, data), self.pause):
            return result
        first = parse_result(patiently(lambda: self.storage.read(key), self.pause), self.storage.uri(key))
        if first.out != out:
            self.say(f"another pod was first, and its output {first.out} stays; this one made {out}")
        return first

    def _checkpoint_is_stored(self) -> bool:
        """Whether the newest checkpoint is in storage; where training had no time to copy it, it is copied now."""
        if self.order.params.runs.checkpoints.to_storage == "never":
            return False
        made = sorted(self.order.runs.glob(f"*/step-*/{MANIFEST}"), key=lambda path: path.stat().st_mtime)
        if not made:
            return False
        folder = made[-1].parent
        try:
            self.storage.put_folder(folder, f"runs/{folder.parent.name}/{folder.name}", last=MANIFEST)
        except SerinError as error:
            self.say(f"the last checkpoint could not be copied to storage ({error})")
            return False
        return True

    def _why(self, code: int) -> str:
        """What to tell of an exit code."""
        said = last_words(self.tail.text())
        if code <= _KILLED:
            return said
        name = Signals(code - _KILLED).name if code - _KILLED in set(Signals) else str(code - _KILLED)
        found = read_memory()
        if self.signs.killed_for_memory and found is not None:
            return f"killed for want of memory, of which it may take {found.limit_bytes / 2**30:.1f} GiB; it said last: {said}"
        return f"killed by {name}; it said last: {said}"

    def _place(self, word: Word) -> Path:
        return self.order.work / "model" if word == "model" else self.order.work / "artifacts" / word
