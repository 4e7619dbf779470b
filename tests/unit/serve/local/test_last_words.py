"""Which line of a failure tells a person what to do."""

import os
from pathlib import Path

from serin.serve.local.last_words import last_error, why

SERVE = """The deployment failed to start 2 times in a row. See controller logs for details. Error:
\x1b[36mray::ServeReplica:law:law.initialize_and_get_metadata()\x1b[39m (pid=1, ip=127.0.0.1)
  File "vllm_engine.py", line 10, in start
    raise RuntimeError("...")
RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}
"""
LOG = """(EngineCore pid=7) ERROR 11-29 core.py:1] EngineCore failed to start.
(EngineCore pid=7) ERROR 11-29 core.py:1] ValueError: The model's quantization is not supported on this CPU.
RuntimeError: Engine core initialization failed. See root cause above.
"""


def test_an_error_that_names_its_cause_is_shown() -> None:
    assert last_error("x\nValueError: no head_dim\n") == "ValueError: no head_dim"
    assert last_error("pydantic_core._pydantic_core.ValidationError: 1 fault") == "ValidationError: 1 fault"
    assert last_error("all is well") is None


def test_a_consequence_leads_to_the_log_that_was_written_since(tmp_path: Path) -> None:
    (tmp_path / "worker-1.err").write_text(LOG)
    (tmp_path / "worker-2.err").write_text("OSError: of an earlier try")
    os.utime(tmp_path / "worker-1.err", (200, 200))
    os.utime(tmp_path / "worker-2.err", (50, 50))
    assert why(SERVE, tmp_path, since=100) == "ValueError: The model's quantization is not supported on this CPU."


def test_without_anything_better_it_is_the_last_line(tmp_path: Path) -> None:
    assert why(SERVE, tmp_path, since=0).startswith("RuntimeError: Engine core")
    assert why("", tmp_path, since=0) == ""
