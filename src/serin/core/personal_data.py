"""Personal data in text: found by shape, confirmed by checksum where there is one, replaced by typed placeholders."""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any

from stdnum import iban

from serin.core.params import PersonalDataParams

# Letters of an address: of any script that puts blanks between words, since Chinese runs on right behind one.
_MAIL = r"[^\W\u2e80-\u9fff\uac00-\ud7af\uff00-\uffef]"
_EMAIL = re.compile(
    rf"(?<![.+-])(?<!{_MAIL})(?:{_MAIL}|[.+-]){{1,64}}@(?:{_MAIL}(?:(?:{_MAIL}|-){{0,61}}{_MAIL})?\.){{1,8}}"
    rf"(?:(?![\d_]){_MAIL}){{2,24}}(?!(?:{_MAIL}|-)*@)(?!{_MAIL}|-)"
)
_RESIDENT_ID = re.compile(r"(?<![0-9A-Za-z])[1-9]\d{16}[0-9Xx](?![0-9A-Za-z])", re.ASCII)
_CARD = re.compile(r"(?<![\w.+])[2-6](?:[ -]?\d){12,18}(?!\w)", re.ASCII)
# ``+86`` may stand anywhere; without the plus no digit or letter may come before it.
_CHINESE_MOBILE = re.compile(r"(?:\+86[ -]?|(?<![\w+])(?:(?:00)?86[ -]?)?)1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?!\w)", re.ASCII)
_INTERNATIONAL = re.compile(
    r"(?<![\w+])(?:\+|00(?=[1-9]\d{9}))[1-9]\d{0,2}(?:[ .-]?(?:\(\d{1,4}\)|\d{1,4})){2,6}(?!\d)", re.ASCII
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?![A-Za-z0-9])", re.ASCII)
# Four numbers behind one of these words are a version.
_IPV4 = re.compile(
    r"(?<![vV]ersion )(?<![rR]elease )(?<!版本)(?<!版本号)(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)", re.ASCII
)
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{3,45}(?![\w:])", re.ASCII)
# The forms that providers document for their keys, and what stands behind the word for a password.
_SECRET = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"sk-(?:proj-|ant-|or-)?[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|"
    r"(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{35}|hf_[A-Za-z0-9]{30,}|xox[abeoprs]-[\w-]{10,}|"
    r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|npm_[A-Za-z0-9]{36}|pypi-[\w-]{40,}|LTAI[A-Za-z0-9]{12,20}|AKID[A-Za-z0-9]{32}|"
    r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.ASCII,
)
_ASSIGNED = re.compile(
    r"(?P<name>(?<![A-Za-z])"
    r"(?:pass(?:wor[dt]|wd|phrase)|kennwort|mot de passe|contraseña|(?:api|access|secret|private)[ _-]?(?:key|token)"
    r"|(?:client[ _-])?secret|auth[ _-]?token|bearer)"
    r"(?:\s+(?:is|ist|est|es))?\s*(?:[:=]\s*|(?<=\bis)\s+|(?<=\bist)\s+|(?<=\best)\s+|(?<=\bes)\s+|(?<=earer)\s+)[\"']?"
    r"|(?:密码|口令|密钥)(?:是|为)?\s*[:：=]?\s*[\"']?)"
    r"(?P<secret>(?=[^\s\"',;，。；]*\d)(?=[^\s\"',;，。；]*[A-Za-z])[!-~]{6,}?)"
    r"(?=[\s\"',;，。；]|[.!?](?:\s|$)|$)",
    re.IGNORECASE,
)

# GB 11643-1999 (ISO 7064 MOD 11-2): weights of the first 17 digits, and the check character of each remainder.
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
# ITU-T E.164 allows 15 digits; fewer than 8 with a country code is no subscriber's number.
_PHONE_DIGITS = range(8, 16)
# Lengths that the networks issue, by the first digits (ISO/IEC 7812-1).
_CARD_LENGTHS = (
    (re.compile("3[47]"), (15,)),
    (re.compile("3(?:0[0-5]|[689])"), (14, 16, 19)),
    (re.compile("35"), (16,)),
    (re.compile("4"), (13, 16, 19)),
    (re.compile("2[2-7]|5[1-5]"), (16,)),
    (re.compile("6|5[06-8]"), (16, 17, 18, 19)),
)


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
    """Whether the digits of ``text`` are as many as a card network issues, and pass Luhn's check (ISO/IEC 7812-1)."""
    digits = [int(c) for c in text if c.isdecimal()]
    number = "".join(map(str, digits))
    if not any(start.match(number) and len(digits) in lengths for start, lengths in _CARD_LENGTHS):
        return False
    doubled = (sum(divmod(2 * d, 10)) if i % 2 else d for i, d in enumerate(reversed(digits)))
    return len(set(digits)) > 1 and sum(doubled) % 10 == 0


def is_public_address(text: str) -> bool:
    """Whether ``text`` is an IP address that the internet routes: others (private, loopback, documentation) name nobody."""
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def _is_phone(text: str) -> bool:
    return sum(c.isdecimal() for c in text.removeprefix("00")) in _PHONE_DIGITS


def _always(_: str) -> bool:
    return True


def _has_at(text: str) -> bool:
    return "@" in text


