"""Being told to stop, before, during and after the stage."""

import os
import signal
import sys
from pathlib import Path

import pytest

from serin.core.errors import FinalError
from serin.task.child import Child
from serin.task.stopping import Stopping


def start(folder: Path) -> Child:
    return Child([sys.executable, "-c", "import time; time.sleep(600)"], folder, os.environ, lambda _: None, folder)


def test_before_the_stage_it_ends_the_task() -> None:
    with pytest.raises(FinalError, match="stopped by SIGTERM before the stage began"), Stopping():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_the_stage_hears_it_also_where_it_came_while_the_stage_was_being_started(tmp_path: Path) -> None:
    with Stopping() as stopping:
        stopping.stage_begins()
        signal.raise_signal(signal.SIGTERM)
        child = start(tmp_path)
        stopping.stage_began(child)
        assert child.wait() == -signal.SIGTERM
        other = start(tmp_path)
        stopping.stage_ended()
        stopping.signal = None
        stopping.stage_began(other)
        signal.raise_signal(signal.SIGINT)
        assert other.wait() == -signal.SIGINT


def test_after_the_stage_what_it_has_done_is_stored_all_the_same() -> None:
    with Stopping() as stopping:
        stopping.stage_begins()
        stopping.stage_ended()
        signal.raise_signal(signal.SIGTERM)
        assert stopping.requested
