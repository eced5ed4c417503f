"""Folders of small pictures for `folder:PATH`, and a network for them with weights that nobody trained."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from PIL import Image

from bench.drawn import cheap_genotype
from cells.walks.stack import CellNetwork
from nasnet.networks.keras_model import build
from nasnet.networks.saved import save_trained
from nasnet.networks.spec import NetworkSpec


def write_pictures(folder: Path, classes: dict[str, int], *, size: int = 8, seed: int = 0) -> None:
    """Writes `folder/<class>/<number>.png`, RGB noise, so many of each class."""
    rng = np.random.default_rng(seed)
    for name, number in classes.items():
        (folder / name).mkdir(parents=True)
        for index in range(number):
            pixels = rng.integers(0, 256, (size, size, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index:03d}.png")


def write_network(folder: Path, classes: tuple[str, ...], *, size: int = 8, seed: int = 0) -> NetworkSpec:
    """Writes a trained network's folder, as `--from` takes it: for RGB pictures of that size."""
    spec = NetworkSpec(
        CellNetwork(cheap_genotype(), 1, 4, len(classes)), classes, (size, size, 3), (127.0,) * 3, (74.0,) * 3
    )
    save_trained(folder, spec, unsure(build(spec, seed=seed)))
    return spec


def unsure(model: keras.Model) -> keras.Model:
    """A fresh network with a head so small that no answer of it is certain: a change in the pictures shows."""
    noise = np.random.default_rng(0).integers(0, 256, (32, *model.input_shape[1:])).astype(np.float32)
    logits = model.predict(noise, verbose=0)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel / logits.std(), bias - logits.mean(axis=0) / logits.std()])
    return model
