"""Personal data is found by shape and checksum, per type; what only looks like it is left alone."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin.core import personal_data
from serin.core.params import PersonalDataParams
from serin.core.personal_data import PersonalDataFinder, is_card_number, is_resident_id

FINDER = PersonalDataFinder(PersonalDataParams())


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Write to Li.Wei+x@mail.example.co.uk.", "Write to [EMAIL]."),
        ("我的邮箱是wang@example.cn，谢谢", "我的邮箱是[EMAIL]，谢谢"),
        ("抄送müller@straße.de和店长。", "抄送[EMAIL]和店长。"),
        ("请求来自2a00:1450:4001:80b::200e。", "请求来自[IP_ADDRESS]。"),
        ("(Tel. +49 170 1234567)", "(Tel. [PHONE])"),
        ("+4915171508315", "[PHONE]"),
        ("Das Passwort ist X1abcdef, Passwort: Y2abcdef", "Das Passwort ist [SECRET], Passwort: [SECRET]"),
        ("Call +49 170 1234567 or +1 (415) 555-2671!", "Call [PHONE] or [PHONE]!"),
        ("打13800138000或138-0013-8000或+86 138 0013 8000", "打[PHONE]或[PHONE]或[PHONE]"),
        ("00491701234567", "[PHONE]"),
        ("身份证11010519491231002X。", "身份证[RESIDENT_ID]。"),
        ("card 4111 1111 1111 1111 12/27, cvc 123", "card [BANK_CARD] 12/27, cvc 123"),
        (
            "银联6222021234567890128",
            "银联[BANK_CARD]" if is_card_number("6222021234567890128") else "银联6222021234567890128",
        ),
        ("IBAN DE89 3704 0044 0532 0130 00 AND more", "IBAN [IBAN] AND more"),
        ("GB82WEST12345698765432", "[IBAN]"),
        ("from 8.8.8.8 and 2001:4860:4860::8888.", "from [IP_ADDRESS] and [IP_ADDRESS]."),
        ("key sk-abcdEFGH1234567890abcdefXYZ ok", "key [SECRET] ok"),
        ("ghp_" + "aB3" * 12, "[SECRET]"),
        ("AKIAIOSFODNN7EXAMPLE", "[SECRET]"),
        ("the password is hunter2x, remember", "the password is [SECRET], remember"),
        ('"api_key": "9f8e7d6c5b"', '"api_key": "9f8e7d6c5b"'),
        ("api_key=9f8e7d6c5b", "api_key=[SECRET]"),
        ("密码是abc12345。", "密码是[SECRET]。"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "[SECRET]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcDEF123456789", "[SECRET]"),
    ],
)
def test_each_type_is_replaced_by_its_placeholder(text: str, redacted: str) -> None:
    assert FINDER.find(text)[0] == redacted


@pytest.mark.parametrize(
    "text",
    [
        "The order 4111111111111112 of 2024-01-15 10:00:00 costs 12,345,678.00",
        "id 110105194912310021 and 999999999999999999",
        "DE89370400440532013001",
        "Version 2.14.0.1, chapter 1.2.3, host 192.168.1.10, 127.0.0.1, 203.0.113.7 and fe80::1",
        "ISBN 978-3-16-148410-0, call us at 10:20:30",
        "Reset your password: click the link. My secret is safe.",
        "The token is a word; the api key is missing.",
        "user@localhost and @handle and a@b",
        "120000000000 cells, 1.5e10, +5 and +12 %",
        "skating-on-thin-ice-is-dangerous-for-all",
    ],
)
def test_what_only_looks_like_personal_data_is_left_alone(text: str) -> None:
    assert FINDER.find(text) == (text, {})


def test_each_type_has_an_action_of_its_own() -> None:
    params = PersonalDataParams(email="report", phone="ignore", secret="drop")
    text, found = PersonalDataFinder(params).find("a.b@example.com 13800138000 AKIAIOSFODNN7EXAMPLE 8.8.8.8")
    assert text == "a.b@example.com 13800138000 AKIAIOSFODNN7EXAMPLE [IP_ADDRESS]"
    assert found == {"EMAIL": 1, "SECRET": 1, "IP_ADDRESS": 1}


def test_a_value_is_redacted_all_the_way_down() -> None:
    value = {"to": ["a.b@example.com", {"n": 1, "t": "8.8.8.8"}], "none": None}
    assert FINDER.redact_value(value) == {"to": ["[EMAIL]", {"n": 1, "t": "[IP_ADDRESS]"}], "none": None}


def test_checksums_tell_one_wrong_digit() -> None:
    good = "11010519491231002X"
    assert is_resident_id(good)
    assert not any(is_resident_id(str(d) + good[1:]) for d in range(10) if str(d) != good[0])
    assert is_card_number("5500 0000 0000 0004")
    assert not any(is_card_number(f"550000000000000{d}") for d in range(10) if d != 4)


@given(st.text("0123456789+-86 ().@:ab", max_size=40))
def test_what_was_redacted_holds_nothing_more_to_redact(text: str) -> None:
    once, _ = FINDER.find(text)
    twice, _ = FINDER.find(once)
    assert twice == once


@given(st.lists(st.sampled_from(["+", "86", "00", "138", "0013", "8000", " ", "-", "5", "x"]), max_size=10))
def test_a_screen_never_hides_what_its_pattern_would_find(parts: list[str]) -> None:
    text = "".join(parts)
    for kind in personal_data._KINDS:
        if any(kind.confirmed(match.group()) for match in kind.pattern.finditer(text)):
            assert kind.screen(text)


def test_the_screens_let_every_known_key_through() -> None:
    draw = random.Random(5)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    for start, length in (
        ("sk-", 40),
        ("ghp_", 36),
        ("gho_", 36),
        ("hf_", 34),
        ("xoxb-", 24),
        ("sk_live_", 24),
        ("npm_", 36),
        ("ghu_", 36),
        ("ghs_", 36),
        ("ghr_", 36),
        ("github_pat_", 40),
        ("glpat-", 24),
        ("rk_test_", 24),
        ("pypi-", 48),
        ("LTAI", 16),
        ("AKID", 32),
        ("sk-proj-", 40),
    ):
        key = start + "".join(draw.choices(letters, k=length))
        assert FINDER.find(f"use {key} now")[0] == "use [SECRET] now"
    assert re.fullmatch(r"\[SECRET\]", FINDER.find("AIza" + "a1B2c" * 7)[0])
