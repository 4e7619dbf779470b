"""Section ``prepare``: which raw data is read, and what may be trained on."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from serin.core.params.section import Section

Format = Literal[
    "messages", "conversations", "sharegpt", "alpaca", "prompt_completion", "question_answer", "columns", "capture"
]
FixedSplit = Literal["train", "validation", "test"]
Reason = Literal[
    "not_json",
    "not_utf8",
    "too_large",
    "wrong_columns",
    "broken_quotes",
    "unknown_format",
    "mixed_format",
    "incomplete",
    "other_revision",
    "low_score",
    "unknown_role",
    "empty_turn",
    "empty_answer",
    "role_order",
    "nothing_to_train",
    "language",
    "personal_data",
    "sensitive_words",
    "too_long",
    "template_refuses",
    "exact_duplicate",
    "near_duplicate",
    "semantic_duplicate",
    "benchmark",
    "held_out_group",
    "over_weight",
]
"""Why a record is not kept."""
Share = Annotated[float, Field(ge=0, le=1)]
OnPersonalData = Literal["redact", "drop", "report", "ignore"]


class SourceParams(Section):
    """Where records come from. A plain string in ``sources`` is its ``path``."""

    path: str = Field(min_length=1)
    """A file, a folder, a glob, or ``s3://bucket/key``, ``s3://bucket/prefix/`` or a glob of keys.

    ``.jsonl``, ``.json``, ``.csv``, ``.tsv`` and ``.parquet``; all but the last also as ``.gz`` and ``.zst``.
    """
    format: Format | None = None
    """Of its records; null: detected per file, that of most of its first records.

    ``capture``: what ``serve.capture`` wrote (Parquet), which null detects by the name ``*.captured.parquet``.
    """
    min_score: float | None = Field(default=None, ge=0, le=1)
    """For ``format: capture``: the answers whose last feedback is at least this good; those without any are left out too."""
    revision: str | None = Field(default=None, min_length=1)
    """For ``format: capture``: the answers of this revision (``name@digest``, or a beginning of it)."""
    columns: dict[Literal["system", "user", "assistant", "group", "language", "id"], str] | None = None
    """For ``format: columns``: which column (or dotted path) holds the system prompt, the question, the answer …"""
    encoding: str = Field(default="utf-8", pattern=r"^[A-Za-z0-9_.:-]{1,40}$")
    """Of text files; a byte order mark wins over it. Chinese CSV files are often ``gb18030``."""
    split: FixedSplit | None = None
    """Put all of it in this split, as a test file that is given: then it is the whole of that split.

    Records for ``test`` and ``validation`` are read first, so that what resembles them elsewhere is not trained on.
    """
    weight: float | None = Field(default=None, gt=0, lt=1)
    """The share of the train split that this source may make up (for example general data, 0.2); null: all is taken.

    What is over is rejected as ``over_weight``.
    """
    license: str | None = None
    """For the data card."""

    @model_validator(mode="after")
    def _maps_columns_only_where_they_are_asked_for(self) -> "SourceParams":
        if self.columns is not None and not {"user", "assistant"} <= self.columns.keys():
            raise ValueError("columns must name at least the columns of user and assistant")
        if (self.format == "columns") != (self.columns is not None):
            raise ValueError("format: columns and columns: {user: …, assistant: …} go together")
        if self.format != "capture" and (self.min_score is not None or self.revision is not None):
            raise ValueError("min_score and revision are for format: capture")
        return self


def _as_source(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


Source = Annotated[SourceParams, BeforeValidator(_as_source)]


class LanguageParams(Section):
    """Language detection, by script where that decides and by lingua elsewhere."""

    detect: list[str] = Field(default=["en", "zh", "ja", "ko", "de", "fr", "es", "pt", "it", "nl", "ru", "ar"])
    """ISO 639-1 codes that are told apart; each one more costs time and memory. Empty: languages are taken as declared."""
    keep: list[str] | None = None
    """Records in another language are rejected as ``language``, undetermined ones are not; null keeps all."""

    @model_validator(mode="after")
    def _tells_at_least_two_apart(self) -> "LanguageParams":
        if len(self.detect) == 1:
            raise ValueError("detect needs two languages to tell apart, or none")
        return self


class PersonalDataParams(Section):
    """What happens to each type: ``redact`` to ``[TYPE]``, ``drop`` the record, ``report`` only, or ``ignore``."""

    email: OnPersonalData = "redact"
    """E-mail addresses."""
    phone: OnPersonalData = "redact"
    """Phone numbers: international with ``+``, and Chinese mobiles."""
    resident_id: OnPersonalData = "redact"
    """Chinese resident ids whose date and check character (GB 11643) are right."""
    bank_card: OnPersonalData = "redact"
    """Card numbers that pass Luhn's check (ISO/IEC 7812-1)."""
    iban: OnPersonalData = "redact"
    """IBANs of the right form and checksum for their country (ISO 13616)."""
    ip_address: OnPersonalData = "redact"
    """Public IPv4 and IPv6 addresses; private, loopback and documentation ranges name nobody."""
    secret: OnPersonalData = "redact"
    """Keys and tokens: known prefixes of providers, JSON web tokens, private keys, and passwords in assignments."""


