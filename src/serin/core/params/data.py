"""Sections about where things come from and live: ``storage`` and ``base``."""

from pydantic import Field

from serin.core.params.section import Section


class StorageParams(Section):
    """Where DVC's remote, merged models and published revisions live."""

    url: str = Field(default=".serin/storage", min_length=1)
    """A folder, or ``s3://bucket/prefix``. The DVC remote is ``<url>/dvc``, models are ``<url>/models``."""
    endpoint_url: str | None = Field(default=None, pattern=r"^https?://")
    """Address of an S3 server other than AWS. Credentials come from the environment, never from here."""
    connections: int = Field(default=8, ge=1, le=64)
    """How many requests to S3 one transfer makes side by side; each holds up to 8 MiB in memory."""
    timeout_s: float = Field(default=30.0, ge=1, le=600)
    """How long an S3 server may send nothing before a request is tried again."""


class RebuildParams(Section):
    """How the shipped base model was pre-trained, for those who rebuild it."""

    corpus: str = "examples/labour-law/corpus"
    """Folder of ``*.txt`` (paragraphs) and ``*.jsonl`` (conversations) to learn from."""
    vocabulary: int = Field(default=2048, ge=512, le=65536)
    """Tokens of the byte-level BPE tokenizer, special tokens included."""
    hidden_size: int = Field(default=256, ge=64, multiple_of=64)
    """Width of the model; a multiple of the NF4 block of 64."""
    layers: int = Field(default=6, ge=1, le=48)
    """Transformer layers."""
    steps: int = Field(default=2000, ge=1)
    """Optimizer steps."""
    batch_tokens: int = Field(default=2048, ge=256)
    """Tokens a step, in rows of ``row_tokens``."""
    row_tokens: int = Field(default=256, ge=64, le=4096)
    """Context length while pre-training; the model's own limit is four times that."""
    learning_rate: float = Field(default=2e-3, gt=0, lt=1)
    """Peak rate; warm-up over 5 %, then cosine to a tenth."""
    seed: int = Field(default=7, ge=0)
    """Seeds weights and order."""


class BaseParams(Section):
    """Stage ``base``: which model is fine-tuned, pinned by content."""

    model: str = Field(default="examples/labour-law/base", min_length=1)
    """A local folder in Hugging Face format, or a hub id."""
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """The 40-hex commit of a hub id; required for one, refused for a folder."""
    rebuild: bool = False
    """Pre-train the example's base model anew from ``rebuild_params.corpus`` instead of taking ``model``."""
    rebuild_params: RebuildParams = RebuildParams()
