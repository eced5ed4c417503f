"""npz:PATH, arrays in one file: x_train, y_train, x_test, y_test (as Keras' mnist.npz) or x, y."""

from __future__ import annotations

import functools
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nasnet.data.sources import Pool, Source, array_pool
from nasnet.runtime.errors import SettingError, UserError, first_line

_SPLIT_KEYS = ("x_train", "y_train", "x_test", "y_test")
_VALID_KEYS = ("x_valid", "y_valid")
_POOL_KEYS = ("x", "y")
# What numpy and zipfile raise on a damaged file.
_BROKEN = (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
_CHUNK = 2**22  # values converted at a time


def npz(path: Path, image_size: int | None) -> Source:
    """Images [N, height, width] or [N, height, width, channels], labels [N] or [N, 1], class names `classes` [K].

    The keys are x_train, y_train, x_test, y_test and optionally x_valid, y_valid; or x, y. Pixels are integers of 0 to
    255, or floats. Floats that are at most 1 all over x_train (or x) are taken for 0 to 1 and multiplied by 255;
    otherwise for 0 to 255. What x_train says holds for the other splits. Floats are then rounded to integers.

    Raises:
        UserError: for a file, key, shape or value that doesn't fit this.
    """
    keys = _keys(path)
    prefix = "_train" if "x_train" in keys else ""
    raw = _load(path, f"x{prefix}")
    unit = _is_unit(raw)
    train = _pool(path, prefix, raw, unit, image_size)
    return Source(
        _class_names(path, train.labels, "classes" in keys),
        train,
        functools.partial(_split, path, "_valid", unit, image_size) if "x_valid" in keys else None,
        functools.partial(_split, path, "_test", unit, image_size) if "x_test" in keys else None,
    )


def _keys(path: Path) -> list[str]:
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            keys = list(arrays.files)
    except (*_BROKEN, TypeError) as error:  # TypeError: what a .npy holds is no context manager
        raise SettingError("dataset", f"npz:{path}", "is not an npz file; expected what numpy.savez writes") from error
    needed = _POOL_KEYS if "x" in keys else _SPLIT_KEYS
    allowed = {*needed, "classes", *(_VALID_KEYS if needed == _SPLIT_KEYS else ())}
    paired = ("x_valid" in keys) == ("y_valid" in keys)
    if not set(needed) <= set(keys) or not set(keys) <= allowed or not paired:
        raise SettingError(
            "dataset",
            f"npz:{path}",
            f"holds {keys[:12]}; expected {', '.join(_SPLIT_KEYS)} and optionally {', '.join(_VALID_KEYS)}, or "
            f"{', '.join(_POOL_KEYS)}; both with optional classes",
        )
    return keys


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


def _split(path: Path, suffix: str, unit: bool, image_size: int | None) -> Pool:
    return _pool(path, suffix, _load(path, f"x{suffix}"), unit, image_size)


def _pool(path: Path, suffix: str, raw: np.ndarray, unit: bool, image_size: int | None) -> Pool:
    images = _images(f"npz:{path}: x{suffix}", raw, unit)
    labels = _labels(f"npz:{path}: y{suffix}", _load(path, f"y{suffix}"))
    if len(images) != len(labels):
        raise UserError(f"npz:{path}: x{suffix} has {len(images)} pictures and y{suffix} {len(labels)} labels")
    if not len(labels):
        raise UserError(f"npz:{path}: x{suffix} has no pictures")
    return array_pool(images, labels, image_size, f"npz:{path}: x{suffix}")


def _is_unit(raw: np.ndarray) -> bool:
    return raw.dtype.kind == "f" and raw.size > 0 and all(raw[rows].max() <= 1 for rows in _chunks(raw))


def _images(name: str, raw: np.ndarray, unit: bool) -> np.ndarray:
    """uint8 [N, height, width, channels], converted in pieces: no copy of the whole in another type is made."""
    if raw.dtype.kind not in "uif":
        raise UserError(f"{name} is of type {raw.dtype}; expected integers of 0 to 255, or floats")
    images = raw[..., np.newaxis] if raw.ndim == 3 else raw
    if images.ndim != 4 or 0 in images.shape[1:]:
        raise UserError(f"{name} has shape {raw.shape}; expected [N, height, width] or [N, height, width, channels]")
    if images.shape[1] in (1, 3) and images.shape[3] > 4:
        raise UserError(f"{name} has shape {raw.shape}, its channels first; expected [N, height, width, channels]")
    if images.dtype == np.uint8:
        return images
    limit = 1 if unit else 255
    converted = np.empty(images.shape, np.uint8)
    for rows in _chunks(images):
        piece = images[rows]
        low, high = piece.min(), piece.max()  # NaN, where there is one
        if not (low >= 0 and high <= limit):
            rule = "x_train is at most 1, so expected 0 to 1" if unit else "expected 0 to 255, or floats of 0 to 1"
            raise UserError(f"{name} has values from {low} to {high}; {rule}")
        converted[rows] = piece if piece.dtype.kind != "f" else np.rint(piece.astype(np.float64) * (255 / limit))
    return converted


def _chunks(images: np.ndarray) -> Iterator[slice]:
    step = max(1, _CHUNK * len(images) // max(1, images.size))
    return (slice(start, start + step) for start in range(0, len(images), step))


def _labels(name: str, raw: np.ndarray) -> np.ndarray:
    labels = raw[:, 0] if raw.ndim == 2 and raw.shape[1] == 1 else raw
    if labels.ndim != 1 or labels.dtype.kind not in "ui":
        raise UserError(f"{name} is {raw.dtype} of shape {raw.shape}; expected one integer label a picture")
    if len(labels) and labels.min() < 0:
        raise UserError(f"{name} has the label {labels.min()}; expected 0 to K-1")
    return labels


def _class_names(path: Path, labels: np.ndarray, stored: bool) -> tuple[str, ...]:
    if stored:
        names = _load(path, "classes")
        if names.ndim != 1 or names.dtype.kind != "U":
            raise UserError(f"npz:{path}: classes is {names.dtype} of shape {names.shape}; expected [K] strings")
        return tuple(names.tolist())
    present = np.unique(labels)
    gap = np.flatnonzero(present != np.arange(len(present)))
    if len(gap):
        raise UserError(
            f"npz:{path}: the labels of the training pictures go up to {present[-1]} and lack {gap[0]}; "
            f"expected 0 to K-1 without a gap, or an array classes"
        )
    return tuple(str(label) for label in present)
