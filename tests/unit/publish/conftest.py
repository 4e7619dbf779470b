"""A project whose model waits to be published."""

from pathlib import Path

import pytest

from .outputs import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
