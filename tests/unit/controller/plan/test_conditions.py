"""Conditions and the events about them."""

from datetime import timedelta

from serin.controller.plan.conditions import Conditions

from ..manifests import START, at


def test_a_new_message_is_no_transition_and_no_news() -> None:
    first = Conditions([], 1, START)
    first.set("Running", "False", "Unschedulable", "8 nodes are full")
    later = Conditions(first.listed(), 1, START + timedelta(seconds=60))
    later.set("Running", "False", "Unschedulable", "7 nodes are full")
    (found,) = later.listed()
    assert (found.message, found.last_transition_time) == ("7 nodes are full", at(0))
    assert not later.events()


def test_another_reason_is_news_but_no_transition() -> None:
    first = Conditions([], 1, START)
    first.set("Running", "False", "Unschedulable", "full")
    later = Conditions(first.listed(), 1, START + timedelta(seconds=60))
    later.set("Running", "False", "ImagePull", "no image")
    assert later.listed()[0].last_transition_time == at(0)
    assert [(event.type, event.reason, event.message) for event in later.events()] == [
        ("Warning", "ImagePull", "no image")
    ]


def test_what_nobody_speaks_of_still_holds() -> None:
    first = Conditions([], 1, START)
    first.set("Accepted", "True", "InputsFound", "they are there")
    later = Conditions(first.listed(), 2, START + timedelta(seconds=60))
    (found,) = later.listed()
    assert (found.status, found.last_transition_time, found.observed_generation) == ("True", at(0), 2)
    assert not later.events()


def test_what_passes_at_once_is_told_to_nobody_and_one_failure_is_told_once() -> None:
    conditions = Conditions([], 1, START)
    conditions.set("Running", "False", "Starting", "its pod starts")
    assert not conditions.events()
    conditions.set("Running", "False", "Failed", "it is over")
    conditions.set("Succeeded", "False", "BadConfig", "no")
    conditions.set("Failed", "True", "BadConfig", "no")
    assert [(event.type, event.reason) for event in conditions.events()] == [("Warning", "BadConfig")]


def test_a_long_message_keeps_its_end() -> None:
    conditions = Conditions([], 1, START)
    conditions.set("Failed", "True", "Error", "x" * 40_000 + " the cause")
    (found,) = conditions.listed()
    assert len(found.message) <= 2000
    assert found.message.endswith(" the cause")


def test_a_silent_storage_is_told_with_the_time_since_when_and_that_it_answers_again() -> None:
    first = Conditions([], 1, START)
    first.tell_storage("")
    assert first.listed() == []
    first.tell_storage("timed out")
    assert [(event.type, event.reason, event.message) for event in first.events()] == [
        ("Warning", "NoAnswer", "timed out")
    ]
    later = Conditions(first.listed(), 1, START + timedelta(seconds=60))
    later.tell_storage(None)
    later.tell_storage("timed out")
    (found,) = later.listed()
    assert (found.type, found.status, found.last_transition_time) == ("StorageUnreachable", "True", at(0))
    assert not later.events()
    later.tell_storage("")
    (found,) = later.listed()
    assert (found.status, found.reason, found.last_transition_time) == ("False", "Answers", at(60))
    assert [event.type for event in later.events()] == ["Normal"]


def test_what_is_over_asks_storage_no_more() -> None:
    first = Conditions([], 1, START)
    first.leave_storage()
    assert first.listed() == []
    first.tell_storage("timed out")
    later = Conditions(first.listed(), 1, START + timedelta(seconds=60))
    later.leave_storage()
    assert [(each.status, each.reason) for each in later.listed()] == [("False", "Over")]
    assert not later.events()


def test_that_the_inputs_are_looked_for_or_were_found_is_no_news() -> None:
    conditions = Conditions([], 1, START)
    conditions.set("Accepted", "Unknown", "Checking", "they are looked for")
    assert not conditions.events()
    conditions.set("Accepted", "True", "InputsFound", "they are there")
    assert not conditions.events()
    conditions.set("Accepted", "False", "DatasetMissing", "no")
    assert [(event.type, event.reason) for event in conditions.events()] == [("Warning", "DatasetMissing")]
