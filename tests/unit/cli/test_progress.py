import pytest

from serin.cli import progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress._Lines.__init__, "__defaults__", (clock,))
    return clock


def test_the_time_left_of_a_run_that_goes_on_follows_from_what_was_done_since(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.progress_bar("train") as bar:
        for clock.now, done in ((5.0, 900), (25.0, 910), (200.0, 1000)):
            bar(done, 1000, "loss 1.5")
    assert capsys.readouterr().err.splitlines() == [
        "train: 910/1000, 180 s left loss 1.5",
        "train: 1000/1000, 200 s loss 1.5",
    ]


def test_the_time_left_is_counted_anew_where_the_work_begins_anew(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.progress_bar("evaluate") as bar:
        for clock.now, done in ((1.0, 1), (2.0, 50), (100.0, 0), (110.0, 10)):
            bar(done, 60)
    assert capsys.readouterr().err.splitlines() == ["evaluate: 0/60, 100 s", "evaluate: 10/60, 50 s left"]
