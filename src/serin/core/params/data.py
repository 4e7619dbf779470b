"""Sections about where data comes from and lives: ``storage``, ``base`` and ``prepare``."""

from typing import Literal

from pydantic import Field, model_validator

from serin.core.params.section import Section


class StorageParams(Section):
    """Where DVC's remote, merged models and published revisions live."""

    url: str = Field(default=".serin/storage", min_length=1)
    """A folder, or ``s3://bucket/prefix``. The DVC remote is ``<url>/dvc``, models are ``<url>/models``."""
    endpoint_url: str | None = Field(default=None, pattern=r"^https?://")
    """Address of an S3 server other than AWS. Credentials come from the environment, never from here."""


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


class NearDuplicateParams(Section):
    """Near duplicates by MinHash-LSH over the user's turns."""

    threshold: float = Field(default=0.8, gt=0.3, le=1.0)
    """Estimated Jaccard similarity of shingles from which two records count as the same."""
    permutations: int = Field(default=128, ge=32, le=512)
    """MinHash permutations; the estimate's standard error is about 1/sqrt(permutations)."""


class SplitParams(Section):
    """Which records judge, choose and train. By hash of a key, so that new data never moves old records."""

    group: str = "fact"
    """The ``meta`` field that names a record's group (records that share an answer); records without it stand alone."""
    control: float = Field(default=0.0, ge=0, le=0.5)
    """Share of groups held out whole: nothing of them is trained on, so a gain on them would be a leak."""
    test: float = Field(default=0.15, ge=0, le=0.5)
    """Share of the other records that judge."""
    validation: float = Field(default=0.05, ge=0, le=0.5)
    """Share of the other records that choose (best checkpoint, merge base)."""
    salt: str = "serin"
    """Change it for another draw."""

    @model_validator(mode="after")
    def _leaves_something_to_train_on(self) -> "SplitParams":
        if self.test + self.validation >= 1:
            raise ValueError("test + validation must be below 1, or nothing is left to train on")
        return self


class PrepareParams(Section):
    """Stage ``prepare``: raw files to clean, deduplicated, split conversations."""

    sources: list[str] = Field(default=["examples/labour-law/raw"], min_length=1)
    """Files, folders and globs of ``.jsonl``, ``.json`` and ``.csv``; the format is detected per file."""
    max_tokens: int = Field(default=256, ge=16)
    """A conversation longer than this, in tokens of the base tokenizer, is rejected."""
    personal_data: Literal["redact", "drop", "report"] = "redact"
    """What happens to e-mail addresses, phone numbers, Chinese resident ids and bank cards."""
    near_duplicates: NearDuplicateParams = NearDuplicateParams()
    split: SplitParams = SplitParams()
