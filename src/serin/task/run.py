"""One task, from its inputs in storage to its result there: what ``serin task`` does.

In this order: a result that is there already ends it; inputs are fetched and compared; the stage runs; its output is stored,
then ``result.json``, then the container's last word is written. So a pod that is killed anywhere leaves nothing half-done, and
the next one goes on: training from the newest checkpoint in storage, the other stages from their beginning.
"""

import sys
import time
from collections.abc import Callable, Mapping

from serin.clients.storage import Storage, open_storage
from serin.clients.storage.faults import REFUSALS
from serin.core.errors import ConfigError, SerinError
from serin.core.task import Ending, Result, result_key
from serin.task.attempt import Attempt
from serin.task.ending import write_ending
from serin.task.order import read_order, termination_file
from serin.task.outcome import parse_result
from serin.task.patience import patiently
from serin.task.stopping import Stopping


def run(environment: Mapping[str, str], pause: Callable[[float], None] = time.sleep) -> int:
    """Do the task that the environment holds.

    Args:
        environment: see ``serin.task.order``, and ``serin.core.task`` for what SERIN_TASK holds; credentials for storage too.
        pause: how to wait before storage is tried again.

    Returns:
        The exit code: that of the stage, where its output is stored or, with 75, a new checkpoint is; else 1, or 78 where storage
        lacks an input or does not let the pod in.
    """
    try:
        ending = _do(environment, pause)
    except SerinError as error:
        print(f"serin: {error}", file=sys.stderr, flush=True)
        ending = Ending(exit_code=error.exit_code, message=str(error))
        write_ending(termination_file(environment), ending)
    return ending.exit_code


def _do(environment: Mapping[str, str], pause: Callable[[float], None]) -> Ending:
    with Stopping() as stopping:
        order = read_order(environment)
        storage = open_storage(order.params.storage)
        try:
            done = patiently(lambda: _read_result(storage, order.task.prefix), pause)
        except REFUSALS as error:
            raise ConfigError(
                f"{error} (the pod's ServiceAccount, or placement.secrets, gives it its credentials)"
            ) from error
        if done is None:
            return Attempt(order, storage, stopping, environment, pause).make()
        ending = Ending(exit_code=0, message=f"{order.task.stage} was done before: {done.out}", result=done)
        print(f"task: {ending.message}", file=sys.stderr, flush=True)
        write_ending(order.termination, ending)
        return ending


def _read_result(storage: Storage, prefix: str) -> Result | None:
    data, _ = storage.read_versioned(result_key(prefix))
    return None if data is None else parse_result(data, storage.uri(result_key(prefix)))
