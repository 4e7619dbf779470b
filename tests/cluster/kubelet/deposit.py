"""Folders in the DVC remote's layout, as small as they can be, so that a pod of the stand-in leaves what others can fetch."""

import hashlib
import json
from collections.abc import Mapping

from serin.clients.storage import Storage


def deposit(storage: Storage, files: Mapping[str, bytes]) -> str:
    """Put a folder into ``<storage>/dvc``; its DVC hash."""
    listing = []
    for relpath, data in sorted(files.items()):
        digest = hashlib.md5(data).hexdigest()
        storage.write(f"dvc/files/md5/{digest[:2]}/{digest[2:]}", data)
        listing.append({"md5": digest, "relpath": relpath})
    body = json.dumps(listing, sort_keys=True).encode()
    digest = hashlib.md5(body).hexdigest()
    storage.write(f"dvc/files/md5/{digest[:2]}/{digest[2:]}.dir", body)
    return f"{digest}.dir"
