import socket
import subprocess
import sys
from pathlib import Path

from serin.demo.run import DEMO_PIPELINE


def demo(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "serin", "demo"], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_taken_port_is_named_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / DEMO_PIPELINE).parent.mkdir(parents=True)
    (tmp_path / DEMO_PIPELINE).write_text("stages: {}\n")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        (tmp_path / "params.yaml").write_text(f"serve: {{port: {port}}}\n")
        done = demo(tmp_path)
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is taken" in done.stderr
    assert "repro" not in done.stdout
    assert not (tmp_path / "artifacts").exists()


def test_elsewhere_than_in_the_repository_it_says_so(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert done.returncode == 78
    assert "run the demo at the root of Serin's repository" in done.stderr
