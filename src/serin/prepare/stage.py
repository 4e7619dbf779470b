"""The stage ``prepare``: raw files to clean, deduplicated, split conversations, and a report on all of them."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from serin.clients.endpoint import Endpoint
from serin.clients.files import digest_of_file, output_folder, scratch_folder, seal, write_atomically, write_json
from serin.core.conversation import Conversation
from serin.core.digest import digest_of_files
from serin.core.errors import ConfigError
from serin.core.manifest import Manifest
from serin.core.params import PrepareParams, SourceParams
from serin.prepare.augment import KINDS, augment
from serin.prepare.collect import Collector, Progress, Tally
from serin.prepare.decide import Decisions, decide
from serin.prepare.quality import quality
from serin.prepare.raw.sources import RawFile, find_files
from serin.prepare.record.examine import Examiner
from serin.prepare.record.sensitive import confirm
from serin.prepare.report.card import render_card
from serin.prepare.report.page import render_report
from serin.prepare.split import SPLITS
from serin.prepare.spool import Spool
from serin.prepare.write import choose_samples, write_records

_REJECTIONS = "rejections"
# What is generated is for training only.
_GENERATED = SourceParams(path="augmentation", split="train")


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that is known after the last record was judged, and where the records wait to be written."""

    files: tuple[RawFile, ...]
    spool: Spool
    tally: Tally
    decisions: Decisions
    report: dict[str, Any]


