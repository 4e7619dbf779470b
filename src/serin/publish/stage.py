"""The stage ``publish``: a merged model becomes visible to serving, with its own passing verdict or a stated override.

What is written, in this order: the evidence and the card, named by their content; the published record, by a conditional write;
the output that DVC tracks. Serving looks at the record alone, so a kill between any two of these leaves a model that is not
visible, or visible with all of its evidence; running again goes on from there.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serin.clients.files import output_folder, read_json, read_manifest, seal, write_atomically, write_json
from serin.clients.models import read_pointer
from serin.clients.storage import Storage
from serin.core.params import PublishParams
from serin.core.revision import Revision
from serin.publish import evidence, verdict
from serin.publish.card import render_card
from serin.publish.evidence import Outputs
from serin.publish.record import Publication, Record
from serin.publish.registry.find import published, put, read_record
from serin.publish.registry.production import production
from serin.publish.registry.project import occasion
from serin.publish.verify import Progress, verify_stored

Clock = Callable[[], datetime]


def run(
    params: PublishParams,
    outputs: Outputs,
    storage: Storage,
    project: Path,
    out: Path,
    clock: Clock = lambda: datetime.now(UTC),
    progress: Progress = lambda *_: None,
) -> Record:
    """Check the verdict, verify the stored bytes, and make the revision visible. The same again changes nothing.

    Args:
        params: of the stage.
        outputs: what the stages before wrote.
        storage: where the model lies.
        project: the folder whose git says what is in production, if it is a repository.
        out: the folder that DVC tracks.
        clock: tells the time, in UTC.
        progress: hears how many bytes were verified.

    Raises:
        GateError: no passing verdict for this digest against what is in production, and no override.
        InputError: the stored model is not what the pointer says, or an output is not what the model was made from.
    """
    pointer = read_pointer(outputs.merged)
    revision = Revision(pointer.name, pointer.digest)
    known = read_record(storage, revision) if revision in published(storage, revision.name) else None
    judged, evaluation = _read_verdict(outputs.evaluation)
    was_let_pass = known is not None and known.override is None and known.evaluation == evaluation
    in_production = None if was_let_pass else production(revision.name, project, storage)
    parsed = verdict.parse_verdict(judged, str(outputs.evaluation)) if judged is not None else None
    override = verdict.check(revision, parsed, in_production, params.override)
    model = verify_stored(storage, pointer.prefix, revision, progress)
    records = evidence.gather(model, outputs)
    records[evidence.CARD] = render_card(revision, records, params, override).encode()
    publication = Publication(
        name=revision.name,
        digest=revision.digest,
        prefix=pointer.prefix,
        model_uri=storage.uri(pointer.prefix),
        lineage=model.inputs,
        verdict=judged,
        evaluation=evaluation,
        override=override,
        evidence=evidence.store(storage, revision, records),
    )
    at = clock().astimezone(UTC).isoformat(timespec="seconds")
    record = put(storage, publication, occasion(project, at))
    with output_folder(out) as folder:
        write_json(folder / "published.json", publication.model_dump())
        write_atomically(folder / evidence.CARD, records[evidence.CARD])
        lineage = {"override": override} if override else {}
        seal(folder, kind="published", inputs=model.inputs, params=params.model_dump(), lineage=lineage)
    return record


def _read_verdict(folder: Path | None) -> tuple[dict[str, Any] | None, str | None]:
    """The content of ``verdict.json`` as it was sealed, and the digest of its evaluation."""
    if folder is None:
        return None, None
    evaluation = read_manifest(folder, "evaluation", verify=True)
    return read_json(folder / evidence.VERDICT), evaluation.digest
