import pytest

from serin.core.conversation import Message
from serin.core.errors import RetryableError
from serin.evaluate.chat.talk import talk

from .speakers import Echo, Seen


def test_each_speaker_goes_on_from_its_own_answers() -> None:
    one, two, view = Echo("one"), Echo("two"), Seen()
    talk([one, two], ["Hi\n", "\n", "And?\n"], view)
    assert view.answers == [["one 1 Hi", "two 1 Hi"], ["one 3 And?", "two 3 And?"]]
    assert two.given[1] == (Message("user", "Hi"), Message("assistant", "two 1 Hi"), Message("user", "And?"))
    assert view.starts == 2


def test_reset_forgets_the_turns_and_keeps_the_system_prompt() -> None:
    echo, view = Echo(), Seen()
    talk([echo], ["Hi", "/reset", "Hi"], view, system="Be brief.")
    assert echo.given[1] == (Message("system", "Be brief."), Message("user", "Hi"))


def test_a_system_prompt_begins_anew() -> None:
    echo = Echo()
    talk([echo], ["Hi", "/system Be kind.", "Hi", "/system", "Hi"], Seen())
    assert echo.given[1:] == [(Message("system", "Be kind."), Message("user", "Hi")), (Message("user", "Hi"),)]


def test_nothing_is_read_after_quit() -> None:
    echo = Echo()
    talk([echo], ["Hi", "/quit", "And?"], Seen())
    assert len(echo.given) == 1


def test_commands_are_shown_and_a_wrong_one_asks_nobody() -> None:
    echo, view = Echo(), Seen()
    talk([echo], ["/help", "/rest"], view)
    assert "/system TEXT" in view.notes[0]
    assert "/rest is no command" in view.notes[1]
    assert echo.given == []


@pytest.mark.parametrize("error", [RetryableError("it broke off"), KeyboardInterrupt()])
def test_an_answer_that_fails_is_forgotten_with_its_question(error: BaseException) -> None:
    echo, view = Echo(fails=error), Seen()
    talk([echo], ["Hi", "fail", "And?"], view, endures=True)
    assert view.answers == [["echo 1 Hi"], None, ["echo 3 And?"]]
    assert view.notes == [str(error) or "stopped; the question is forgotten"]


def test_where_nobody_can_ask_again_a_failure_ends_the_chat() -> None:
    echo, view = Echo(fails=RetryableError("it broke off")), Seen()
    with pytest.raises(RetryableError):
        talk([echo], ["fail", "And?"], view)
    assert len(echo.given) == 1
