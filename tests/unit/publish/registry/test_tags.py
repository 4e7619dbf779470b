"""What git tags come to, by GTO's convention."""

from dataclasses import dataclass

from serin.publish.registry.tags import Tags, fold


@dataclass(frozen=True)
class Tag:
    name: str
    target: str
    tag_time: int
    message: str = ""


def stages(*tags: Tag) -> dict[str, str]:
    return {stage: tag.target for stage, tag in fold(tags).stages.items()}


def test_the_newest_assignment_has_the_stage_also_of_an_older_version() -> None:
    tags = (
        Tag("law@v1.0.0", "one", 1),
        Tag("law@v2.0.0", "two", 2),
        Tag("law#production#1", "one", 1),
        Tag("law#production#2", "two", 2),
        Tag("law#production#3", "one", 3),
    )
    assert stages(*tags) == {"production": "one"}


def test_within_one_second_the_counter_tells_and_ten_comes_after_nine() -> None:
    assert stages(Tag("law#production#10", "ten", 5), Tag("law#production#9", "nine", 5)) == {"production": "ten"}


def test_what_was_taken_back_gives_the_stage_to_the_one_before() -> None:
    tags = (
        Tag("law#production#1", "one", 1),
        Tag("law#production#2", "two", 2),
        Tag("law#production!#3", "two", 3),
    )
    assert stages(*tags) == {"production": "one"}
    assert stages(*tags, Tag("law#production!#4", "one", 4)) == {}


def test_a_deregistered_version_is_none_and_holds_no_stage() -> None:
    tags = (Tag("law@v1.0.0", "one", 1), Tag("law#production#1", "one", 2), Tag("law@v1.0.0!", "one", 3))
    assert fold(tags) == Tags({}, {})


def test_a_deprecated_artifact_has_no_names_until_it_gets_new_ones() -> None:
    tags = (Tag("law#production#1", "one", 1), Tag("law@v1.0.0", "one", 1), Tag("law@deprecated", "one", 2))
    assert fold(tags) == Tags({}, {})
    assert stages(*tags, Tag("law#production#2", "two", 3)) == {"production": "two"}
