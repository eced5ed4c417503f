"""The folder that leaves the house: it needs nothing of ours to be served or trained on."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cells.drawing.cell import draw
from cells.walks.stack import CellNetwork
from nasnet.networks.saved import save_trained
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.errors import RunError, UserError
from nasnet.runtime.files import replaced, write_json, write_text

TOLERANCE = 1e-5
"""Largest difference allowed between the logits of the model and those of what was written."""

# Runs isolated (-I) in an empty folder: neither our packages nor the user's can be imported there.
_CHECK = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np, tensorflow as tf
folder, pictures, logits = sys.argv[1], *(np.load(sys.argv[2])[key] for key in ("pictures", "logits"))
model = keras.models.load_model(os.path.join(folder, "model.keras"))
saved = tf.saved_model.load(os.path.join(folder, "saved_model"))  # kept: it owns the variables of serve
foreign = sorted({type(layer).__module__ for layer in model.layers if not type(layer).__module__.startswith("keras.")})
print("model", float(np.abs(np.asarray(model(pictures)) - logits).max()))
print("serve", float(np.abs(saved.serve(tf.constant(pictures)).numpy() - logits).max()))
print("foreign", ",".join(foreign) or "none")
"""


def export(folder: Path, spec: NetworkSpec, model: keras.Model, metrics: dict[str, Any]) -> None:
    """Writes `{genotype.json, model.keras, saved_model/, metrics.json, cell.svg}` and checks them before they appear.

    Args:
        folder: where; it must not exist yet.
        spec: what `model` is built from.
        model: an inference model of stock Keras layers, from raw pixels to logits.
        metrics: what goes into `metrics.json`.

    Raises:
        UserError: if the folder exists.
        RunError: if what was written does not open elsewhere, or gives other logits than `model`.
    """
    if folder.exists():
        raise UserError(f"{folder} exists already; move it away first")
    for stale in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(stale)  # of a run that was killed; the workdir's lock is ours
    try:
        with replaced(folder) as beside:
            beside.mkdir(parents=True)
            save_trained(beside, spec, model)
            model.export(str(beside / "saved_model"), format="tf_saved_model", verbose=False)
            if isinstance(spec.architecture, CellNetwork):
                write_text(beside / "cell.svg", draw(spec.architecture.genotype, title=folder.parent.name))
            pictures = np.random.default_rng(0).integers(0, 256, (4, *spec.image_shape)).astype(np.float32)
            differences = _check(beside, pictures, np.asarray(model(pictures, training=False)))
            write_json(beside / "metrics.json", {**metrics, "export_check": differences})
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from error


def _check(folder: Path, pictures: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as empty:
        samples = Path(empty) / "samples.npz"
        np.savez(samples, pictures=pictures, logits=logits)
        command = [sys.executable, "-I", "-c", _CHECK, str(folder.resolve()), str(samples)]
        done = subprocess.run(command, cwd=empty, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunError(f"{folder}: does not open in a fresh process ({(done.stderr.splitlines() or ['?'])[-1]})")
    found = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    differences = {name: float(found[name]) for name in ("model", "serve")}
    # Relative to the logits' size: a tolerance in absolute terms would depend on how well the network was trained.
    allowed = TOLERANCE * max(1.0, float(np.abs(logits).max()))
    if max(differences.values()) > allowed or found["foreign"] != "none":
        raise RunError(
            f"{folder}: differs from the trained model (by {differences}, foreign layers {found['foreign']})"
        )
    return differences
