import string

import pytest

from serin.core.errors import InputError
from serin.serve.gateway.request_id import ForgedIdError, RequestIdentity, _encode, _signature, sign, verify

SECRET = b"k" * 32
IDENTITY = RequestIdentity(
    nonce="n0nce", revision="law-qa@3f9a1c20", unit="u" * 32, arm="canary", weight=0.05, rollout="r", assigned_t=1.5
)


def test_what_was_signed_is_read_back() -> None:
    assert verify(sign(IDENTITY, SECRET), [SECRET]) == IDENTITY


def test_every_change_of_one_character_is_refused() -> None:
    given = sign(IDENTITY, SECRET)
    for place, character in enumerate(given):
        for other in string.ascii_letters + string.digits + "-_.=":
            if other != character:
                with pytest.raises(InputError):
                    verify(given[:place] + other + given[place + 1 :], [SECRET])


def test_another_gateways_id_is_forged() -> None:
    with pytest.raises(ForgedIdError, match="was not signed by this gateway"):
        verify(sign(IDENTITY, b"other" * 8), [SECRET, b"before" * 8])


@pytest.mark.parametrize("text", ["", "nonsense", "a.b", "é.b.c", ".."])
def test_what_is_no_id_is_said_to_be_none(text: str) -> None:
    with pytest.raises(InputError, match="request_id is not one"):
        verify(text, [SECRET])


def test_ids_of_the_key_before_are_taken_until_it_is_dropped() -> None:
    before = b"before" * 8
    given = sign(IDENTITY, before)
    assert verify(given, [SECRET, before]) == IDENTITY
    with pytest.raises(ForgedIdError):
        verify(given, [SECRET])


def test_an_id_of_another_version_is_no_crash() -> None:
    body = f"n.{_encode(b'{}')}"
    with pytest.raises(InputError, match="another version"):
        verify(f"{body}.{_encode(_signature(body, SECRET))}", [SECRET])