class SensitiveWordParams(Section):
    """Words that a domain does not want, by rule lists; nothing is judged by default."""

    lists: list[Literal["en", "zh"]] = Field(default=["en", "zh"])
    """Lists that come with Serin."""
    files: list[str] = Field(default=[])
    """Files of your own: a word or phrase a line, ``#`` begins a comment."""
    action: Literal["drop", "report", "ignore"] = "report"
    """``drop`` rejects the record as ``sensitive_words``."""
    judge: bool = False
    """Ask ``prepare.endpoint`` about each record that a list found, and let only what it confirms count."""


class NearDuplicateParams(Section):
    """Records that ask the same: near duplicates by MinHash-LSH over character shingles, confirmed by their similarity."""

    on: Literal["user", "conversation"] = "user"
    """What is compared: the user's turns (phrasings that share an answer are no duplicates), or every turn."""
    threshold: float = Field(default=0.8, ge=0.4, le=1.0)
    """Jaccard similarity of shingles from which two records count as the same."""
    permutations: int = Field(default=128, ge=32, le=512)
    """MinHash permutations; more of them miss fewer pairs."""


class SemanticDuplicateParams(Section):
    """Records that ask the same in other words, by a sentence encoder; off unless ``model`` is set.

    Every pair is compared: right for up to about a hundred thousand records.
    """

    model: str | None = None
    """A folder with an encoder that sentence-transformers loads (install ``serin[semantic]``)."""
    threshold: float = Field(default=0.95, gt=0, le=1)
    """Cosine similarity from which two records count as the same."""


class SplitParams(Section):
    """Which records judge, choose and train. By hash of a key, so that new data never moves old records."""

    group: str = "fact"
    """The ``meta`` field that names a record's group (records that share an answer); records without it stand alone."""
    by: Literal["record", "group"] = "record"
    """What ``test`` and ``validation`` draw: single records (other phrasings of a fact may be trained on), or whole groups."""
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


class EndpointParams(Section):
    """An OpenAI-compatible endpoint that ``augment`` and ``sensitive_words.judge`` ask; answers are kept and reused."""

    url: str | None = Field(default=None, pattern=r"^https?://")
    """Its base address, such as ``http://127.0.0.1:8000/v1``."""
    model: str = "default"
    """The model to ask for."""
    key_env: str = Field(default="OPENAI_API_KEY", pattern=r"^[A-Z_][A-Z0-9_]*$")
    """The environment variable that holds the key; the key itself never stands in a file."""
    cache: str = ".serin/cache/endpoint"
    """Folder of the answers got so far: the same question is never paid for twice."""
    max_requests: int = Field(default=1000, ge=0)
    """Budget: requests of one run, beyond which nothing more is asked and the rest is reported."""
    max_tokens: int = Field(default=1_000_000, ge=0)
    """Budget: tokens of one run, prompts and answers together."""
    concurrency: int = Field(default=4, ge=1, le=64)
    """Requests under way at once."""
    retries: int = Field(default=4, ge=0, le=20)
    """Tries after a failure that may pass (429, 5xx, no connection), with growing pauses."""
    timeout_s: float = Field(default=60.0, gt=0)
    """Longest wait for one answer."""


