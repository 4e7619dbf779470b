"""What languages are called."""

from collections.abc import Mapping

_ENGLISH = """
und undetermined, ar Arabic, bg Bulgarian, bn Bengali, ca Catalan, cs Czech, da Danish, de German, el Greek, en English,
es Spanish, et Estonian, fa Persian, fi Finnish, fr French, he Hebrew, hi Hindi, hr Croatian, hu Hungarian, id Indonesian,
it Italian, ja Japanese, ko Korean, lt Lithuanian, lv Latvian, ms Malay, nb Norwegian, nl Dutch, pl Polish, pt Portuguese,
ro Romanian, ru Russian, sk Slovak, sl Slovene, sr Serbian, sv Swedish, sw Swahili, ta Tamil, th Thai, tr Turkish,
uk Ukrainian, ur Urdu, vi Vietnamese, zh Chinese
"""
_NAMES: Mapping[str, str] = dict(entry.split() for entry in _ENGLISH.split(","))


def language_name(code: str) -> str:
    """The English name of an ISO 639-1 code; the code itself where none is known."""
    return _NAMES.get(code, code)
