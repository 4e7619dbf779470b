import pytest

from serin.project.encoding import encoding_of

CHINESE = "问题,答案\n链条多久上一次油？,每骑行两百公里上一次油。\n" * 40
FRENCH = "question,réponse\nFaut-il régler la fourche à l'été ?,Oui, une fois vérifiée.\n" * 40


@pytest.mark.parametrize(
    ("text", "encoding", "found"),
    [
        (CHINESE, "utf-8", "utf-8"),
        (CHINESE, "gb18030", "gb18030"),
        (CHINESE, "gbk", "gb18030"),
        (CHINESE, "utf-16", "utf-8"),
        (FRENCH, "utf-8", "utf-8"),
        (FRENCH, "utf-16", "utf-8"),
        (FRENCH, "cp1252", "cp1252"),
        ("plain", "ascii", "utf-8"),
    ],
)
def test_encodings_are_told_apart(text: str, encoding: str, found: str) -> None:
    assert encoding_of(text.encode(encoding)) == found


def test_a_character_cut_at_the_end_does_not_matter() -> None:
    assert encoding_of(CHINESE.encode()[:-2]) == "utf-8"
    assert encoding_of(CHINESE.replace("\n", "").encode("gb18030")[:-1]) == "gb18030"


def test_a_damaged_byte_does_not_make_it_another_encoding() -> None:
    damaged = FRENCH.encode().replace("réponse".encode(), b"r\xe9ponse", 1)
    assert encoding_of(damaged) == "utf-8"


def test_nothing_at_all_is_utf_8() -> None:
    assert encoding_of(b"") == "utf-8"
    assert encoding_of(bytes(range(128, 256)) * 4) == "utf-8"