_maybe_number = re.compile(r"\d(?:[ ().-]{0,2}\d){6}", re.ASCII).search
_maybe_iban = re.compile(r"[A-Z][A-Z]\d\d", re.ASCII).search
_maybe_ipv4 = re.compile(r"\d\.\d{1,3}\.\d", re.ASCII).search


def _maybe_ipv6(text: str) -> bool:
    return text.count(":") >= 2


# Each form of _SECRET holds one of these; shorter ones ("gh") would stand in every other English text.
_KEY_PARTS = (
    *(
        "sk-",
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
        "glpat-",
        "AKIA",
        "ASIA",
        "AKID",
        "AIza",
        "hf_",
        "xox",
    ),
    *("k_live_", "k_test_", "npm_", "pypi-", "LTAI", "eyJ", "-----BEGIN"),
)
_NAME_PARTS = ("pass", "kennwort", "contrase", "key", "token", "secret", "bearer", "密", "口令")


def _maybe_key(text: str) -> bool:
    return any(part in text for part in _KEY_PARTS)


def _maybe_assigned(text: str) -> bool:
    lowered = text.lower()
    return any(part in lowered for part in _NAME_PARTS)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One shape of a type: a cheap screen that is never wrong about "no", the pattern, and what confirms a match."""

    type: str
    screen: Callable[[str], Any]
    pattern: re.Pattern[str]
    confirmed: Callable[[str], bool] = _always


# In this order: keys hold what looks like numbers, a resident id or a card holds digits that a phone's pattern would take.
_KINDS = (
    _Kind("SECRET", _maybe_key, _SECRET),
    _Kind("SECRET", _maybe_assigned, _ASSIGNED),
    _Kind("EMAIL", _has_at, _EMAIL),
    _Kind("IBAN", _maybe_iban, _IBAN, iban.is_valid),
    _Kind("IP_ADDRESS", _maybe_ipv4, _IPV4, is_public_address),
    _Kind("IP_ADDRESS", _maybe_ipv6, _IPV6, is_public_address),
    _Kind("RESIDENT_ID", _maybe_number, _RESIDENT_ID, is_resident_id),
    _Kind("BANK_CARD", _maybe_number, _CARD, is_card_number),
    _Kind("PHONE", _maybe_number, _CHINESE_MOBILE),
    _Kind("PHONE", _maybe_number, _INTERNATIONAL, _is_phone),
)
TYPES = tuple(dict.fromkeys(kind.type for kind in _KINDS))


class PersonalDataFinder:
    """Finds the types that params do not ignore, and replaces those that they redact by ``[TYPE]``."""

    def __init__(self, params: PersonalDataParams, also_redact: Collection[str] = ()) -> None:
        """``also_redact`` names actions whose types are replaced too: what is dropped must not be shown either."""
        self.actions: dict[str, str] = {type_: getattr(params, type_.lower()) for type_ in TYPES}
        self._redacted = {
            type_ for type_, action in self.actions.items() if action == "redact" or action in also_redact
        }
        kinds = [kind for kind in _KINDS if self.actions[kind.type] != "ignore"]
        self._screened = [(screen, list(group)) for screen, group in groupby(kinds, key=lambda kind: kind.screen)]

    def find(self, text: str) -> tuple[str, Counter[str]]:
        """The text with placeholders in place, and how often each type was found, redacted or not."""
        found: Counter[str] = Counter()
        before, text = text, self._pass(text, found)
        while text != before:  # what was redacted may have stood in the way of more
            more: Counter[str] = Counter()
            before, text = text, self._pass(text, more)
            found.update({type_: count for type_, count in more.items() if type_ in self._redacted})
        return text, found

    def redact_value(self, value: Any, found: Counter[str] | None = None) -> Any:
        """A JSON value redacted all the way down, keys as they are; what is found is added to ``found``.

        A whole number in which something is found becomes the placeholder.
        """
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            text, kinds = self.find(str(value))
            if found is not None:
                found.update(kinds)
            return text if isinstance(value, str) or text != str(value) else value
        if isinstance(value, list | tuple):
            return [self.redact_value(item, found) for item in value]
        if isinstance(value, dict):
            return {key: self.redact_value(item, found) for key, item in value.items()}
        return value

    def _pass(self, text: str, found: Counter[str]) -> str:
        for screen, kinds in self._screened:
            if screen(text):
                for kind in kinds:
                    text = self._replace(kind, text, found)
        return text

    def _replace(self, kind: _Kind, text: str, found: Counter[str]) -> str:
        def replaced(match: re.Match[str]) -> str:
            whole = match.group()
            name = match.groupdict().get("name", "")
            size = _confirmed_chars(whole[len(name) :], kind.confirmed)
            if not size:
                return whole
            found[kind.type] += 1
            return f"{name}[{kind.type}]{whole[len(name) + size :]}" if kind.type in self._redacted else whole

        return kind.pattern.sub(replaced, text)


def _confirmed_chars(text: str, confirmed: Callable[[str], bool]) -> int:
    """How much of a match is confirmed: all of it, or up to a blank, where another number may follow; 0 if nothing is."""
    end = len(text)
    while end > 0:
        if confirmed(text[:end]):
            return end
        end = text.rfind(" ", 0, end)
    return 0