def run(
    params: PrepareParams,
    base: Path,
    base_digest: str,
    out: Path,
    progress: Progress,
    endpoint_url: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Manifest:
    """Write one ``.jsonl`` a split, ``rejected.jsonl``, ``quality.json``, ``quality.html`` and a data card to ``out``.

    Args:
        endpoint_url: of an S3 server other than AWS, for sources in S3.
        environment: where the key of ``params.endpoint`` is looked up.

    Raises:
        InputError: a source that names nothing or cannot be read.
        ConfigError: nothing is left to train on, or a record is too long where params say to raise.
    """
    with (
        scratch_folder(out) as scratch,
        _prepared(params, base, scratch, progress, endpoint_url, environment) as prepared,
    ):
        report = prepared.report
        if not report["splits"]["train"]["records"]:
            reasons = ", ".join(f"{count} {reason}" for reason, count in report["rejected"].items())
            raise ConfigError(
                f"no record is left to train on ({report['kept']} kept; rejected: {reasons or 'none'}): check "
                "prepare.sources, prepare.max_tokens and prepare.split"
            )
        with output_folder(out) as folder:
            samples = write_records(folder, prepared.spool, prepared.tally, prepared.decisions, scratch / _REJECTIONS)
            write_json(folder / "quality.json", report)
            page = render_report(report, samples, params.max_tokens)
            write_atomically(folder / "quality.html", page.encode())
            write_atomically(folder / "README.md", render_card(report, params, {"digest": base_digest}).encode())
            counts = {split: report["splits"][split]["records"] for split in SPLITS}
            return seal(
                folder,
                kind="dataset",
                inputs={"base": base_digest, "raw": _digest_of(prepared.files)},
                params=params.model_dump(exclude={"workers"}),
                metrics={"records": counts, "gate": report["gate"]},
                lineage=_lineage(prepared),
            )


def check(
    params: PrepareParams,
    base: Path | None,
    progress: Progress,
    page: Path | None = None,
    endpoint_url: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> dict[str, Any]:
    """The content of ``quality.json`` without a dataset; ``page`` is where ``quality.html`` goes, if anywhere.

    Lengths in tokens are not measured without a ``base``, and the endpoint is asked nothing.
    """
    with (
        TemporaryDirectory(prefix="serin-check-") as scratch,
        _prepared(params, base, Path(scratch), progress, endpoint_url, environment, dry_run=True) as prepared,
    ):
        if page is not None:
            samples = choose_samples(prepared.spool, prepared.tally, prepared.decisions, Path(scratch) / _REJECTIONS)
            write_atomically(page, render_report(prepared.report, samples, params.max_tokens).encode())
        return prepared.report


def _digest_of(files: Sequence[RawFile]) -> str:
    """The digest over raw files by their names; those in S3 count by name and size."""
    return digest_of_files(
        {file.name: str(file.size_bytes) if file.is_remote else digest_of_file(Path(file.path)) for file in files}
    )


def _lineage(prepared: Prepared) -> dict[str, Any]:
    """How many kept records each revision answered, where answers of a model were captured."""
    is_captured = np.array([file.is_captured for file in prepared.tally.files])
    numbers = np.flatnonzero(prepared.decisions.kept & is_captured[prepared.spool.column("file")]).tolist()
    answered = Counter(str(prepared.spool.conversation(number).meta["revision"]) for number in numbers)
    return {"captured": dict(sorted(answered.items()))} if answered else {}


@contextmanager
def _prepared(
    params: PrepareParams,
    base: Path | None,
    scratch: Path,
    progress: Progress,
    endpoint_url: str | None,
    environment: Mapping[str, str],
    dry_run: bool = False,
) -> Iterator[Prepared]:
    benchmarks, files = find_files(params.benchmarks, endpoint_url), find_files(params.sources, endpoint_url)
    endpoint = Endpoint(params.endpoint, environment) if params.endpoint.url is not None else None
    examiner = Examiner(params, base)
    spool = Spool(scratch, examiner.bands, params.near_duplicates.permutations)
    try:
        with (scratch / _REJECTIONS).open("wb") as rejections:
            collector = Collector(examiner, spool, rejections)
            collector.read_files(benchmarks, files, endpoint_url, progress)
            tally = collector.tally
            objectionable = [] if dry_run else _objectionable(params, spool, tally, endpoint)
            decisions = decide(spool, params, tally.sources, objectionable)
            made = None
            if params.augment.is_on:
                made = augment(params.augment, _to_augment(spool, tally, decisions), endpoint, dry_run)
                collector.take_generated(_GENERATED, made.records)
                decisions = decide(spool, params, tally.sources, objectionable)
        augmentation = None
        if made is not None:
            augmentation = _told(made.report(), endpoint, progress) | {
                "kept": _kept_of_generated(spool, tally, decisions)
            }
        yield Prepared(
            (*benchmarks, *files), spool, tally, decisions, quality(params, tally, spool, decisions, augmentation)
        )
    finally:
        spool.close()


def _objectionable(params: PrepareParams, spool: Spool, tally: Tally, endpoint: Endpoint | None) -> list[int]:
    """The records in which a list found a word and the judge, asked, agrees."""
    if not tally.to_judge or endpoint is None:
        return []
    asked = [spool.conversation(number) for number in tally.to_judge]
    confirmed = [number for number, yes in zip(tally.to_judge, confirm(endpoint, asked), strict=True) if yes]
    tally.counts.words["confirmed"] = len(confirmed)
    return confirmed if params.sensitive_words.action == "drop" else []


def _to_augment(spool: Spool, tally: Tally, decisions: Decisions) -> Iterator[Conversation]:
    """The kept train records of sources without a weight: what is mixed in from elsewhere is not multiplied."""
    is_own = np.array([file.source.weight is None for file in tally.files])
    train = decisions.kept & (spool.column("split") == SPLITS.index("train")) & is_own[spool.column("file")]
    for number in np.flatnonzero(train).tolist():
        yield spool.conversation(number)


def _told(augmented: dict[str, Any], endpoint: Endpoint | None, progress: Progress) -> dict[str, Any]:
    """What was generated, without what differs when answers come from the cache: that is told as progress instead."""
    if augmented["dry_run"]:
        return augmented
    requests, cached, tokens = (augmented.pop(name) for name in ("requests", "cached", "tokens"))
    if endpoint is not None:
        why = f"; {augmented['failed']:,} failed, the last: {endpoint.last_failure}" if endpoint.last_failure else ""
        progress(1, 1, f"endpoint: {requests:,} requests for {tokens:,} tokens, {cached:,} from the cache{why}")
    return {**augmented, "questions": requests + cached}


def _kept_of_generated(spool: Spool, tally: Tally, decisions: Decisions) -> dict[str, int]:
    is_generated = np.array([file.is_augmented for file in tally.files])
    numbers = np.flatnonzero(decisions.kept & is_generated[spool.column("file")]).tolist()
    kinds = Counter(spool.conversation(number).meta["augmented"]["by"] for number in numbers)
    return {kind: kinds[kind] for kind in KINDS}
