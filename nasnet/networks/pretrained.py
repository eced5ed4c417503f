"""keras.applications' NASNets, their ImageNet weights in our network: there, they build at any image size."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from cells.walks.stack import CellNetwork
from cells.zoo.cells import NASNET_A
from nasnet.networks.config import KERAS
from nasnet.networks.export.archive import check_hdf5
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.errors import SettingError, first_line
from nasnet.runtime.files import expanded

_MOST_BYTES = 2**32
"""Of a file: NASNetLarge has 89 million weights in four bytes each; a model saved whole has its optimizer's beside."""
IMAGENET = 1000
"""Classes of the weights that are downloaded."""


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


def load_pretrained(source: str, weights: str | None, *, fresh_head: bool = False) -> tuple[NetworkSpec, keras.Model]:
    """Builds our network with the weights of one of theirs, at the size that it was trained at.

    Args:
        source: `keras:NASNetMobile` or `keras:NASNetLarge`.
        weights: a file of that network (.h5, .weights.h5 or .keras; weights, or a model whole), of any number of
            classes; None downloads the weights of ImageNet, or finds them where Keras has put them before.
        fresh_head: whether the head is of no account, as in fine-tuning: then a file without one will do as well.

    Raises:
        SettingError: for another name, and for weights that cannot be had or read, or have no head.
    """
    name = source.removeprefix(KERAS)
    if name not in PUBLISHED:
        raise SettingError("source", source, f"known are {', '.join(KERAS + known for known in PUBLISHED)}")
    published = PUBLISHED[name]
    if weights is None:
        theirs, classes = _downloaded(name), IMAGENET
    else:
        theirs, classes = _read(name, weights, fresh_head)
    spec = NetworkSpec(
        CellNetwork(
            NASNET_A,
            published.repeats,
            published.filters,
            classes=classes or IMAGENET,
            stem="imagenet",
            stem_multiplier=published.stem_multiplier,
            skip_reduction_input=published.skip_reduction_input,
        ),
        classes=tuple(map(str, range(classes or IMAGENET))),
        image_shape=(published.image_size, published.image_size, 3),
        # Their `preprocess_input`: from 0..255 to -1..1.
        mean=(127.5,) * 3,
        std=(127.5,) * 3,
        border="zero",  # what those weights were trained with
    )
    ours = build(spec)
    for weight, variable in named_weights(ours).items():
        if classes or not weight.startswith("head."):
            variable.assign(their_weight(theirs, published.repeats, weight))
    return spec, ours


def _downloaded(name: str) -> keras.Model:
    try:
        return PUBLISHED[name].build(weights="imagenet")
    except Exception as error:  # of the download: a dozen types, depending on what fails
        rule = f"its weights could not be downloaded ({first_line(error)}); expected a file of them, then"
        raise SettingError("source", f"{KERAS}{name}", rule, see=("weights",)) from error


def _read(name: str, weights: str, fresh_head: bool) -> tuple[keras.Model, int | None]:
    """Their network with a file's weights, and how many classes its head has; None where it has no head."""
    path = expanded(weights)
    if not path.is_file():
        raise SettingError("weights", weights, "no such file")
    with _names_the_file(name, weights):
        heads = _heads(path)
    if not heads and not fresh_head:
        rule = f"a {name} without its head, which knows no classes; expected one with it, or fine-tune it first"
        raise SettingError("weights", weights, rule)
    with _names_the_file(name, weights):
        size = {"classes": heads[0], "classifier_activation": None} if heads else {"include_top": False}
        model = PUBLISHED[name].build(weights=None, **size)
        model.load_weights(path)
    return model, heads[0] if heads else None


@contextlib.contextmanager
def _names_the_file(name: str, weights: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # h5py's, zipfile's and Keras', for anything that does not fit
        rule = f"not the weights of {name} ({first_line(error)}); expected an .h5 or a .keras of keras.applications"
        raise SettingError("weights", weights, rule) from error


def _heads(path: Path) -> list[int]:
    """The widths of the dense layers in a file: their networks have one, the head, and no other array of two axes."""
    content: Any = path
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            if (size := archive.getinfo("model.weights.h5").file_size) > _MOST_BYTES:
                raise ValueError(f"model.weights.h5 is of {size} bytes, more than such a network has")
            content = io.BytesIO(archive.read("model.weights.h5"))
    check_hdf5(content, _MOST_BYTES)  # Keras follows links of older files
    heads: list[int] = []

    def look(name: str, item: Any) -> None:  # noqa: ANN401 - a group, or an array
        # A model saved whole has its optimizer's state beside its weights.
        if isinstance(item, h5py.Dataset) and len(item.shape) == 2 and not name.startswith("optimizer"):
            heads.append(int(item.shape[1]))

    with h5py.File(content, "r") as file:
        file.visititems(look)
    return heads


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
