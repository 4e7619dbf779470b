import random

import pytest

from serin.job.seam import after_printed, after_stored

LOG = b"".join(b"step %d of 900, loss %.3f\n" % (n, 9 / (n + 1)) for n in range(900))


def test_the_pod_goes_on_where_storage_ends() -> None:
    for cut in (0, 1, 4095, 4096, len(LOG)):
        assert after_stored(LOG[:cut], LOG) == LOG[cut:]


def test_a_pod_whose_log_was_rotated_is_found_in() -> None:
    assert after_stored(LOG[:15_000], LOG[9_000:]) == LOG[15_000:]


def test_a_pod_whose_log_begins_behind_that_is_not_guessed_at() -> None:
    assert after_stored(LOG[:9_000], LOG[15_000:]) is None


def test_a_pod_that_storage_is_ahead_of_has_nothing_new() -> None:
    assert after_stored(LOG, LOG[:5_000]) == b""


def test_equal_lines_are_told_apart_by_their_place() -> None:
    same = b"waiting\n" * 2_000
    assert after_stored(same[:8_000], same) == same[8_000:]


@pytest.mark.parametrize("printed", [0, 1, 5_000, len(LOG)])
def test_storage_goes_on_where_the_pod_ended(printed: int) -> None:
    assert after_printed(LOG[:printed], LOG) == LOG[printed:]


def test_storage_that_is_behind_has_nothing_new() -> None:
    assert after_printed(LOG[:9_000], LOG[:5_000]) == b""


def test_after_a_loss_in_storage_it_goes_on_behind_the_last_line_of_both() -> None:
    lines = LOG.splitlines(keepends=True)
    stored = b"".join([*lines[:100], b"[3000 bytes of the log are lost]\n", *lines[200:]])
    assert after_printed(b"".join(lines[:300]), stored) == b"".join(lines[300:])


def test_wherever_it_changes_between_the_two_nothing_is_lost_or_doubled() -> None:
    draw = random.Random(7)
    for _ in range(200):
        stored = draw.randrange(len(LOG))
        pod = draw.randrange(stored, len(LOG))
        rest = after_stored(LOG[:stored], LOG[:pod])
        assert rest is not None
        assert LOG[:stored] + rest + after_printed(rest, LOG[stored:]) == LOG