class AugmentParams(Section):
    """More training data from what is there; the train split only, marked in ``meta.augmented``. Off by default."""

    rules: int = Field(default=0, ge=0, le=5)
    """Rule-based variants of each train record; needs no endpoint."""
    paraphrases: int = Field(default=0, ge=0, le=10)
    """Paraphrases of each train record's question, by the endpoint."""
    documents: list[str] = Field(default=[])
    """Text and Markdown files, folders or globs, from whose passages the endpoint makes questions with answers."""
    questions_a_passage: int = Field(default=3, ge=1, le=20)
    """Questions for each passage of ``documents``."""
    passage_chars: int = Field(default=1200, ge=200, le=20000)
    """Longest passage, cut between paragraphs."""
    seed: int = Field(default=3, ge=0)
    """Which rule is applied to which record; sent to the endpoint too."""

    @property
    def is_on(self) -> bool:
        """Whether anything is to be generated."""
        return bool(self.rules or self.paraphrases or self.documents)


class LimitParams(Section):
    """Limits that turn the report into a gate: ``train`` and ``prepare --check`` exit 3 on a no. Null: no limit."""

    max_rejected: float | None = Field(default=None, ge=0, le=1)
    """Largest share of the records read that may be rejected, for any reason."""
    max_rejected_by: dict[Reason, Share] = Field(default={})
    """Likewise by reason, such as ``{near_duplicate: 0.1, not_json: 0}``."""
    max_personal_data: float | None = Field(default=None, ge=0, le=1)
    """Largest share of the records read in which personal data of any one type was found."""
    max_contaminated: int | None = Field(default=None, ge=0)
    """Most records that resembled one of ``benchmarks``."""
    min_train: int | None = Field(default=None, ge=1)
    """Fewest records in the train split."""
    min_language_share: dict[str, Share] = Field(default={})
    """Smallest share of languages among the records kept, such as ``{zh: 0.3}``."""


class PrepareParams(Section):
    """Stage ``prepare``: raw files to clean, deduplicated, split conversations."""

    sources: list[Source] = Field(default=[SourceParams(path="examples/labour-law/raw")], min_length=1)
    """Files, folders and globs, local or in S3; plain paths, or sections with ``path`` and what is to be said of it."""
    benchmarks: list[Source] = Field(default=[])
    """Files whose questions must not be trained on; what resembles them is rejected as ``benchmark``."""
    max_record_bytes: int = Field(default=1 << 20, ge=1024, le=1 << 28)
    """A record longer than this, as it stands in its file, is rejected as ``too_large`` without being read whole."""
    markup: Literal["strip", "keep"] = "strip"
    """HTML tags and entities left over from web pages; texts with code or about HTML are left alone."""
    languages: LanguageParams = LanguageParams()
    max_tokens: int = Field(default=256, ge=16)
    """Longest conversation, in tokens of the base tokenizer with its chat template."""
    too_long: Literal["drop", "truncate", "raise"] = "drop"
    """What happens to longer ones: rejected, cut after the last whole exchange that fits (never inside a turn), or an error."""
    personal_data: PersonalDataParams = PersonalDataParams()
    sensitive_words: SensitiveWordParams = SensitiveWordParams()
    near_duplicates: NearDuplicateParams = NearDuplicateParams()
    semantic_duplicates: SemanticDuplicateParams = SemanticDuplicateParams()
    split: SplitParams = SplitParams()
    endpoint: EndpointParams = EndpointParams()
    augment: AugmentParams = AugmentParams()
    limits: LimitParams = LimitParams()
    workers: int = Field(default=0, ge=0, le=256)
    """Processes that examine records; 0: one a core, and none beside this one for small inputs. The output is the same."""

    @model_validator(mode="after")
    def _has_an_endpoint_where_one_is_asked(self) -> "PrepareParams":
        asks = self.augment.paraphrases or self.augment.documents or self.sensitive_words.judge
        if asks and self.endpoint.url is None:
            raise ValueError("augment.paraphrases, augment.documents and sensitive_words.judge need endpoint.url")
        weights = sum(source.weight or 0 for source in self.sources)
        if weights >= 1:
            raise ValueError(f"the weights of sources add up to {weights:g}: must stay below 1")
        return self
