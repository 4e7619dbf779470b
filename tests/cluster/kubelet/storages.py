"""Where the tasks of pods have their storage."""

from serin.clients.storage import Storage, open_storage
from serin.core.params import StorageParams
from serin.core.task import Task


class Storages:
    """What tasks' params name, opened once each."""

    def __init__(self) -> None:
        self._opened: dict[str, Storage] = {}

    def of(self, task: Task) -> Storage:
        """The storage of a task."""
        params = StorageParams.model_validate(task.params["storage"])
        key = params.model_dump_json()
        if key not in self._opened:
            self._opened[key] = open_storage(params)
        return self._opened[key]
