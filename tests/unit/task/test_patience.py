"""What is tried again, and what is not."""

import pytest

from serin.clients.storage.faults import ForbiddenError, NoBucketError
from serin.core.errors import ConfigError, SerinError, StorageError
from serin.task.patience import patiently


class Acts:
    """Fails with these errors, one after the other, and then succeeds."""

    def __init__(self, *errors: SerinError) -> None:
        self.errors = list(errors)

    def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_storage_that_comes_back_is_waited_for() -> None:
    paused: list[float] = []
    assert patiently(Acts(*[StorageError("away")] * 4), paused.append) == "done"
    assert paused == sorted(paused)
    assert sum(paused) > 60  # a storage server takes about a minute to start again


@pytest.mark.parametrize("error", [ForbiddenError("no"), NoBucketError("none"), ConfigError("not there")])
def test_what_waiting_does_not_mend_is_raised_at_once(error: SerinError) -> None:
    paused: list[float] = []
    with pytest.raises(type(error)):
        patiently(Acts(error), paused.append)
    assert paused == []


def test_in_the_end_it_is_raised() -> None:
    with pytest.raises(StorageError, match="still away"):
        patiently(Acts(*[StorageError("still away")] * 100), lambda _: None)
