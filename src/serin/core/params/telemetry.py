"""Sections ``serve.telemetry`` and ``serve.capture``: what the gateway tells of its requests, and what it keeps of them."""

from typing import Literal

from pydantic import Field

from serin.core.params.preparation import PersonalDataParams
from serin.core.params.section import Section


class TelemetryParams(Section):
    """Figures, never what was said. Traces are configured as OpenTelemetry defines it, by ``OTEL_EXPORTER_OTLP_ENDPOINT``."""

    metrics_port: int | None = Field(default=8001, ge=1, le=65535)
    """Port of ``/metrics`` for Prometheus, of one gateway replica for all on its node; on one machine it listens on the
    loopback only. Null: no metrics."""
    access_log: Literal["off", "stdout", "file"] = "off"
    """One JSON line a request: key id, unit hash, revision, status and figures. ``file``: in the state's folder ``access``."""
    access_log_mib: int = Field(default=64, ge=1)
    """Size from which a replica's access log goes on in a new file."""
    access_log_files: int = Field(default=4, ge=1, le=100)
    """Full files that are kept of each replica beside the present one."""


class CaptureParams(Section):
    """Requests, answers and feedback as Parquet in storage, without personal data, for ``prepare`` to read. Off by default."""

    sample: float = Field(default=0.0, ge=0, le=1)
    """Share of the requests that are captured, drawn by their ids; 0: none."""
    prefix: str = Field(default="captured", pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$")
    """Folder under ``storage.url``."""
    rotate_mib: int = Field(default=16, ge=1, le=1024)
    """Size from which what has been captured goes to storage."""
    rotate_s: float = Field(default=300.0, ge=1)
    """Age from which it goes to storage, however little it is."""
    spool_mib: int = Field(default=512, ge=1)
    """What may wait on a node while storage does not answer; beyond it the oldest is dropped, and counted."""
    personal_data: PersonalDataParams = PersonalDataParams()
    """As in ``prepare.personal_data``; ``drop`` leaves the whole request out."""
