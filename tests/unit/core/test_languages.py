"""Names of languages."""

import pytest

from serin.core.languages import language_name


@pytest.mark.parametrize(("code", "name"), [("zh", "Chinese"), ("und", "undetermined"), ("tlh", "tlh")])
def test_a_language_has_its_english_name_or_its_code(code: str, name: str) -> None:
    assert language_name(code) == name
