"""The encoding of a text file, from its first bytes: UTF-8 unless they say otherwise."""

import codecs
import re

_HIGH = re.compile(rb"[\x80-\xff]+")
_DAMAGED_SHARE = 0.1


def encoding_of(head: bytes) -> str:
    """``utf-8``, ``gb18030`` or ``cp1252``.

    Text that is damaged here and there stays UTF-8. In Chinese encodings bytes above 127 come in pairs; in those of Western
    Europe they stand alone between ASCII letters. A byte order mark is left to the reader, for which it wins anyway.
    """
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or _decodes(head, "utf-8"):
        return "utf-8"
    beyond_ascii = [char for char in head.decode("utf-8", errors="replace") if not char.isascii()]
    if beyond_ascii.count("\ufffd") < _DAMAGED_SHARE * len(beyond_ascii):
        return "utf-8"
    runs = [len(run) for run in _HIGH.findall(head)]
    guess = "cp1252" if 2 * runs.count(1) > sum(runs) else "gb18030"
    return guess if _decodes(head, guess) else "utf-8"


def _decodes(head: bytes, encoding: str) -> bool:
    """Whether the bytes are text in ``encoding``, of which the last character may be cut."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return True
