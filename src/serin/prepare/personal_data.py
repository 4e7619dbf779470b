"""Personal data in text: found by shape, confirmed by checksum where there is one, replaced by typed placeholders."""

import re
from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Any

_EMAIL = re.compile(r"(?<![\w.+-])[A-Za-z0-9_.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9-])")
_RESIDENT_ID = re.compile(r"(?<![0-9A-Za-z])[1-9]\d{16}[0-9Xx](?![0-9A-Za-z])", re.ASCII)
_CARD = re.compile(r"(?<![\d.])[3-6](?:[ -]?\d){12,18}(?![\d])", re.ASCII)
_CHINESE_MOBILE = re.compile(
    r"(?<![\d+])(?:(?:\+|00)?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?!\d)|"
    r"\+86[ -]?1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?!\d)",
    re.ASCII,
)
_INTERNATIONAL = re.compile(r"(?<![\w+])\+[1-9]\d{0,2}(?:[ .-]?\(?\d{1,4}\)?){2,6}(?!\d)", re.ASCII)

# GB 11643-1999 (ISO 7064 MOD 11-2): weights of the first 17 digits, and the check character of each remainder.
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
# ITU-T E.164 allows 15 digits; fewer than 8 with a country code is no subscriber's number.
_PHONE_DIGITS = range(8, 16)
_CARD_DIGITS = range(13, 20)


def is_resident_id(text: str) -> bool:
    """Whether 18 characters are a Chinese resident id: a real date of birth and the check character of GB 11643."""
    if len(text) != len(_WEIGHTS) + 1 or not text[:-1].isdecimal():
        return False
    try:
        born = date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    remainder = sum(int(digit) * weight for digit, weight in zip(text[:-1], _WEIGHTS, strict=True)) % 11
    return born.year >= 1900 and _CHECKS[remainder] == text[-1].upper()


def is_card_number(text: str) -> bool:
    """Whether the digits of ``text`` are 13 to 19 and pass Luhn's check (ISO/IEC 7812-1)."""
    digits = [int(c) for c in text if c.isdecimal()]
    if len(digits) not in _CARD_DIGITS or len(set(digits)) == 1:
        return False
    doubled = (sum(divmod(2 * d, 10)) if i % 2 else d for i, d in enumerate(reversed(digits)))
    return sum(doubled) % 10 == 0


def _is_phone(text: str) -> bool:
    return sum(c.isdecimal() for c in text) in _PHONE_DIGITS


def _always(_: str) -> bool:
    return True


# In this order: a resident id or a card holds digits that a phone's pattern would take apart.
_KINDS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("EMAIL", _EMAIL, _always),
    ("RESIDENT_ID", _RESIDENT_ID, is_resident_id),
    ("BANK_CARD", _CARD, is_card_number),
    ("PHONE", _CHINESE_MOBILE, _always),
    ("PHONE", _INTERNATIONAL, _is_phone),
)


def redact(text: str) -> tuple[str, Counter[str]]:
    """The text with ``[EMAIL]``, ``[PHONE]``, ``[RESIDENT_ID]`` and ``[BANK_CARD]`` in place, and how many of each."""
    found: Counter[str] = Counter()
    for kind, pattern, confirmed in _KINDS:

        def replace(match: re.Match[str], kind: str = kind, confirmed: Callable[[str], bool] = confirmed) -> str:
            if not confirmed(match.group()):
                return match.group()
            found[kind] += 1
            return f"[{kind}]"

        text = pattern.sub(replace, text)
    return text, found


def redact_value(value: Any) -> Any:
    """A JSON value with every string in it redacted, keys as they are: what may be shown of a rejected record."""
    if isinstance(value, str):
        return redact(value)[0]
    if isinstance(value, list):
        return [redact_value(item) for item in value]
    if isinstance(value, dict):
        return {key: redact_value(item) for key, item in value.items()}
    return value
