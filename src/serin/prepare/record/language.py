"""Which language a text is in: by script where that decides, by common words for English, by lingua elsewhere."""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any

from serin.core.errors import ConfigError

UNDETERMINED = "und"

_SAMPLE_CHARS = 240
_LETTER = re.compile(r"[^\W\d_]")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_KANA = re.compile("[\u3040-\u30ff]")
_HANGUL = re.compile("[\uac00-\ud7af]")
_CHINESE_SHARE = 0.3
_KANA_SHARE = 0.05
# Quotes, dashes and signs that stand in texts of any language.
_TYPOGRAPHY = re.compile("[\u00a3-\u00b7\u00bb\u00d7\u2010-\u205e\u20ac\u2122\u2190-\u21ff]+")
_CODE = re.compile(r"[a-z]{2}")
# Words that are frequent in English and are no words of the other languages in Latin script.
_ENGLISH_WORDS = (
    "the and of that this with which from have has they their there what when where would should could shall your you must "
    "how who why been were are is it be for not does my an"
)
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
_ENGLISH_AT_LEAST = 4
_CHARS_A_WORD = 30
# Two languages nearer to each other than this, on lingua's scale of 0 to 1, cannot be told apart ("Yes.", "Hello!").
_LEAST_DISTANCE = 0.2


class LanguageDetector:
    """Tells the given languages apart; whatever else a text is in counts as the nearest of them."""

    def __init__(self, languages: Sequence[str]) -> None:
        """Raises ConfigError for a code that lingua does not know."""
        self._languages = frozenset(languages)
        self._lingua = _lingua(tuple(languages)) if languages else None

    def detect(self, text: str, declared: Any = None) -> str:
        """The ISO 639-1 code of a text, or ``und`` where nothing in it tells.

        A declared code is believed. Chinese is what has 30 % of Chinese characters among its letters and no kana. The
        first 400 characters decide.
        """
        if self._lingua is None:
            return declared if isinstance(declared, str) and _CODE.fullmatch(declared) else UNDETERMINED
        if isinstance(declared, str) and declared in _known():
            return declared
        sample = text[:_SAMPLE_CHARS]
        if not sample.isascii():
            sample = unicodedata.normalize("NFKC", sample)
            plain = _TYPOGRAPHY.sub(" ", sample)
            sample = plain if plain.isascii() else sample
        if sample.isascii():
            if "en" in self._languages and self._is_plain_english(sample):
                return "en"
        elif (by_script := self._by_script(sample)) is not None:
            return by_script
        if not _LETTER.search(sample):
            return UNDETERMINED
        found = self._lingua.detect_language_of(sample)
        return UNDETERMINED if found is None else str(found.iso_code_639_1.name.lower())

    def _is_plain_english(self, sample: str) -> bool:
        hits = sum(map(_ENGLISH.__contains__, sample.lower().split()))
        return hits >= _ENGLISH_AT_LEAST and hits * _CHARS_A_WORD >= len(sample)

    def _by_script(self, sample: str) -> str | None:
        han = len(_HAN.findall(sample))
        hangul = len(_HANGUL.findall(sample))
        if not han and not hangul:
            return None
        letters = len(_LETTER.findall(sample))
        kana = len(_KANA.findall(sample))
        if kana >= _KANA_SHARE * letters:
            return "ja" if "ja" in self._languages else None
        if hangul >= letters / 2:
            return "ko" if "ko" in self._languages else None
        return "zh" if "zh" in self._languages and han >= _CHINESE_SHARE * letters else None


@cache
def _lingua(languages: tuple[str, ...]) -> Any:
    from lingua import LanguageDetectorBuilder

    known = _known()
    unknown = [code for code in languages if code not in known]
    if unknown:
        raise ConfigError(
            f"prepare.languages.detect names {', '.join(unknown)}: expected ISO 639-1 codes among {', '.join(sorted(known))}"
        )
    builder = LanguageDetectorBuilder.from_iso_codes_639_1(*(known[code] for code in languages))
    return builder.with_minimum_relative_distance(_LEAST_DISTANCE).build()


@cache
def _known() -> dict[str, Any]:
    """Every language that lingua has, by its ISO 639-1 code."""
    from lingua import IsoCode639_1

    return {name.lower(): getattr(IsoCode639_1, name) for name in dir(IsoCode639_1) if name.isupper()}
