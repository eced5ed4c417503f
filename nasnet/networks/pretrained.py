"""keras.applications' NASNets, their ImageNet weights in our network: there, they build at any image size."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from cells.walks.stack import CellNetwork
from cells.zoo.cells import NASNET_A
from nasnet.networks.config import KERAS
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.errors import SettingError, first_line


@dataclasses.dataclass(frozen=True)
class ApplicationsNetwork:
    """One network of keras.applications (`keras/src/applications/nasnet.py`): 4 @ 1056 and 6 @ 4032 of the paper."""

    build: Callable[..., keras.Model]
    repeats: int
    filters: int
    stem_multiplier: float
    skip_reduction_input: bool
    image_size: int


PUBLISHED = {
    "NASNetMobile": ApplicationsNetwork(keras.applications.NASNetMobile, 4, 44, 1.0, False, 224),
    "NASNetLarge": ApplicationsNetwork(keras.applications.NASNetLarge, 6, 168, 3.0, True, 331),
}

# Its layers number a cell's operations by the place in the figure; those without weights have no name here.
_BLOCKS = {
    "normal": {"0.left": "left1", "0.right": "right1", "1.left": "left2", "1.right": "right2", "4.left": "left5"},
    "reduction": {"0.left": "left1", "0.right": "right1", "1.right": "right2", "2.right": "right3", "4.left": "left4"},
}


def load_pretrained(source: str, weights: str | None) -> tuple[NetworkSpec, keras.Model]:
    """Builds our network with the weights of one of theirs, at the size that it was trained at.

    Args:
        source: `keras:NASNetMobile` or `keras:NASNetLarge`.
        weights: a file of that network's weights (.h5 or .weights.h5), with its head or without; None downloads those
            of ImageNet, or finds them where Keras has put them before.

    Raises:
        SettingError: for another name, and for weights that cannot be had or read.
    """
    name = source.removeprefix(KERAS)
    if name not in PUBLISHED:
        raise SettingError("source", source, f"known are {', '.join(KERAS + known for known in PUBLISHED)}")
    theirs, with_head = _open(name, weights)
    published = PUBLISHED[name]
    spec = NetworkSpec(
        CellNetwork(
            NASNET_A,
            published.repeats,
            published.filters,
            classes=1000,
            stem="imagenet",
            stem_multiplier=published.stem_multiplier,
            skip_reduction_input=published.skip_reduction_input,
        ),
        classes=tuple(map(str, range(1000))),
        image_shape=(published.image_size, published.image_size, 3),
        # Their `preprocess_input`: from 0..255 to -1..1.
        mean=(127.5,) * 3,
        std=(127.5,) * 3,
        border="zero",  # what those weights were trained with
    )
    ours = build(spec)
    for weight, variable in named_weights(ours).items():
        if with_head or not weight.startswith("head."):
            variable.assign(their_weight(theirs, published.repeats, weight))
    return spec, ours


def _open(name: str, weights: str | None) -> tuple[keras.Model, bool]:
    make = PUBLISHED[name].build
    if weights is None:
        try:
            return make(weights="imagenet"), True
        except Exception as error:  # of the download: a dozen types, depending on what fails
            rule = f"its weights could not be downloaded ({first_line(error)}); expected a file of them, then"
            raise SettingError("source", f"{KERAS}{name}", rule, see=("weights",)) from error
    if not Path(weights).is_file():
        raise SettingError("weights", weights, "no such file")
    failures: list[str] = []
    for with_head in (True, False):
        model = make(weights=None, include_top=with_head)
        try:
            model.load_weights(weights)
        except Exception as error:  # h5py's and Keras', for anything that does not fit
            failures.append(first_line(error))
            continue
        return model, with_head
    rule = f"not the weights of {name} ({failures[0]}); expected an .h5 of keras.applications"
    raise SettingError("weights", weights, rule)


def their_weight(source: keras.Model, repeats: int, name: str) -> np.ndarray:
    """The value that a NASNet of keras.applications holds for one of our weights, by our name for it."""
    primitive, role = name.split("/")
    part, *rest = primitive.split(".")
    if part in ("stem", "head"):
        layer = {"stem.conv": "stem_conv1", "stem.bn": "stem_bn1", "head.dense": "predictions"}[primitive]
        return np.asarray(getattr(source.get_layer(layer), role))
    cell, kind = _their_cell(part, repeats), "normal" if part.startswith("cell") else "reduction"
    if rest[0] == "input":
        layer = {"conv": f"{kind}_conv_1_{cell}", "bn": f"{kind}_bn_1_{cell}"}[rest[1]]
    elif rest[0] == "previous":
        adjust = {"path_1": "conv_1", "path_2": "conv_2", "conv": "conv_projection", "bn": "bn"}[rest[1]]
        layer = f"adjust_{adjust}_{cell}"
    else:
        block = _BLOCKS[kind][f"{rest[0].removeprefix('block_')}.{rest[1]}"]
        operation, index = rest[2].split("_")
        layer = f"separable_conv_{index}{'_bn' if operation == 'bn' else ''}_{kind}_{block}_{cell}"
        if operation != "bn":
            role = f"{operation}_kernel"
    return np.asarray(getattr(source.get_layer(layer), role))


def _their_cell(part: str, repeats: int) -> str:
    kind, number = part.rsplit("_", 1)
    index = int(number)
    if kind == "cell":
        return str(index + (index >= repeats))  # as they count, whose third stage does not skip its reduction's number
    return f"stem_{index + 1}" if kind == "stem" else f"reduce_{(index + 1) * repeats}"
