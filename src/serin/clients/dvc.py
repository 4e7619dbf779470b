"""DVC's command line, run in the repository."""

import subprocess
import sys
from pathlib import Path

from serin.core.errors import ConfigError
from serin.core.params import StorageParams

REMOTE = "serin"


def set_remote(repository: Path, storage: StorageParams) -> str:
    """Write the default remote ``<storage>/dvc`` into ``.dvc/config.local``, and return its address.

    Raises:
        ConfigError: the folder is no DVC repository, or DVC refused the address.
    """
    url = f"{storage.url.rstrip('/')}/dvc"
    if "://" not in storage.url:
        url = str((repository / url).absolute())
    run_dvc(repository, "remote", "add", "--local", "--force", "--default", REMOTE, url)
    if storage.endpoint_url:
        run_dvc(repository, "remote", "modify", "--local", REMOTE, "endpointurl", storage.endpoint_url)
    return url


def run_dvc(repository: Path, *arguments: str) -> str:
    """Run ``dvc`` and return what it printed. Raises ConfigError with DVC's own words where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=repository, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ConfigError(f"dvc {' '.join(arguments)} in {repository}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
