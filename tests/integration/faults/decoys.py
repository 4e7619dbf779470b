"""Sentences that look as if something were wrong with them, and are as they should be."""

import random
import string
from collections.abc import Mapping

from . import private
from .private import Draw, digits, in_fours

_LETTERS = (
    "“so-called”|naïve|São Paulo|Škoda|Łódź|Ångström|20 °C|±5 %|½ inch|8×8|…|it’s|Ñandú|«quoted»|Œuvre|‘single’|→ Menu|•|"
    "€ 5|façade|ÜBERGRÖSSE|ÉTÉ|👩\u200d🔧|👍🏽|™|ﷺ|नमस्ते|می\u200cخواهم"
)
_WORDS_FOR_SECRETS = (
    "password: none so far|password reset|secret: see the manual|API key|token_count = 12|sk-short|"
    "the password is not accepted"
)


def _may_be_a_card(text: str) -> bool:
    """Whether groups of digits in ``text``, read on from one of them, pass Luhn's check in the length of a card."""
    groups = "".join(c if c.isdigit() else " " for c in text).split()
    runs = ["".join(groups[i:j]) for i in range(len(groups)) for j in range(i + 1, len(groups) + 1)]
    return any(13 <= len(run) <= 19 and private.luhn_sum(run) % 10 == 0 for run in runs)


def _no_card(draw: Draw) -> Draw:
    """One number in ten passes Luhn's check by chance: it would be a card for anyone who looks."""

    def drawn(chance: random.Random) -> str:
        while _may_be_a_card(value := draw(chance)):
            pass
        return value

    return drawn


def _wrong_resident_id(chance: random.Random) -> str:
    right = private.resident_id(chance)
    return right[:-1] + chance.choice([c for c in "0123456789X" if c != right[-1]])


def _order_of_16_digits(chance: random.Random) -> str:
    number = chance.choice("456") + digits(chance, 15)
    return chance.choice((number, in_fours(number)))


def _wrong_iban(chance: random.Random) -> str:
    right = private.iban(chance).replace(" ", "")
    wrong = f"{right[:2]}{(int(right[2:4]) + chance.randint(1, 80)) % 97:02}{right[4:]}"
    return chance.choice((wrong, in_fours(wrong)))


def _version(chance: random.Random) -> str:
    a, b, c, d = (chance.randint(0, 40) for _ in range(4))
    forms = (f"{a}.{b}.{c}", f"v{a}.{b}.{c}.{d}", f"{a}.{b}.{1000 + c}.{d}", f"version {a}.{b}.{c}.{d}")
    return chance.choice(forms)


def _private_address(chance: random.Random) -> str:
    a, b = chance.randint(0, 255), chance.randint(1, 254)
    return chance.choice(
        (
            f"192.168.{a}.{b}",
            f"10.{a}.{b}.1",
            f"172.{chance.randint(16, 31)}.{a}.{b}",
            "127.0.0.1",
            f"fe80::{a:x}:{b:x}",
        )
    )


def _isbn(chance: random.Random) -> str:
    head = "978" + digits(chance, 9)
    number = head + str(-sum(int(d) * (1 + 2 * (i % 2)) for i, d in enumerate(head)) % 10)
    return f"{number[:3]}-{number[3]}-{number[4:7]}-{number[7:12]}-{number[12]}"


def _order(chance: random.Random) -> str:
    return chance.choice(
        (
            f"SO-{chance.randint(2019, 2024)}-{digits(chance, 6)}",
            f"#{digits(chance, 6)}",
            f"1Z{digits(chance, 9)}X{digits(chance, 6)}",
        )
    )


def _date(chance: random.Random) -> str:
    year, month, day = chance.randint(2015, 2024), chance.randint(1, 12), chance.randint(1, 28)
    hour, minute = chance.randint(0, 23), chance.randint(0, 59)
    return chance.choice(
        (
            f"{year}-{month:02}-{day:02} {hour:02}:{minute:02}:07",
            f"{day:02}.{month:02}.{year}",
            f"{year}{month:02}{day:02}{hour:02}{minute:02}",
        )
    )


def _price(chance: random.Random) -> str:
    whole, cents = chance.randint(1, 9), chance.randint(0, 99)
    return chance.choice(
        (
            f"{whole},{digits(chance, 3)}.{cents:02} €",
            f"¥{digits(chance, 4)}.{cents:02}",
            f"£{digits(chance, 3)}.{cents:02}",
        )
    )


def _comparison(chance: random.Random) -> str:
    a, b = chance.sample("abijnpqsu", 2)
    n, m = chance.randint(1, 99), chance.randint(1, 99)
    return chance.choice(
        (
            f"{a} < {b}",
            f"{a} < {n} && {b} > {m}",
            f"{a}<{n} or {b}>{m}",
            f"{n} < {m} <= {m + 1}",
            "List<T>",
            "Map<K, V>",
            f"if {a}<{b} and {b}>{n}",
        )
    )


def _code(chance: random.Random) -> str:
    tag, name = chance.choice(("p", "div", "span", "br", "li", "b")), private.syllables(chance)
    block = f"\n```html\n<{tag}>\n    {name}  = 1\n\n\n    <br>\n</{tag}>\n```\n"
    return chance.choice((f"`<{tag}>`", f'`<{tag} class="{name}">`', "`a&nbsp;b`", f"the HTML tag <{tag}>", block))


def _hash(chance: random.Random) -> str:
    def some(count: int) -> str:
        return "".join(chance.choices("0123456789abcdef", k=count))

    mac = ":".join(some(2).upper() for _ in range(6))
    return chance.choice((some(40), "-".join(map(some, (8, 4, 4, 4, 12))), mac))


def _imei(chance: random.Random) -> str:
    head = "35" + "".join(chance.choices(string.digits, k=12))
    return head + str(-private.luhn_sum(head + "0") % 10)


def _letters(chance: random.Random) -> str:
    return chance.choice(_LETTERS.split("|"))


def _words_for_secrets(chance: random.Random) -> str:
    return chance.choice(_WORDS_FOR_SECRETS.split("|"))


def _handle(chance: random.Random) -> str:
    name = private.syllables(chance)
    return chance.choice((f"@{name}", f"root@{name}", f"@{name}/core@1.{chance.randint(0, 40)}.0", f"{name} @ 5 €"))


DECOYS: Mapping[str, Draw] = {
    "wrong_resident_id": _no_card(_wrong_resident_id),
    "order_of_16_digits": _no_card(_order_of_16_digits),
    "wrong_iban": _no_card(_wrong_iban),
    "version": _version,
    "private_address": _private_address,
    "isbn": _no_card(_isbn),
    "order": _no_card(_order),
    "date": _date,
    "price": _price,
    "comparison": _comparison,
    "code": _code,
    "hash": _no_card(_hash),
    "imei": _imei,
    "letters": _letters,
    "words_for_secrets": _words_for_secrets,
    "handle": _handle,
}
"""By name, how each is drawn."""

CARRIERS: Mapping[str, tuple[str, ...]] = {
    "en": (
        "The leaflet also mentions {} in small print.",
        "On the label I read {} and nothing else.",
        "Below it says {}",
    ),
    "zh": ("说明书上还印着{}这样的字样。", "标签上写着{}。", "下面写着：{}"),
    "de": (
        "Im Beiblatt steht außerdem {} klein gedruckt.",
        "Auf dem Etikett lese ich {} und sonst nichts.",
        "Darunter steht {}",
    ),
}
"""Sentences that hold any of them, by language."""
