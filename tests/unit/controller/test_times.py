"""Times as Kubernetes writes them."""

from datetime import UTC, datetime, timedelta, timezone

from serin.controller.times import read, seconds_between, written


def test_a_time_comes_back_as_it_was_written() -> None:
    noon = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    assert written(noon) == "2026-01-31T12:00:00Z"
    assert read(written(noon)) == noon
    assert written(noon.astimezone(timezone(timedelta(hours=8)))) == "2026-01-31T12:00:00Z"


def test_micro_times_and_offsets_are_times_too() -> None:
    assert read("2026-01-31T12:00:00.250000Z") == datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)
    assert read("2026-01-31T20:00:00+08:00") == datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def test_what_is_no_time_is_none() -> None:
    assert read(None) is None
    assert read("") is None
    assert read("yesterday") is None
    assert read(1234) is None


def test_a_span_is_never_negative_and_nothing_where_an_end_is_missing() -> None:
    early, late = "2026-01-31T12:00:00Z", "2026-01-31T12:01:30Z"
    assert seconds_between(early, late) == 90
    assert seconds_between(late, early) == 0
    assert seconds_between(early, None) == 0
