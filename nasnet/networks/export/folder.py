"""The folder that leaves the house: it needs nothing of ours to be served or trained on."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from cells.drawing import cell, chain, parts
from cells.walks.chain import ChainNetwork
from cells.walks.stack import CellNetwork
from nasnet.data.fingerprint import Fingerprint
from nasnet.networks.export.serving import takes_files, write_saved_model
from nasnet.networks.saved import DATA, SOURCE_DATA, save_trained, weights_hash
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.errors import RunError, UserError
from nasnet.runtime.files import read_json, replaced, write_json, write_text

TOLERANCE = 1e-5
"""Largest difference allowed between the logits of the model and those of what was written."""

# Runs isolated (-I) in an empty folder, with the packages that this run uses and none of ours.
_CHECK = """
import json, os, sys
sys.path[:] = json.loads(sys.argv[1])
sys.modules.update(dict.fromkeys(("cells", "controller", "nasnet", "train")))  # None: cannot be imported
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np, tensorflow as tf
folder = sys.stdin.readline().rstrip("\\n")
samples = np.load("samples.npz")
pictures, logits = samples["pictures"], samples["logits"]
model = keras.models.load_model(os.path.join(folder, "model.keras"))
saved = tf.saved_model.load(os.path.join(folder, "saved_model"))  # kept: it owns the variables of serve
foreign = sorted({type(layer).__module__ for layer in model.layers if not type(layer).__module__.startswith("keras.")})
print("model", float(np.abs(np.asarray(model(pictures)) - logits).max()))
print("serve", float(np.abs(saved.serve(tf.constant(pictures)).numpy() - logits).max()))
if len(samples["encoded"]):
    likeliest = -np.sort(-tf.nn.softmax(logits).numpy())
    answer = saved.signatures["classify"](image_bytes=tf.constant(samples["encoded"].tolist()))
    print("classify", float(np.abs(answer["probabilities"].numpy() - likeliest).max()))
print("foreign", ",".join(foreign) or "none")
"""


def export(
    folder: Path,
    spec: NetworkSpec,
    model: keras.Model,
    metrics: dict[str, Any],
    *,
    data: Fingerprint | None = None,
    source_data: Fingerprint | None = None,
    replace: bool = False,
) -> None:
    """Writes an export, and checks it before it appears.

    It is `{genotype.json, model.keras, saved_model/, metrics.json, classes.txt}`, `cell.svg` for what is of cells
    and `network.svg` for what is not, `predict.py` for what takes picture files, and `data.json` and `source_data.json`
    where `data` and `source_data` are given.

    Args:
        folder: where.
        spec: what `model` is built from.
        model: an inference model of stock Keras layers, from raw pixels to logits.
        metrics: what goes into `metrics.json`; what `is_export_of` looks for joins it there.
        data: of the pictures that it was trained on.
        source_data: of those that the network that it was fine-tuned from has seen.
        replace: whether another export may stand there. It is put away once the new one is whole.

    Raises:
        UserError: if the folder exists, unless it is an export and `replace`; or cannot be written.
        RunError: if what was written does not open elsewhere, or gives other logits than `model`.
    """
    if folder.exists() and not (replace and (folder / "genotype.json").is_file()):
        raise UserError(f"{folder} exists already{' and is no export' if replace else ''}; move it away first")
    for stale in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(stale)  # of a run that was killed; the workdir's lock is ours
    try:
        with _fresh_process() as fresh, _in_place_of(folder), replaced(folder) as beside:
            beside.mkdir(parents=True)
            _write(beside, spec, model, folder.parent.name)
            for name, known in ((DATA, data), (SOURCE_DATA, source_data)):
                if known is not None:
                    write_json(beside / name, known.to_json())
            pictures = np.random.default_rng(0).integers(0, 256, (4, *spec.image_shape), np.uint8)
            logits = np.asarray(model(pictures.astype(np.float32), training=False))
            differences = _check(fresh, beside, pictures, logits, encode=takes_files(spec))
            files = {str(path.relative_to(beside)): _hash(path) for path in sorted(beside.rglob("*")) if path.is_file()}
            made = {"export_check": differences, "weights": weights_hash(model), "files": files}
            write_json(beside / "metrics.json", {**metrics, **made})
            if folder.exists():
                os.replace(folder, _old(folder))
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from error


def fingerprint_hash(data: Fingerprint) -> str:
    """SHA-256 of a fingerprint: what `metrics.json` knows the pictures by that its scores are of ("scored_on")."""
    return hashlib.sha256(json.dumps(data.to_json(), sort_keys=True).encode()).hexdigest()


def is_export_of(
    folder: Path,
    spec: NetworkSpec,
    model: keras.Model,
    data: Fingerprint | None,
    scored_on: str | None = None,
    source_data: Fingerprint | None = None,
) -> bool:
    """Whether a folder is a whole export of this network with these weights.

    Trained on `data`, its source on `source_data`, where these are known, and scored on the pictures of `scored_on`, as
    `fingerprint_hash` gives it.
    """
    try:
        metrics = read_json(folder / "metrics.json")
        files = metrics["files"].items()
        return (
            metrics["weights"] == weights_hash(model)
            and metrics.get("scored_on") == scored_on
            and {"genotype.json", "model.keras", "classes.txt"} <= dict(files).keys()
            and NetworkSpec.from_json(read_json(folder / "genotype.json")) == spec
            and _is_of(folder / DATA, data)
            and _is_of(folder / SOURCE_DATA, source_data)
            and all(_hash(folder / name) == value for name, value in files)
        )
    except (OSError, UserError, ValueError, KeyError, TypeError, AttributeError):
        return False  # of an older version, or half of one


def _is_of(path: Path, data: Fingerprint | None) -> bool:
    if data is None:
        return not path.exists()
    return Fingerprint.from_json(read_json(path)).difference(data) is None


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


@contextlib.contextmanager
def _in_place_of(folder: Path) -> Any:  # noqa: ANN401 - an iterator of nothing
    """Takes away what had to make room at `folder`, or puts it back where nothing took its place."""
    try:
        yield
    finally:
        if _old(folder).exists():
            if folder.exists():
                shutil.rmtree(_old(folder), ignore_errors=True)
            else:
                os.replace(_old(folder), folder)


def _write(folder: Path, spec: NetworkSpec, model: keras.Model, title: str) -> None:
    save_trained(folder, spec, model)
    write_saved_model(folder / "saved_model", spec, model)
    write_text(folder / "classes.txt", "".join(f"{name}\n" for name in spec.classes))
    if takes_files(spec):
        shutil.copyfile(Path(__file__).with_name("predict.py"), folder / "predict.py")
    name, picture = _picture(spec, title)
    write_text(folder / name, picture)


def _picture(spec: NetworkSpec, title: str) -> tuple[str, str]:
    """The name of the file that shows the network, and what is in it: cells, a chain's layers, or the parts."""
    if isinstance(spec.architecture, CellNetwork):
        return "cell.svg", cell.draw(spec.architecture.genotype, title=title)
    if isinstance(spec.architecture, ChainNetwork):
        return "network.svg", chain.draw(spec.architecture.genotype, image_shape=spec.image_shape, title=title)
    return "network.svg", parts.draw(spec.architecture, spec.image_shape, title=title)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclasses.dataclass(frozen=True)
