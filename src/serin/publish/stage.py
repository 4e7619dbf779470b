"""The stage ``publish``: a merged model becomes visible to serving, with its own passing verdict or a stated override."""

import json
import tempfile
from pathlib import Path

from serin.clients.files import output_folder, read_json, read_manifest, seal, write_json
from serin.clients.storage import Storage
from serin.core.errors import GateError, InputError
from serin.core.manifest import MANIFEST
from serin.core.params import PublishParams
from serin.core.revision import Revision


def run(params: PublishParams, merged: Path, verdict: Path | None, storage: Storage, out: Path) -> Revision:
    """Verify the stored bytes, check the verdict, and write the published record.

    Raises:
        GateError: no passing verdict for this digest, and no override.
        InputError: the stored model is not what the pointer says.
    """
    pointer = read_json(merged / "pointer.json")
    revision = Revision(pointer["name"], pointer["digest"])
    verify_stored(storage, pointer["prefix"], revision.digest)
    judged = read_json(verdict / "verdict.json") if verdict is not None else None
    check_verdict(revision, judged, params.override)
    record = {
        "name": revision.name,
        "digest": revision.digest,
        "model_uri": storage.uri(pointer["prefix"]),
        "prefix": pointer["prefix"],
        "lineage": pointer["inputs"],
        "verdict": judged,
        "override": params.override if judged is None or not judged["passed"] else None,
    }
    key = f"published/{revision.name}/{revision.digest}.json"
    storage.write(key, json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False).encode())
    with output_folder(out) as folder:
        write_json(folder / "published.json", record)
        lineage = {"override": record["override"]} if record["override"] else {}
        seal(folder, kind="published", inputs=pointer["inputs"], params=params.model_dump(), lineage=lineage)
    return revision


def check_verdict(revision: Revision, verdict: dict[str, object] | None, override: str | None) -> None:
    """Refuse a digest without its own passing verdict, unless there is a reason to override."""
    if override:
        return
    if verdict is None:
        raise GateError(f"{revision} has no verdict: run 'serin evaluate', or publish with --override REASON")
    if verdict["digest"] != revision.digest:
        raise GateError(
            f"the verdict is about {str(verdict['digest'])[:12]}, not about {revision}: evaluate this model, or publish "
            "with --override REASON"
        )
    if not verdict["passed"]:
        rules = verdict["rules"]
        missed = [r for r in rules if not r["passed"]] if isinstance(rules, list) else []
        shown = "; ".join(f"{r['rule']} {r['found']:.3f}, limit {r['limit']:.3f}" for r in missed)
        raise GateError(
            f"{revision} did not pass its evaluation ({shown}): train better, or publish with --override REASON"
        )


def verify_stored(storage: Storage, prefix: str, digest: str) -> None:
    """Compare every stored byte with the manifest, and the manifest with the digest."""
    if f"{prefix}/{MANIFEST}" not in storage.list(prefix):
        raise InputError(f"{storage.uri(prefix)} is not complete: run 'serin merge' again")
    with tempfile.TemporaryDirectory(prefix="serin-publish-") as scratch:
        manifest = read_manifest(storage.fetch_folder(prefix, Path(scratch) / "model"), "model", verify=True)
    if manifest.digest != digest:
        raise InputError(f"{storage.uri(prefix)} holds {manifest.digest[:12]}, expected {digest[:12]}: merge again")
