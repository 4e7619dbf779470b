"""``serin quantise``: a merged model in fewer bits, stored beside it as a candidate with a digest of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serin.clients.files import read_manifest, scratch_folder, seal
from serin.clients.models import Pointer, read_pointer, store_model
from serin.clients.storage import Storage
from serin.core.errors import ConfigError
from serin.core.manifest import Manifest
from serin.core.params import QuantiseParams
from serin.lm.load import load_stops, load_tokenizer
from serin.quantise.calibration import draw, read_calibration, render
from serin.quantise.layers import read_layers
from serin.quantise.process import Job, Tell, compress
from serin.quantise.scheme import Scheme
from serin.quantise.weights import assemble, check, weights_bytes


@dataclass(frozen=True, slots=True)
class Quantised:
    """What was made: where it is, and what it saves."""

    pointer: Pointer
    weights_bytes: int
    merged_weights_bytes: int


def run(
    params: QuantiseParams,
    scheme: Scheme,
    merged: Path,
    dataset: Path | None,
    storage: Storage,
    python: Path,
    models: Path,
    environment: Mapping[str, str],
    out: Path,
    tell: Tell,
) -> Quantised:
    """Quantise the model that a pointer names, store it under ``models/<name>/<digest>``, and write its pointer to ``out``.

    The same inputs give the same bytes on the same processor with the same number of threads: sums of floating point numbers
    are made in another order elsewhere, and a weight halfway between two steps then falls to the other one.

    Args:
        params: of calibration.
        scheme: what to make.
        merged: the pointer's folder, as ``merge`` wrote it.
        dataset: the one that the model was trained on; its train split calibrates. Schemes that look at no activations do
            without it.
        storage: where the model is, and where the new one goes.
        python: of the environment that llm-compressor is in.
        models: a folder for models that come from a remote storage.
        environment: of the process.
        out: the new pointer's folder.
        tell: hears which layer of how many is at work, and at what.

    Raises:
        ConfigError: a model that cannot be quantised so, or a dataset that it was not trained on.
        InputError: the stored model is not what the pointer says.
        FinalError: llm-compressor failed, or what it wrote is not the model in fewer bits.
    """
    pointer = read_pointer(merged)
    model = storage.fetch_folder(pointer.prefix, models / pointer.digest)
    read_manifest(model, "model", verify=True)
    layers = read_layers(model)
    group_size = scheme.group_size(layers.widths)
    inputs = {**pointer.inputs, "merged": pointer.digest}
    calibration: list[list[int]] = []
    if scheme.is_calibrated:
        calibration, inputs["calibration"] = _calibrate(params, pointer, model, dataset)
    with scratch_folder(out) as scratch:
        made, export = scratch / "made", scratch / "model"
        export.mkdir()
        job = Job(str(model), str(made), str(scratch / "versions.json"), scheme.recipe(group_size), calibration)
        versions = compress(python, job, scratch, environment, tell)
        assemble(model, made, export)
        check(model, export, layers)
        sizes = weights_bytes(export), weights_bytes(model)
        manifest = _seal(export, params, scheme, group_size, inputs, versions)
        return Quantised(store_model(manifest, export, pointer.name, storage, out), *sizes)


def _calibrate(
    params: QuantiseParams, pointer: Pointer, model: Path, dataset: Path | None
) -> tuple[list[list[int]], str]:
    """Token ids, and the digest of the dataset that they are of.

    Another dataset's train split may hold what this model is judged on, so it is refused.
    """
    if dataset is None:
        raise ConfigError("this scheme looks at activations: name the dataset that the model was trained on")
    digest = read_manifest(dataset, "dataset").digest
    trained_on = pointer.inputs.get("dataset", digest)
    if trained_on != digest:
        raise ConfigError(
            f"{dataset} is {digest[:12]}, and the model was trained on {trained_on[:12]}: calibrate on that one; the train "
            "split of another may hold what this model is judged by"
        )
    tokenizer = load_tokenizer(model)
    drawn = draw(read_calibration(dataset), params.calibration_records, params.seed)
    return render(tokenizer, drawn, load_stops(model, tokenizer), params.max_tokens), digest


def _seal(
    export: Path,
    params: QuantiseParams,
    scheme: Scheme,
    group_size: int | None,
    inputs: Mapping[str, str],
    versions: Mapping[str, str],
) -> Manifest:
    how: dict[str, Any] = {"scheme": scheme.name, "group_size": group_size}
    if scheme.is_calibrated:
        how |= params.model_dump()
    return seal(export, kind="model", inputs=dict(inputs), params=how, lineage={"quantised_with": dict(versions)})
