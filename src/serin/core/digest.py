"""Identity by content: canonical JSON and SHA-256, so that the same thing has one digest on any day and machine."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def canonical_json(value: Any) -> bytes:
    """One byte string for one value: sorted keys, no spaces, UTF-8, no NaN (RFC 8785 in spirit)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_of_bytes(data: bytes) -> str:
    """SHA-256, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest_of(value: Any) -> str:
    """The digest of a JSON value."""
    return digest_of_bytes(canonical_json(value))


def digest_of_files(files: Mapping[str, str]) -> str:
    """The digest of a folder, from each relative path (with ``/``) to the digest of that file's bytes."""
    return digest_of(dict(files))