class _Fresh:
    """A process that has imported Keras, or is about to, and waits for the name of a folder; it runs in `place`."""

    process: subprocess.Popen[str]
    place: Path


@contextlib.contextmanager
def _fresh_process() -> Iterator[_Fresh]:
    """Starts the process of `_check`: its imports take seconds, in which the folder is written."""
    packages = json.dumps([os.path.abspath(entry) for entry in sys.path if entry])
    with tempfile.TemporaryDirectory() as place:
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", _CHECK, packages],
            cwd=place,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield _Fresh(process, Path(place))
            finally:
                process.kill()


def _check(fresh: _Fresh, folder: Path, pictures: np.ndarray, logits: np.ndarray, *, encode: bool) -> dict[str, float]:
    """Opens a folder in a fresh process and compares its logits and, with `encode`, what it says of PNG files."""
    encoded = [_png(picture) for picture in pictures] if encode else []
    np.savez(
        fresh.place / "samples.npz",
        pictures=pictures.astype(np.float32),
        logits=logits,
        encoded=np.array(encoded, np.bytes_),
    )
    said, errors = fresh.process.communicate(f"{folder.resolve()}\n")
    if fresh.process.returncode:
        raise RunError(f"{folder}: does not open in a fresh process ({(errors.splitlines() or ['?'])[-1]})")
    found = dict(line.split(" ", 1) for line in said.splitlines())
    foreign = found.pop("foreign")
    differences = {name: float(value) for name, value in found.items()}
    # Relative to the logits' size: a tolerance in absolute terms would depend on how well the network was trained.
    allowed = TOLERANCE * max(1.0, float(np.abs(logits).max()))
    if max(differences.values()) > allowed or foreign != "none":
        raise RunError(f"{folder}: differs from the trained model (by {differences}, foreign layers {foreign})")
    return differences


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture.squeeze(-1) if picture.shape[2] == 1 else picture).save(buffer, "PNG")
    return buffer.getvalue()
