"""Private values that are right in form and checksum, and sentences to say them in; all are drawn by chance."""

import base64
import ipaddress
import json
import random
import string
from collections.abc import Callable, Mapping

Draw = Callable[[random.Random], str]

_SYLLABLES = """
ba be bo da de do fa fi ga go ha he ka ki la le li lo ma me mi mo na ne no pa pe ra re ri ro sa se ta te to va ve
"""
_FIRST = """
anna ben carla david elena felix greta hannes ines jonas klara leon mei nina oskar paula qing rosa tom wei
yara
"""
_LAST = """
berg chen dahl engel fuchs garcia hansen ivanov jung keller lindner meyer novak olsen park roth schulz wang
zimmer
"""
_ENDINGS = """
com net org de at ch cn com.cn co.uk io shop info eu fr
"""
_AREAS = """
110105 120101 210202 310104 320106 330106 350203 370102 420106 440305 510107 530102 610113 650102
"""
_ALNUM = string.ascii_letters + string.digits
_BANKS = {"DE": "n18", "AT": "n16", "NL": "a4n10", "GB": "a4n14", "PL": "n24", "CH": "n17"}


def syllables(chance: random.Random, least: int = 2, most: int = 4) -> str:
    """An invented word."""
    return "".join(chance.choices(_SYLLABLES.split(), k=chance.randint(least, most)))


def digits(chance: random.Random, count: int) -> str:
    """That many digits, the first no zero."""
    return chance.choice("123456789") + "".join(chance.choices(string.digits, k=count - 1))


def in_fours(text: str, between: str = " ") -> str:
    """In groups of four characters."""
    return between.join(text[i : i + 4] for i in range(0, len(text), 4))


def email(chance: random.Random) -> str:
    first, last = chance.choice(_FIRST.split()), chance.choice(_LAST.split())
    local = chance.choice(
        (f"{first}.{last}", f"{first}{chance.randint(1, 99)}", f"{first[0]}_{last}", f"{first}+shop", f"{first}-{last}")
    )
    if chance.random() < 0.1:
        local = local.title()
    return f"{local}@{syllables(chance)}{chance.choice(('', '-' + syllables(chance, 1, 2)))}.{chance.choice(_ENDINGS.split())}"


def phone_international(chance: random.Random) -> str:
    def d(count: int) -> str:
        return digits(chance, count)

    return chance.choice(
        (
            f"+49 {chance.choice(('30', '40', '89'))} {d(7)}",
            f"+49 (0){chance.choice(('151', '170', '176'))} {d(7)}",
            f"+49{chance.choice(('151', '170', '176'))}{d(8)}",
            f"+1 ({chance.randint(201, 989)}) {chance.randint(200, 999)}-{d(4)}",
            f"+1-{chance.randint(201, 989)}-{chance.randint(200, 999)}-{d(4)}",
            f"+44 20 {d(4)} {d(4)}",
            f"+44 7{d(3)} {d(6)}",
            f"+33 6 {d(2)} {d(2)} {d(2)} {d(2)}",
            f"+41 79 {d(3)} {d(2)} {d(2)}",
            f"+65 9{d(3)} {d(4)}",
            f"+852 {d(4)} {d(4)}",
            f"+81 90-{d(4)}-{d(4)}",
        )
    )


def phone_chinese(chance: random.Random) -> str:
    head, middle, tail = f"1{chance.randint(3, 9)}{chance.randint(0, 9)}", digits(chance, 4), digits(chance, 4)
    number = chance.choice(("", "", " ", "-")).join((head, middle, tail))
    return chance.choice(("", "", "", "+86 ", "+86")) + number


def resident_id(chance: random.Random) -> str:
    """Area, date of birth, sequence and the check character of GB 11643 (ISO 7064 MOD 11-2)."""
    born = f"{chance.randint(1940, 2015)}{chance.randint(1, 12):02}{chance.randint(1, 28):02}"
    head = chance.choice(_AREAS.split()) + born + f"{chance.randint(1, 999):03}"
    return head + resident_check(head)


def resident_check(head: str) -> str:
    """The check character such that the digits, each times 2 to the power of its place from the right, make 1 mod 11."""
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(head))
    return "0123456789X"[(1 - total) % 11]


def luhn_sum(number: str) -> int:
    """The sum that Luhn's check wants to be a multiple of ten."""
    return sum(sum(map(int, str(int(d) * (1 + i % 2)))) for i, d in enumerate(reversed(number)))


def bank_card(chance: random.Random) -> str:
    start, length = chance.choice(
        (("4", 16), ("51", 16), ("55", 16), ("37", 15), ("6222", 16), ("6217", 19), ("62", 19))
    )
    head = start + "".join(chance.choices(string.digits, k=length - 1 - len(start)))
    number = head + str(-luhn_sum(head + "0") % 10)
    if length == 15:
        return chance.choice((number, f"{number[:4]} {number[4:10]} {number[10:]}"))
    return chance.choice((number, in_fours(number), in_fours(number, "-")))


def iban(chance: random.Random) -> str:
    """With the check digits of ISO 7064 MOD 97-10."""
    country, form = chance.choice(list(_BANKS.items()))
    bank = "".join(chance.choices(string.ascii_uppercase, k=4)) if form.startswith("a4") else ""
    account = bank + "".join(chance.choices(string.digits, k=int(form.rpartition("n")[2])))
    number = "".join(str(int(c, 36)) for c in f"{account}{country}00")
    whole = f"{country}{98 - int(number) % 97:02}{account}"
    return chance.choice((whole, in_fours(whole)))


def ipv4(chance: random.Random) -> str:
    while not (address := ipaddress.IPv4Address(chance.getrandbits(32))).is_global or address.is_multicast:
        pass
    return str(address)


