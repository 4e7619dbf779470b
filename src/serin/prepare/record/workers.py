"""Chunks examined by several processes, given back in reading order."""

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from serin.clients.workers import end_with_parent
from serin.core.errors import FinalError
from serin.core.params import PrepareParams
from serin.prepare.record.examine import Chunk, Examined, Examiner

_AHEAD_A_WORKER = 3

_examiner: Examiner | None = None


def examine_all(chunks: Iterable[Chunk], examiner: Examiner, workers: int) -> Iterator[Examined]:
    """Examine chunks in ``workers`` processes like ``examiner``, or by it where ``workers`` is below 2; the order stays.

    Only a few chunks a worker are under way at once, so that memory does not grow with the input.

    Raises:
        FinalError: a worker was killed, as by the system when memory ran out.
    """
    if workers < 2:
        for chunk in chunks:
            yield examiner.examine(chunk)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _start, (examiner.params, examiner.base))
    waiting: deque[Future[Examined]] = deque()
    try:
        for chunk in chunks:
            waiting.append(pool.submit(_examine, chunk))
            if len(waiting) >= workers * _AHEAD_A_WORKER:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise FinalError(
            "a process that examined records was killed, perhaps for want of memory: lower prepare.workers and run again"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start(params: PrepareParams, base: Path | None) -> None:
    global _examiner
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    end_with_parent()
    _examiner = Examiner(params, base)


def _examine(chunk: Chunk) -> Examined:
    assert _examiner is not None
    return _examiner.examine(chunk)
