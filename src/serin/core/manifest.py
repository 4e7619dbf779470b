"""What an output folder says of itself: ``manifest.json``, whose presence means that the folder is complete."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from serin.core.digest import digest_of_files

MANIFEST = "manifest.json"


class Manifest(BaseModel):
    """Only what the content determines: no time, host, speed or commit, which stand in a side record elsewhere."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    kind: str
    """``dataset``, ``adapter``, ``model``, ``evaluation`` ..."""
    files: dict[str, str]
    """Relative path to SHA-256 of the bytes, for every file but this one."""
    inputs: dict[str, str] = {}
    """What went in, by word (``base``, ``dataset``, ``adapter``), to its digest."""
    params: dict[str, Any] = {}
    """The resolved params of the stage that wrote it."""
    code: str = ""
    """Digest of the installed ``serin`` sources."""
    metrics: dict[str, Any] = {}
    """Figures that the content determines."""
    lineage: dict[str, Any] = {}
    """Anything else that says where this comes from, such as an override and its reason."""

    @property
    def digest(self) -> str:
        """The folder's identity: the digest over its files."""
        return digest_of_files(self.files)
