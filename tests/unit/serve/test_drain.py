"""Each wait is longer than the one inside it."""

import pytest

from serin.serve.drain import hard_stop_s, pod_s, replica_s


@pytest.mark.parametrize("request_s", [0.5, 60.0, 3600.0])
def test_no_end_is_sooner_than_what_it_waits_for(request_s: float) -> None:
    assert request_s < replica_s(request_s) < hard_stop_s(request_s) < pod_s(request_s)
