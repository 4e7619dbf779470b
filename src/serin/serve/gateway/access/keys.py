"""API keys: what a file of them says, and whose a presented key is.

A key is 256 random bits, so nobody finds one by trying hashes, and a plain SHA-256 keeps it secret at rest; slow hashes
(bcrypt, Argon2) protect what people invent, and would cost every request their time.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Scope = Literal["inference", "feedback", "override", "admin"]
"""inference: ask models; feedback: score answers; override: choose the revision; admin: see and drain the gateway."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
_ALL_SCOPES = frozenset(SCOPES)
_PREFIX = "serin"
_ID_BYTES = 6
_SECRET_BYTES = 32


class Limits(BaseModel):
    """What one key may use; None is without limit. Over a minute, all replicas together keep within 10 % of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Prompt and answer together."""
    max_in_flight: int | None = Field(default=None, ge=1)
    """Requests at a time; each gateway replica lets its share of them through, at least one."""
    max_body_bytes: int | None = Field(default=None, ge=1)
    """Longest request, where it is less than the gateway's own limit."""
    max_output_tokens: int | None = Field(default=None, ge=1)
    """Longest answer that may be asked for; where a request asks for no length, this one is asked for."""


_NO_LIMITS = Limits()


class ApiKey(BaseModel):
    """One key, without its secret."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[0-9a-f]{12}$")
    name: str = Field(min_length=1, max_length=100)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: frozenset[Scope] = Field(min_length=1)
    limits: Limits = Limits()
    created: AwareDatetime
    expires: AwareDatetime | None = None


class Keys(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: tuple[ApiKey, ...] = ()

    def with_key(self, key: ApiKey) -> "Keys":
        """These and one more."""
        return Keys(keys=(*self.keys, key))

    def without(self, key_id: str) -> "Keys":
        """These without one."""
        return Keys(keys=tuple(key for key in self.keys if key.id != key_id))


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request. ``key`` is None where the gateway runs without keys: then everything is allowed."""

    key: ApiKey | None = None

    @property
    def key_id(self) -> str | None:
        """What logs and metrics may say of it."""
        return None if self.key is None else self.key.id

    @property
    def scopes(self) -> frozenset[Scope]:
        """What it may do."""
        return _ALL_SCOPES if self.key is None else self.key.scopes

    @property
    def limits(self) -> Limits:
        """What it may use."""
        return _NO_LIMITS if self.key is None else self.key.limits


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys by their hash."""

    by_hash: dict[str, ApiKey] = field(default_factory=dict)

    @classmethod
    def of(cls, keys: Keys) -> "KeyRing":
        """The ring of what a file holds."""
        return cls({key.sha256: key for key in keys.keys})

    def find(self, presented: str, now: datetime) -> ApiKey | None:
        """The key that was presented, or None where it is unknown or over.

        The work does not depend on how much of a key is right: it is hashed whole, and what is then looked up tells
        nothing about the key.
        """
        digest = hash_of(presented)
        key = self.by_hash.get(digest)
        if key is None or not hmac.compare_digest(key.sha256, digest):
            return None
        return key if key.expires is None or now < key.expires else None


def hash_of(key: str) -> str:
    """SHA-256 of a key, as hex."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def new_key(
    name: str, scopes: Sequence[Scope], limits: Limits, created: datetime, expires: datetime | None
) -> tuple[str, ApiKey]:
    """A key as its owner gets it, once, and as the file keeps it."""
    key_id = secrets.token_hex(_ID_BYTES)
    text = f"{_PREFIX}-{key_id}-{secrets.token_urlsafe(_SECRET_BYTES)}"
    kept = ApiKey(
        id=key_id,
        name=name,
        sha256=hash_of(text),
        scopes=frozenset(scopes),
        limits=limits,
        created=created,
        expires=expires,
    )
    return text, kept
