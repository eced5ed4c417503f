"""What `nasnet.search` takes for pictures: a name or a path, arrays, a `tf.data.Dataset`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nasnet.data.npz import arrays
from nasnet.data.sources import Source
from nasnet.data.splits import content_hash
from nasnet.runtime.errors import SettingError, shortened
from nasnet.runtime.files import expanded

Pictures = Any
"""A text or a `Path`; a pair (images, labels); a pair of such pairs, the second for test; a `tf.data.Dataset` of such
pairs, batched or not; or a mapping with any of these but names under "train", and "valid" and "test" if there are."""
_SPLITS = ("train", "valid", "test")
_RULE = "expected a name or a path, a pair of arrays, ((x, y), (x_test, y_test)), a tf.data.Dataset, or a dict of them"


def named(data: str | Path) -> str:
    """The setting `dataset` that a name or a path means: a folder of pictures and an .npz file need no prefix."""
    text = str(data)
    try:
        if (path := expanded(text)).is_dir():
            return f"folder:{text}"
        return f"npz:{text}" if path.is_file() and path.suffix == ".npz" else text
    except OSError:
        return text  # which is refused as any other name


def source_of(data: Pictures, class_names: Sequence[str] | None = None) -> tuple[str, Source]:
    """What pictures that a program holds are called, and what there is to read of them.

    Pictures are as `nasnet.data.npz.arrays` takes them, labels whole numbers or one-hot. Those of a `tf.data.Dataset`
    are read once, into memory, and put into an order by their content: it may shuffle as it likes. The names of the
    classes are those that are given, or a data set's `class_names`, or numbers.

    Raises:
        UserError: for anything else.
    """
    splits, called, names = dict[str, tuple[np.ndarray, np.ndarray]](), "arrays", class_names
    parts = _parts(data)
    _check_names(parts)
    for split, of in parts.items():
        if hasattr(of, "element_spec"):
            called = "tf.data"
            names = getattr(of, "class_names", None) if names is None else names
            images, labels = _read(of, split)
        else:
            images, labels = np.asarray(of[0]), np.asarray(of[1])
        splits[split] = images, _numbered(labels, split)
    if names is not None and not all(isinstance(name, str) for name in names):
        raise SettingError("class_names", names, "expected texts, one a class")
    return called, arrays("data", splits, None if names is None else tuple(names))


def _parts(data: Pictures) -> dict[str, Any]:
    parts: dict[str, Any] = {"train": data}
    if isinstance(data, Mapping):
        if "train" not in data or not set(data) <= set(_SPLITS):
            raise SettingError("data", sorted(map(str, data)), 'expected "train", and "valid" and "test" if there are')
        parts = {split: data[split] for split in _SPLITS if split in data}
    elif isinstance(data, (tuple, list)) and len(data) == 2 and all(map(_is_pair, data)):
        parts = {"train": data[0], "test": data[1]}
    for of in parts.values():
        if not (_is_pair(of) or hasattr(of, "element_spec")):
            raise SettingError("data", _shown(data), _RULE)
    return parts


def _check_names(parts: Mapping[str, Any]) -> None:
    """Raises SettingError where label 0 of one data set is not what it is of another: a folder may lack a class."""
    said = {split: getattr(of, "class_names", None) for split, of in parts.items()}
    named = {split: list(names) for split, names in said.items() if names is not None}
    first = next(iter(named), "")
    for split, names in named.items():
        if names != named[first]:
            value = shortened(
                f"{first} of classes {', '.join(map(str, named[first]))}, {split} of {', '.join(map(str, names))}"
            )
            raise SettingError(
                "data", value, "a label would mean two things; expected the same class_names in one order"
            )


def _is_pair(value: object) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2 and all(hasattr(array, "__array__") for array in value)


def _shown(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__} of {', '.join(type(of).__name__ for of in value[:4])}"
    return type(value).__name__


def _read(dataset: Any, split: str) -> tuple[np.ndarray, np.ndarray]:  # noqa: ANN401 - tf.data.Dataset
    """The pictures `[N, height, width, channels]` and labels of a data set, in the order of their contents' hashes."""
    import tensorflow as tf

    spec = dataset.element_spec
    if not (isinstance(spec, tuple) and len(spec) == 2 and all(isinstance(of, tf.TensorSpec) for of in spec)):
        raise SettingError("data", f"{split} of elements {spec}", "expected pairs (picture, label), batched or not")
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise SettingError("data", split, "repeats without an end; expected each picture once")
    images: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for image, label in dataset.as_numpy_iterator():
        if image.ndim not in (3, 4):
            shape = f"{split} with a picture of shape {image.shape}"
            raise SettingError("data", shape, "expected [height, width, channels], or a batch of them")
        image, label = (image, label) if image.ndim == 4 else (image[np.newaxis], np.asarray(label)[np.newaxis])
        if images and image.shape[1:] != images[0].shape[1:]:
            shapes = f"{split} with pictures of shapes {images[0].shape[1:]} and {image.shape[1:]}"
            raise SettingError("data", shapes, "expected one shape")
        images.append(image)
        labels.append(np.asarray(label))
    if not images:
        raise SettingError("data", split, "has no pictures")
    pictures, classes = np.concatenate(images), np.concatenate(labels)
    keys = [
        (content_hash(picture.tobytes()), label.tobytes()) for picture, label in zip(pictures, classes, strict=True)
    ]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return pictures[order], classes[order]


def _numbered(labels: np.ndarray, split: str) -> np.ndarray:
    """Labels as whole numbers `[N]`: of one-hot rows `[N, K]` the place of the one."""
    if labels.ndim == 2 and labels.shape[1] > 1:
        if not (np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()):
            rule = "have several columns and are not one-hot; expected one 1 a row"
            raise SettingError("data", f"labels of {split}", rule)
        return labels.argmax(axis=1)
    if labels.dtype.kind == "f" and labels.size and (labels == np.rint(labels)).all():
        return labels.astype(np.int64)  # as Keras gives those of two classes
    return labels
