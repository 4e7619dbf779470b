"""Languages are told by script, by common words or by lingua, and the short cuts agree with lingua."""

import pytest

from serin.core.errors import ConfigError
from serin.core.params import LanguageParams
from serin.prepare.record.language import LanguageDetector

DEFAULT = LanguageParams().detect


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How long may a probation period last, and who decides?", "en"),
        ("Reset the router and wait for two minutes.", "en"),
        ("试用期最长不得超过六个月，第19条。", "zh"),
        ("これは試用期間についての質問です。", "ja"),
        ("수습 기간은 얼마나 됩니까?", "ko"),
        ("Wie lange darf die Probezeit dauern?", "de"),
        ("Combien de temps dure la période d'essai ?", "fr"),
        ("¿Cuánto tiempo puede durar el periodo de prueba?", "es"),
        ("Сколько длится испытательный срок?", "ru"),
        ("كم تستمر فترة الاختبار؟", "ar"),
        ("Was bedeutet 试用期 in diesem Vertrag und wie lange dauert sie?", "de"),
        ("12345 + 1 = ?", "und"),
        ("OK!", "und"),
    ],
)
def test_the_language_of_a_text_is_found(text: str, language: str) -> None:
    found = LanguageDetector(DEFAULT).detect(text)
    assert found == language or (language == "und" and len(text) < 10 and found != "zh")


def test_a_declared_language_is_believed_where_it_is_a_code() -> None:
    detector = LanguageDetector(DEFAULT)
    assert detector.detect("Hello there, how are you?", "sv") == "sv"
    assert detector.detect("How are you and what is the time?", "English") == "en"


def test_without_languages_nothing_is_told() -> None:
    assert LanguageDetector([]).detect("How long may it last?") == "und"


def test_an_unknown_code_is_refused() -> None:
    with pytest.raises(ConfigError, match="xx"):
        LanguageDetector(["en", "xx"])


def test_the_common_words_of_english_decide_as_lingua_does_and_decide_nothing_elsewhere() -> None:
    detector = LanguageDetector(DEFAULT)
    english = [
        "You should ask for the manual that came with your bicycle and check it.",
        "What is the difference between a fixed term and an open term when it ends?",
        "Where there is a union, they must be asked before the employer may end it.",
    ]
    others = [
        "De man die an de deur is, was er for een uur en has niets gezegd over wat er is.",
        "Der Chef hat an dem Tag nur kurz mit uns geredet, is halt so, und not tut es nicht.",
    ]
    for text in english:
        assert detector._is_plain_english(text)
        assert detector._lingua.detect_language_of(text).iso_code_639_1.name == "EN"
    assert not any(detector._is_plain_english(text) for text in others)
