import pytest

from serin.core.errors import UsageError
from serin.core.revision import Revision


def test_a_revision_is_named_by_its_content() -> None:
    revision = Revision.parse("law-qa@3f9a1c20bb")
    assert str(revision) == "law-qa@3f9a1c20bb"
    assert revision.label == "law-qa-3f9a1c20"


@pytest.mark.parametrize("text", ["law-qa", "law-qa@", "law-qa@xyz", "Law@3f9a1c20", "law-qa@3f9a", "@3f9a1c20"])
def test_what_is_no_revision_is_refused_with_the_form_expected(text: str) -> None:
    with pytest.raises(UsageError, match="expected name@digest"):
        Revision.parse(text)
