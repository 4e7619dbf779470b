"""Request ids that carry what feedback needs, signed, so that the gateway remembers nothing.

``<nonce>.<payload>.<signature>``: the payload is base64url JSON, the signature HMAC-SHA256 (RFC 2104) cut to 128 bits.
"""

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, fields

import orjson

from serin.core.errors import InputError

_SIGNATURE_BYTES = 16


@dataclass(frozen=True, slots=True)
class RequestIdentity:
    """One request: ``nonce`` names it; ``unit`` is a keyed hash; ``weight`` is the canary's at assignment.

    ``rollout`` is None where no rollout ran, or where the client chose the revision itself.
    """

    nonce: str
    revision: str
    unit: str
    arm: str
    weight: float
    rollout: str | None
    assigned_t: float
    failover: bool = False


_PAYLOAD = tuple(member.name for member in fields(RequestIdentity) if member.name != "nonce")


class ForgedIdError(InputError):
    """A request id whose signature is not this gateway's."""


def unit_hash(unit: str, secret: bytes) -> str:
    """A unit's pseudonym, 128 bits as hex: equal over requests and restarts, and not to be guessed back."""
    return hmac.digest(secret, b"unit\x00" + unit.encode(), "sha256").hex()[:32]


def sign(identity: RequestIdentity, secret: bytes) -> str:
    """The request id that goes to the client."""
    payload = {name: getattr(identity, name) for name in _PAYLOAD}
    body = f"{identity.nonce}.{_encode(orjson.dumps(payload))}"
    return f"{body}.{_encode(_signature(body, secret))}"


def verify(request_id: str, secrets: Sequence[bytes]) -> RequestIdentity:
    """Read an id back.

    Raises:
        ForgedIdError: it looks like an id, and was signed with none of ``secrets``.
        InputError: it does not look like an id.
    """
    body, _, signature = request_id.rpartition(".")
    nonce, _, payload = body.partition(".")
    if not (nonce and payload and signature and request_id.isascii()):
        raise InputError("request_id is not one: send the answer's x-request-id header as it came")
    # Compared as text: several texts decode to the same bytes, and only one of them was given out.
    if not any(hmac.compare_digest(signature, _encode(_signature(body, secret))) for secret in secrets):
        raise ForgedIdError("request_id was not signed by this gateway: send the answer's x-request-id as it came")
    try:
        return RequestIdentity(nonce=nonce, **orjson.loads(_decode(payload)))
    except TypeError as error:
        raise InputError("request_id comes from another version of the gateway, and says other things") from error


def _signature(body: str, secret: bytes) -> bytes:
    return hmac.digest(secret, b"request\x00" + body.encode(), "sha256")[:_SIGNATURE_BYTES]


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
