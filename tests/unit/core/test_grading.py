"""Grading: what counts as the same, in several scripts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin.core.grading import chinese_number, cited_article, exact_form, exact_match, right_article, token_f1, tokens

PATTERN = r"Article (\d+)|第([一二三四五六七八九十百零]+)条"
TEXT = st.text(alphabet=st.sampled_from("ab AB1 2.,，。第十条试用期日本ไทที่हिन्दी-%'\"\n"), max_size=30)
LANGUAGES = st.sampled_from(["en", "zh", "th", "hi", "und", "zh-Hant"])


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("七十三", 73),
        ("一百零一", 101),
        ("一百一十", 110),
        ("十", 10),
        ("两千", 2000),
        ("零", 0),
        ("一〇一", 101),
        ("二〇二四", 2024),
        ("", None),
        ("万", None),
        ("19", None),
    ],
)
def test_a_chinese_numeral_has_its_value(text: str, number: int | None) -> None:
    assert chinese_number(text) == number


def test_the_first_article_counts_in_either_writing() -> None:
    assert cited_article("See Article 19, not Article 20.", PATTERN) == 19
    assert cited_article("依照第一百零一条。", PATTERN) == 101
    assert cited_article("It says six months.", PATTERN) is None
    assert right_article("第十九条规定", "Article 19", PATTERN)
    assert not right_article("Article 20", "Article 19", PATTERN)
    assert not right_article("six months", "no article", PATTERN)


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("It's 12 MONTHS.", "en", ["it", "s", "12", "months"]),
        ("试用期 ABC，第19条", "zh", ["试", "用", "期", "abc", "第", "1", "9", "条"]),
        ("試用期「六個月」", "zh", ["試", "用", "期", "六", "個", "月"]),
        ("ＡＢＣ １２", "en", ["abc", "12"]),
        ("用iPhone手机 two", "und", ["用", "iphone", "手", "机", "two"]),
        ("हिन्दी भाषा", "hi", ["हिन्दी", "भाषा"]),
        ("ที่ดี", "th", list("ที่ดี")),
        ("試用期", "zh-Hant", ["試", "用", "期"]),
        ("ちかてつ", "ja", list("ちかてつ")),
        ("noël", "fr", ["noël"]),
        ("noe\u0308l", "fr", ["noël"]),
        ("❤️ 1️⃣", "en", ["1"]),
    ],
)
def test_tokens_are_words_or_characters_as_the_language_writes(text: str, language: str, expected: list[str]) -> None:
    assert tokens(text, language) == expected


def test_token_f1_is_that_of_squad() -> None:
    assert token_f1("at most six months", "six months", "en") == pytest.approx(2 * 2 / (4 + 2))
    assert token_f1("六个月", "最长六个月", "zh") == pytest.approx(2 * 3 / (3 + 5))
    assert token_f1("six six six", "six months", "en") == pytest.approx(2 * 1 / (3 + 2))
    assert token_f1("", "six months", "en") == 0


@pytest.mark.parametrize(
    ("answer", "reference", "language"),
    [
        ("Six months.", "six  months", "en"),
        ("第１９条，“试用期”", "第 19 条：试用期。", "zh"),
        ("“劳动合同”", "「劳动合同」", "zh"),
        ("$1,000.50", "$ 1000.50", "en"),
        ("−5", "-5", "en"),
        ("**Yes**", "yes", "en"),
        ("2020–2021", "2020-2021", "en"),
        ("हिन्दी", "हिन्दी।", "hi"),
    ],
)
def test_an_exact_match_overlooks_case_width_punctuation_and_spaces(answer: str, reference: str, language: str) -> None:
    assert exact_match(answer, reference, language)


@pytest.mark.parametrize(
    ("answer", "reference", "language"),
    [
        ("1.5年", "15年", "zh"),
        ("1.5", "1 5", "en"),
        ("-5", "5", "en"),
        ("5%", "5", "en"),
        ("€5", "$5", "en"),
        ("1,5", "15", "en"),
        ("12,34", "1234", "en"),
        ("不超过六个月", "超过六个月", "zh"),
        ("十九条", "19条", "zh"),
        ("劳動", "劳动", "zh"),
        ("हिन्दी", "हिन्दू", "hi"),
        ("", "yes", "en"),
    ],
)
def test_an_exact_match_does_not_overlook_what_changes_the_meaning(answer: str, reference: str, language: str) -> None:
    assert not exact_match(answer, reference, language)


@given(TEXT, TEXT, LANGUAGES)
def test_scores_are_shares_and_do_not_depend_on_which_text_is_which(a: str, b: str, language: str) -> None:
    found = token_f1(a, b, language)
    assert 0 <= found <= 1
    assert found == token_f1(b, a, language)
    assert exact_match(a, b, language) == exact_match(b, a, language)


@given(TEXT, LANGUAGES)
def test_a_text_matches_itself_in_any_case_and_punctuation(text: str, language: str) -> None:
    assert exact_match(f" {text}。", text, language)
    assert token_f1(text, text.upper(), language) == (1 if tokens(text, language) else 0)


@given(TEXT, TEXT, LANGUAGES)
def test_what_matches_exactly_has_the_same_tokens(a: str, b: str, language: str) -> None:
    if exact_match(a, b, language) and tokens(a, language):
        assert "".join(tokens(a, language)) == "".join(tokens(b, language))
        assert exact_form(a, language)
