import pytest

from serin.core.conversation import Message
from serin.evaluate.chat.dialogue import Dialogue, Entry, read_entry


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("How long? \n", Entry("question", "How long?")),
        ("试用期？", Entry("question", "试用期？")),
        ("//etc is a folder", Entry("question", "/etc is a folder")),
        ("/reset", Entry("reset")),
        ("/quit\n", Entry("quit")),
        ("/help", Entry("help")),
        ("/system  Be brief. ", Entry("system", "Be brief.")),
        ("/system", Entry("system", "")),
        ("/restart now", Entry("unknown", "/restart")),
        ("/quit now", Entry("unknown", "/quit")),
        ("/", Entry("unknown", "/")),
        ("  \n", None),
    ],
)
def test_what_a_line_means(line: str, entry: Entry | None) -> None:
    assert read_entry(line) == entry


def test_a_dialogue_is_the_system_prompt_and_the_turns() -> None:
    dialogue = Dialogue("Be brief.").asked("Hi").answered("Hello").asked("And?")
    assert dialogue.messages == (
        Message("system", "Be brief."),
        Message("user", "Hi"),
        Message("assistant", "Hello"),
        Message("user", "And?"),
    )
    assert Dialogue().asked("Hi").messages == (Message("user", "Hi"),)
