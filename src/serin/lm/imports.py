"""The first imports of two libraries, without what they fetch and Serin never uses: over a third of what a stage takes to start.

bitsandbytes hands functions to ``torch.compile`` as it is imported, and that imports torch's whole compiler; what it would
compile is for devices without kernels of bitsandbytes' own. transformers imports scikit-learn, pandas and SciPy, where they are
installed, for one curve of assisted generation, and SciPy for the loss of finding objects in pictures.
"""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_UNCOMPILED = "TORCHDYNAMO_DISABLE"  # torch/_dynamo/eval_frame.py
_HIDDEN = ("sklearn", "scipy")


def import_libraries() -> None:
    """Import them, unless that has been done; environment and modules are afterwards what they were."""
    with _uncompiled(), _hidden():
        importlib.import_module("transformers.generation.candidate_generator")
        importlib.import_module("transformers.loss.loss_utils")
        importlib.import_module("bitsandbytes")


@contextmanager
def _uncompiled() -> Iterator[None]:
    before = os.environ.get(_UNCOMPILED)
    os.environ[_UNCOMPILED] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_UNCOMPILED]
        else:
            os.environ[_UNCOMPILED] = before


@contextmanager
def _hidden() -> Iterator[None]:
    hidden = [name for name in _HIDDEN if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's own way to say that a module cannot be imported
    _look_again()
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        _look_again()


def _look_again() -> None:
    """Let transformers look whether SciPy can be imported: it has looked when it was imported itself, and remembers."""
    from transformers.utils.import_utils import is_scipy_available

    is_scipy_available.cache_clear()
