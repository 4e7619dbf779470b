"""The program that Ray starts in HAProxy's place: run, on a config as Ray writes it."""

import subprocess
from pathlib import Path

from serin.serve.local.haproxy import program

CONFIG = """frontend prometheus
    bind :9901
    mode http
frontend http_frontend
    bind 127.0.0.1:9904
    # bind :9901 in a comment
frontend other
    bind :9904
listen stats
  bind *:9902
  stats enable
"""


def test_statistics_and_metrics_are_bound_to_loopback_and_nothing_else_is_touched(tmp_path: Path) -> None:
    stand_in = tmp_path / "ha proxy"
    stand_in.write_text('#!/bin/sh\necho "$@"\n')
    stand_in.chmod(0o700)
    config = tmp_path / "haproxy.cfg"
    config.write_text(CONFIG)
    made = tmp_path / "program"
    made.write_text(program(str(stand_in), (9902, 9901)))
    made.chmod(0o700)
    for _ in range(2):
        done = subprocess.run([str(made), "-db", "-f", str(config), "-sf", "12"], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, f"-db -f {config} -sf 12\n"), done.stderr
    assert config.read_text() == CONFIG.replace("    bind :9901\n", "    bind 127.0.0.1:9901\n").replace(
        "bind *:9902", "bind 127.0.0.1:9902"
    )
