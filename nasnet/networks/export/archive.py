"""A `model.keras` from anywhere, looked into before Keras opens it. No TensorFlow, no Keras.

Keras' safe mode refuses a lambda and functions of foreign modules. It builds any layer of its own: one that reads a
vocabulary from a path, one that calls a SavedModel, one of more weights than there is memory. A network of ours is made
of a few kinds of layers, so what else a file names is refused here by name.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from cells.count import Counts
from nasnet.runtime.errors import UserError, first_line

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MOST_BYTES = {"metadata.json": 2**16, _CONFIG: 2**27}
_SPARE_BYTES = 2**25
"""What a file of weights may have beside two times the network's weights: HDF5's own, an older form of the network."""
_ALLOWED = {
    "keras": {"DTypePolicy"},
    "keras.initializers": {"GlorotUniform", "Ones", "VarianceScaling", "Zeros"},
    "keras.layers": {
        *("Activation", "Add", "AveragePooling2D", "BatchNormalization", "Concatenate", "Conv2D", "Cropping2D"),
        *("Dense", "DepthwiseConv2D", "Flatten", "GlobalAveragePooling2D", "InputLayer", "MaxPooling2D", "Multiply"),
        *("Normalization", "ReLU", "RepeatVector", "Rescaling", "SeparableConv2D", "ZeroPadding2D"),
    },
    "keras.src.models.functional": {"Functional"},
    "keras.src.ops.numpy": {
        *("Add", "Divide", "GetItem", "Multiply", "Negative", "Pad", "Power", "Square", "Subtract", "Sum"),
        "TrueDivide",
    },
    None: {"__ellipsis__", "__keras_tensor__", "__numpy__", "__slice__"},
}
"""Module -> what `networks.keras_reading` builds a network for inference from, and what older versions of it did."""
_WIDTHS = ("filters", "units", "depth_multiplier")
_SIDES = (
    "batch_shape",
    "cropping",
    "dilation_rate",
    "kernel_size",
    "n",
    "pad_width",
    "padding",
    "pool_size",
    "strides",
)
_LONGEST = 2**16
"""Pixels of a side: of a picture, a window, a border."""
_DAMAGED = (OSError, KeyError, ValueError, RecursionError, EOFError, RuntimeError, NotImplementedError, MemoryError)


def most_bytes(counts: Counts) -> int:
    """What the file of a network's weights may take, unpacked."""
    return 2 * 8 * sum(weight.size for weight in counts.weights) + _SPARE_BYTES


def check_archive(path: Path, counts: Counts) -> None:
    """Looks through a `.keras` file; nothing in it is built, run or written out.

    Args:
        path: the file.
        counts: of the network that it is said to hold, which says how large it may be.

    Raises:
        UserError: for what is damaged, what is larger than that network, and what Keras would run or read elsewhere.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, counts)
            _check_config(json.loads(archive.read(_CONFIG)), counts)
            check_hdf5(io.BytesIO(archive.read(_WEIGHTS)), most_bytes(counts))
    except (*_DAMAGED, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: cannot be opened ({first_line(error)})") from error


def check_hdf5(content: io.BytesIO | Path, most: int | None = None) -> None:
    """Raises ValueError for an HDF5 file that links to another file or place, or has arrays of more bytes than `most`.

    Raises OSError, RuntimeError or KeyError for what is no HDF5 file, or damaged.
    """
    with h5py.File(content, "r") as file:
        total = 0
        for item in _items(file, "", set()):
            total += math.prod(item.shape or ()) * item.dtype.itemsize
            if most is not None and total > most:
                raise ValueError(f"its arrays say that they are of more than {most} bytes")


def _items(group: h5py.Group, place: str, seen: set[int]) -> Iterator[h5py.Dataset]:
    for name in group:
        where = f"{place}/{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{where} is a link to another place")
        item = group[name]
        if isinstance(item, h5py.Group):
            known = h5py.h5o.get_info(item.id).addr
            if known in seen:
                raise ValueError(f"{where} is a group that is there twice")
            seen.add(known)
            yield from _items(item, where, seen)
        elif isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise ValueError(f"{where} is an array that lies in another file")
            yield item
        else:
            raise ValueError(f"{where} is no array")


def _check_members(archive: zipfile.ZipFile, counts: Counts) -> None:
    most = {**_MOST_BYTES, _WEIGHTS: most_bytes(counts)}
    names = [entry.filename for entry in archive.infolist()]
    if wrong := [name for name in names if name not in most or names.count(name) > 1]:
        raise ValueError(f"holds {wrong[0][:80]!r}; expected {', '.join(most)}, each once")
    if missing := [name for name in (_CONFIG, _WEIGHTS) if name not in names]:
        raise ValueError(f"holds no {missing[0]}")
    for entry in archive.infolist():
        if entry.file_size > most[entry.filename]:
            raise ValueError(f"{entry.filename} is of {entry.file_size} bytes, more than such a network has")


def _check_config(config: Any, counts: Counts) -> None:  # noqa: ANN401 - whatever a JSON file held
    if not isinstance(config, dict) or config.get("class_name") != "Functional":
        raise ValueError(f"{_CONFIG} is no functional model")
    widest = max((side for weight in counts.weights for side in weight.shape), default=1)
    waiting: list[Any] = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                _check_object(value, widest)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _check_object(value: dict[str, Any], widest: int) -> None:
    module, name, registered = value.get("module"), value["class_name"], value.get("registered_name")
    known = isinstance(module, str | None) and isinstance(name, str) and name in _ALLOWED.get(module, ())
    if not known or registered not in (None, name):
        of = ".".join(str(part) for part in (module, name) if part is not None)
        raise ValueError(f"asks for {of[:80]}, which no network of this program has; it is not opened")
    inner = value.get("config")
    for key, said in inner.items() if isinstance(inner, dict) else ():
        most = widest if key in _WIDTHS else _LONGEST
        if key in (*_WIDTHS, *_SIDES) and any(number > most for number in _whole(said)):
            raise ValueError(f"{name} has {key} {str(said)[:60]}, more than such a network has")


def _whole(said: Any) -> Iterator[int]:  # noqa: ANN401 - whatever a JSON file held
    if type(said) is int:
        yield said
    elif isinstance(said, list):
        for part in said[:8]:
            yield from _whole(part)
