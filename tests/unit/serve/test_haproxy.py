"""The program that Ray starts in HAProxy's place: run, on a config as Ray writes it."""

import subprocess
from pathlib import Path

import pytest

from serin.serve.haproxy import program

CONFIG = """defaults
    timeout client 90s
frontend prometheus
    bind :9901
    mode http
frontend http_frontend
    bind 127.0.0.1:9904
    # bind :9901 in a comment
frontend other
    bind :9904
backend default_backend
    http-request return status 404 content-type text/plain lf-string "Path \'%[path]\' not found."
backend http-gateway
    http-request return status 404
listen stats
  bind *:9902
  stats enable
"""


CHANGED = """defaults
    timeout http-request 10s
    timeout client 90s
frontend prometheus
    bind 127.0.0.1:9901
    mode http
frontend http_frontend
    bind 127.0.0.1:9904
    # bind :9901 in a comment
frontend other
    bind :9904
backend default_backend
    http-request return status 503 content-type text/plain string "serving starts again: try again in a second" hdr retry-after 1
backend http-gateway
    http-request return status 404
listen stats
  bind 127.0.0.1:9902
  stats enable
"""


ANYWHERE = CHANGED.replace("    bind 127.0.0.1:9901\n", "    bind :9901\n").replace(
    "  bind 127.0.0.1:9902\n", "  bind *:9902\n"
)


@pytest.mark.parametrize(("of_loopback", "changed"), [((9902, 9901), CHANGED), ((), ANYWHERE)])
def test_what_is_changed_in_the_config_and_nothing_else(
    tmp_path: Path, of_loopback: tuple[int, ...], changed: str
) -> None:
    stand_in = tmp_path / "ha proxy"
    stand_in.write_text('#!/bin/sh\necho "$@"\n')
    stand_in.chmod(0o700)
    config = tmp_path / "haproxy.cfg"
    config.write_text(CONFIG)
    made = tmp_path / "program"
    made.write_text(program(str(stand_in), of_loopback))
    made.chmod(0o700)
    for _ in range(2):
        done = subprocess.run([str(made), "-db", "-f", str(config), "-sf", "12"], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, f"-db -f {config} -sf 12\n"), done.stderr
    assert config.read_text() == changed
