"""Processes that work for this one."""

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """To be called where a worker starts: it ends when its parent does, since it would wait for work forever otherwise."""
    threading.Thread(target=_wait_for_end, daemon=True).start()


def _wait_for_end() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
