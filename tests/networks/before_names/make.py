"""Wrote the files beside it with commit 05486ed, before layers' names had no dots: `python make.py` in its checkout."""

import zipfile
from pathlib import Path

import numpy as np

from cells.genotype.cell import Block, Cell, CellGenotype
from cells.walks.stack import CellNetwork
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.saved import save_trained
from nasnet.networks.spec import NetworkSpec

FOLDER = Path(__file__).parent

if __name__ == "__main__":
    cell = Cell((Block(0, 1, "1x3 then 3x1 convolution", "3x3 depthwise-separable conv"),), (2,))
    spec = NetworkSpec(
        CellNetwork(CellGenotype(cell, cell), repeats=1, filters=2, classes=3),
        ("a", "b", "c"),
        (9, 7, 2),
        (90.0, 140.5),
        (60.25, 33.0),
    )
    model = build(spec, seed=5)
    rng = np.random.default_rng(7)
    for name, variable in named_weights(model).items():
        if "kernel" not in name:  # away from where batch norm and the head begin
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    pictures = rng.integers(0, 256, (3, *spec.image_shape)).astype(np.float32)
    save_trained(FOLDER, spec, model)
    np.savez(FOLDER / "logits.npz", pictures=pictures, logits=np.asarray(model(pictures, training=False)))
    # Keras stores its archive as it is: the same, packed.
    with zipfile.ZipFile(FOLDER / "model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(FOLDER / "model.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
