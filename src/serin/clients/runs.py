"""Where work in progress is kept between attempts: outside every output, and whatever the working directory is."""

from collections.abc import Mapping
from pathlib import Path


def runs_folder(environment: Mapping[str, str]) -> Path:
    """What SERIN_RUNS names, or a folder in the user's cache."""
    if "SERIN_RUNS" in environment:
        return Path(environment["SERIN_RUNS"])
    cache = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME", "~")).expanduser() / ".cache"
    return Path(cache) / "serin" / "runs"