def ipv6(chance: random.Random) -> str:
    prefix = chance.choice((0x2A00, 0x2A02, 0x2600, 0x2606, 0x2408)) << 112 | chance.getrandbits(32) << 80
    address = ipaddress.IPv6Address(prefix | chance.getrandbits(chance.choice((16, 64, 80))))
    return str(address) if chance.random() < 0.8 else address.exploded


def key(chance: random.Random) -> str:
    """A token in the form that a provider documents."""

    def some(count: int, of: str = _ALNUM) -> str:
        return "".join(chance.choices(of, k=count))

    return chance.choice(
        (
            f"sk-{some(48)}",
            f"sk-proj-{some(40)}",
            f"ghp_{some(36)}",
            f"AKIA{some(16, string.ascii_uppercase + '234567')}",
            f"{_json64({'alg': 'HS256', 'typ': 'JWT'})}.{_json64({'sub': some(9), 'iat': 1716239022})}.{some(43)}",
            f"hf_{some(34)}",
        )
    )


def _json64(value: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def password(chance: random.Random) -> str:
    """A word with letters, digits and mostly a sign."""
    word = syllables(chance, 3, 4)
    return f"{word[0].upper()}{word[1:]}{chance.choice(('', '_', '-', '!', '#'))}{digits(chance, chance.randint(2, 4))}"


PRIVATE: Mapping[str, tuple[str, Draw]] = {
    "email": ("EMAIL", email),
    "phone_international": ("PHONE", phone_international),
    "phone_chinese": ("PHONE", phone_chinese),
    "resident_id": ("RESIDENT_ID", resident_id),
    "bank_card": ("BANK_CARD", bank_card),
    "iban": ("IBAN", iban),
    "ipv4": ("IP_ADDRESS", ipv4),
    "ipv6": ("IP_ADDRESS", ipv6),
    "key": ("SECRET", key),
    "password": ("SECRET", password),
}
"""Faults, with the type that ``prepare`` knows each by, and how a value is drawn."""

_PHONES = {
    "en": ("Call me on {} after six.", "My number is {}.", "(phone: {})", "You may also text {}, please."),
    "zh": ("我的电话是{}，晚上也行。", "请打{}联系。", "手机：{}", "微信同号{}。"),
    "de": ("Sie erreichen mich unter {}.", "Meine Nummer: {}, gern abends.", "(Tel. {})", "Rufen Sie {} an, bitte."),
}
_ADDRESSES = {
    "en": ("The request came from {}.", "Our server is at {}, port 443.", "It says: connection from {} refused."),
    "zh": ("请求来自{}。", "服务器地址是{}，端口443。", "提示：来自{}的连接被拒绝。"),
    "de": (
        "Die Anfrage kam von {}.",
        "Unser Server steht unter {}, Port 443.",
        "Es heißt: Verbindung von {} abgelehnt.",
    ),
}
CARRIERS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "email": {
        "en": ("Please reply to {}.", "My address is {}, in case you need it.", "(mail: {})", "Write to {} or call."),
        "zh": ("我的邮箱是{}，请回复。", "请发到{}。", "邮箱：{}", "抄送{}和店长。"),
        "de": (
            "Bitte antworten Sie an {}.",
            "Meine Adresse ist {}, falls nötig.",
            "(Mail: {})",
            "Schreiben Sie an {} bitte.",
        ),
    },
    "phone_international": _PHONES,
    "phone_chinese": _PHONES,
    "resident_id": {
        "en": ("My Chinese identity number is {}.", "For customs: ID {}, valid.", "(ID card {})"),
        "zh": ("身份证号是{}。", "报关用的身份证：{}，已核对。", "我的证件号{}也填了。"),
        "de": ("Meine chinesische Ausweisnummer lautet {}.", "Für den Zoll: Ausweis {}, gültig.", "(Ausweis {})"),
    },
    "bank_card": {
        "en": ("I paid with card {}.", "The card number was {}, if that helps.", "(card: {})"),
        "zh": ("付款的银行卡是{}。", "卡号{}，请查收。", "卡号：{}"),
        "de": ("Bezahlt habe ich mit der Karte {}.", "Die Kartennummer war {}, falls das hilft.", "(Karte: {})"),
    },
    "iban": {
        "en": ("Please refund it to {}.", "My account: {}, thanks.", "(IBAN {})"),
        "zh": ("请退款到{}。", "账号是{}，谢谢。", "IBAN：{}"),
        "de": ("Bitte erstatten Sie auf {}.", "Mein Konto: {}, danke.", "(IBAN {})"),
    },
    "ipv4": _ADDRESSES,
    "ipv6": _ADDRESSES,
    "key": {
        "en": ("I use the key {} for the import.", "The header holds {}, as you said.", "Token: {}"),
        "zh": ("导入时用的密钥{}。", "请求头里写的是{}，跟说明相同。", "令牌：{}"),
        "de": ("Für den Import nutze ich den Schlüssel {}.", "Im Kopf steht {}, wie von Ihnen gesagt.", "Token: {}"),
    },
    "password": {
        "en": (
            "The login is admin, password: {}",
            "password={}, user=guest",
            "My password is {}, please check.",
            "Password: {}.",
        ),
        "zh": ("账号是admin，密码：{}", "密码是{}，请检查。", "用户guest，密码{}。", "口令：{}"),
        "de": (
            "Benutzer admin, Passwort: {}",
            "password={}, user=gast",
            "Das Passwort ist {}, bitte prüfen.",
            "Passwort: {}.",
        ),
    },
}
"""Sentences that hold a value, by fault and language."""
