"""Writing weights: safetensors reports a full disk as an error of its own, which no caller expects."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from serin.core.errors import StorageError


@contextmanager
def writing_weights(folder: Path) -> Iterator[None]:
    """Around whatever writes ``*.safetensors`` to ``folder``. Raises StorageError where the bytes could not be written."""
    try:
        yield
    except SafetensorError as error:
        raise StorageError(
            f"the weights could not be written to {folder} ({error}): free some space, and run the command again"
        ) from error
