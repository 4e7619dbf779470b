"""Tasks side by side, with a bound on how many wait."""

import queue
import threading
from collections.abc import Callable
from types import TracebackType

Task = Callable[[], None]


class Lanes:
    """A few threads that work off tasks. ``run`` blocks while all are busy, so what tasks hold in memory is bounded.

    The first failure stops everything: later tasks are dropped, and it is raised by ``run`` or where the block ends, once no
    thread works any more. The threads are daemons, since a process that must end cannot wait for a server that stalls.
    """

    def __init__(self, count: int) -> None:
        self._tasks: queue.Queue[Task | None] = queue.Queue(maxsize=1)
        self._failure: BaseException | None = None
        self._threads = [threading.Thread(target=self._work, name=f"storage-{i}", daemon=True) for i in range(count)]

    def __enter__(self) -> "Lanes":
        for thread in self._threads:
            thread.start()
        return self

    def run(self, task: Task) -> None:
        """Have ``task`` done soon. Raises what an earlier one failed with."""
        if self._failure is not None:
            raise self._failure
        self._tasks.put(task)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._failure = self._failure or error
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()
        if self._failure is not None and error is None:
            raise self._failure

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            if self._failure is not None:
                continue
            try:
                task()
            except BaseException as error:  # the thread that gave the task raises it
                self._failure = self._failure or error
