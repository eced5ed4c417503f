"""Arrays: npz:PATH, those of one file (x_train, y_train, x_test, y_test, as Keras' mnist.npz; x, y), or in memory."""

from __future__ import annotations

import functools
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from nasnet.data.folder import VALID_NAMES
from nasnet.data.sources import Loaded, Size, Source, from_array
from nasnet.data.splits import content_hash
from nasnet.runtime.errors import SettingError, UserError, first_line

# What numpy and zipfile raise on a damaged file.
_BROKEN = (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
_CHUNK = 2**22  # values converted at a time


def npz(path: Path) -> Source:
    """Images [N, height, width] or [N, height, width, channels], labels [N] or [N, 1], class names `classes` [K].

    The keys are x_train, y_train, and what there is of x_valid, y_valid (or val, validation) and x_test, y_test; or
    x, y. Pixels are integers, or floats. Floats that are at most 1 all over x_train (or x) are taken for 0 to 1 and
    multiplied by 255; otherwise for 0 to 255. What x_train says holds for the other splits. Floats are then rounded.
    Integers above 255 are as the values of 16-bit files (`Preparation.white`).

    A test split whose y_test holds -1 has hidden labels.

    Raises:
        UserError: for a file, key, shape or value that doesn't fit this.
    """
    keys = _keys(path)
    prefix = "_train" if "x_train" in keys else ""
    valid = next((f"_{name}" for name in VALID_NAMES if f"x_{name}" in keys), None)
    raw = _load(path, f"x{prefix}")
    unit = _is_unit(raw)
    labels = _labels(f"npz:{path}: y{prefix}", _load(path, f"y{prefix}"))
    read = functools.partial(_split, path, unit)
    return Source(
        _stored_names(path) if "classes" in keys else _class_names(f"npz:{path}", labels),
        functools.partial(_pool, f"npz:{path}", unit, prefix, raw, labels),
        functools.partial(read, valid) if valid else None,
        functools.partial(read, "_test") if "x_test" in keys else None,
        _listing(path, ("x_test", "y_test")),
        "x_test" in keys and _hides_labels(path),
    )


def arrays(
    where: str, splits: Mapping[str, tuple[np.ndarray, np.ndarray]], classes: tuple[str, ...] | None = None
) -> Source:
    """Images and labels in memory, as those of a file: of "train" and what there is of "valid" and "test".

    Args:
        where: what stands before an array's name in a message.
        splits: images `[N, height, width]` or `[N, height, width, channels]`, labels `[N]` or `[N, 1]`, a split.
        classes: names of the classes; None names them by their numbers.

    Raises:
        UserError: for a shape or a value that does not fit this.
    """
    unit = _is_unit(splits["train"][0])
    labels = {name: _labels(f"{where}: y_{name}", of, -1 if name == "test" else 0) for name, (_, of) in splits.items()}
    loads = {
        name: functools.partial(_pool, where, unit, f"_{name}", images, labels[name])
        for name, (images, _) in splits.items()
    }
    names = _class_names(where, labels["train"]) if classes is None else classes
    listing, hidden = dict[str, str](), False
    if "test" in splits:
        of_test = {"x_test": splits["test"][0], "y_test": labels["test"]}
        listing = {name: f"{of.nbytes}:{content_hash(of.tobytes())}" for name, of in of_test.items()}
        hidden = bool((labels["test"] == -1).any())
    return Source(names, loads["train"], loads.get("valid"), loads.get("test"), listing, hidden)


def _keys(path: Path) -> list[str]:
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            keys = list(arrays.files)
    except (*_BROKEN, TypeError) as error:  # TypeError: what a .npy holds is no context manager
        raise SettingError("dataset", f"npz:{path}", "is not an npz file; expected what numpy.savez writes") from error
    valid = [name for name in VALID_NAMES if {f"x_{name}", f"y_{name}"} & set(keys)]
    pool = "x" in keys or "y" in keys
    parts = ["train", *valid, *(["test"] if {"x_test", "y_test"} & set(keys) else [])]
    needed = {"x", "y"} if pool else {f"{axis}_{part}" for part in parts for axis in "xy"}
    if not needed <= set(keys) <= needed | {"classes"} or len(valid) > 1:
        raise SettingError(
            "dataset",
            f"npz:{path}",
            f"holds {keys[:12]}; expected x_train, y_train, x_test, y_test and optionally x_valid, y_valid (or val, or "
            "validation), or the same without test, or x, y; all with optional classes",
        )
    return keys


def _listing(path: Path, keys: tuple[str, ...]) -> dict[str, str]:
    """What the file's own directory says of some arrays: bytes and CRC-32. Nothing of them is read."""
    with zipfile.ZipFile(path) as archive:
        there = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
    return {key: f"{there[key].file_size}:crc32-{there[key].CRC:08x}" for key in keys if key in there}


def _hides_labels(path: Path) -> bool:
    """Whether the test pictures' labels are not given: more of them is not looked at; damage is told later."""
    try:
        labels = _load(path, "y_test")
    except UserError:
        return False
    return labels.dtype.kind == "i" and bool((labels == -1).any())


def _load(path: Path, key: str) -> np.ndarray:
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            array = arrays[key]
    except (*_BROKEN, MemoryError) as error:
        message = first_line(error)
        reason = "Python objects, not numbers" if "allow_pickle" in message else message
        raise UserError(f"npz:{path}: {key} can't be read ({reason})") from error
    if not isinstance(array, np.ndarray):
        raise UserError(f"npz:{path}: {key} is not an array")
    return array


def _split(path: Path, unit: bool, suffix: str, size: Size | None) -> Loaded:
    raw = _load(path, f"x{suffix}")
    return _pool(f"npz:{path}", unit, suffix, raw, _labels(f"npz:{path}: y{suffix}", _load(path, f"y{suffix}")), size)


def _pool(where: str, unit: bool, suffix: str, raw: np.ndarray, labels: np.ndarray, size: Size | None) -> Loaded:
    if raw.ndim and len(raw) != len(labels):
        raise UserError(f"{where}: x{suffix} has {len(raw)} pictures and y{suffix} {len(labels)} labels")
    if not len(labels):
        raise UserError(f"{where}: x{suffix} has no pictures")
    images = _images(f"{where}: x{suffix}", raw, unit)
    return from_array(raw, images, labels, size, f"{where}: ", f"x{suffix}")


def _is_unit(raw: np.ndarray) -> bool:
    return raw.dtype.kind == "f" and raw.size > 0 and all(raw[rows].max() <= 1 for rows in _chunks(raw))


def _images(name: str, raw: np.ndarray, unit: bool) -> np.ndarray:
    """[N, height, width, channels], uint8, or uint16 for integers of other types; converted in pieces."""
    if raw.dtype.kind not in "uif":
        raise UserError(f"{name} is of type {raw.dtype}; expected integers of 0 to 255, or floats (or 16 bits)")
    images = raw[..., np.newaxis] if raw.ndim == 3 else raw
    if images.ndim != 4 or 0 in images.shape[1:]:
        raise UserError(f"{name} has shape {raw.shape}; expected [N, height, width] or [N, height, width, channels]")
    if images.shape[1] in (1, 3) and images.shape[3] > 4:
        raise UserError(f"{name} has shape {raw.shape}, its channels first; expected [N, height, width, channels]")
    if images.dtype == np.uint8:
        return images
    floats = images.dtype.kind == "f"
    limit = (1 if unit else 255) if floats else 65535
    ends = [(images[rows].min(), images[rows].max()) for rows in _chunks(images)]
    low, high = np.array([end[0] for end in ends]).min(), np.array([end[1] for end in ends]).max()  # NaN is both
    if not (low >= 0 and high <= limit):
        rule = "expected 0 to 255, or floats of 0 to 1" if floats else "expected integers of 0 to 65535"
        rule = "x_train is at most 1, so expected 0 to 1" if unit and floats else rule
        raise UserError(f"{name} has values from {low} to {high}; {rule}")
    converted = np.empty(images.shape, np.uint8 if floats else np.uint16)
    for rows in _chunks(images):
        converted[rows] = np.rint(images[rows].astype(np.float64) * (255 / limit)) if floats else images[rows]
    return converted


def _chunks(images: np.ndarray) -> Iterator[slice]:
    step = max(1, _CHUNK * len(images) // max(1, images.size))
    return (slice(start, start + step) for start in range(0, len(images), step))


def _labels(name: str, raw: np.ndarray, least: int = 0) -> np.ndarray:
    labels = raw[:, 0] if raw.ndim == 2 and raw.shape[1] == 1 else raw
    if labels.ndim != 1 or labels.dtype.kind not in "ui":
        raise UserError(f"{name} is {raw.dtype} of shape {raw.shape}; expected one integer label a picture")
    if len(labels) and labels.min() < least:
        raise UserError(f"{name} has the label {labels.min()}; expected 0 to K-1")
    return labels


def _stored_names(path: Path) -> tuple[str, ...]:
    names = _load(path, "classes")
    if names.ndim != 1 or names.dtype.kind != "U":
        raise UserError(f"npz:{path}: classes is {names.dtype} of shape {names.shape}; expected [K] strings")
    return tuple(names.tolist())


def _class_names(where: str, labels: np.ndarray) -> tuple[str, ...]:
    present = np.unique(labels)
    gap = np.flatnonzero(present != np.arange(len(present)))
    if len(gap):
        raise UserError(
            f"{where}: the labels of the training pictures go up to {present[-1]} and lack {gap[0]}; "
            f"expected 0 to K-1 without a gap, or classes by name"
        )
    return tuple(str(label) for label in present)
