"""Where pictures come from: what a source is, scikit-learn's digits, a folder. See also `npz.py`, `tfds.py`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from nasnet.data.pictures import SUFFIXES, decode, resize, stack
from nasnet.runtime.errors import SettingError, UserError

_NOT_PICTURES = ("Thumbs.db", "desktop.ini")  # what Windows leaves in folders of pictures


@dataclasses.dataclass(frozen=True)
class Pool:
    """Pictures whose labels are known and whose pixels are read on demand.

    `labels` is int [N]; `read` maps indices [n] to uint8 [n, height, width, channels]; `name` tells which picture an
    index is, for messages.
    """

    labels: np.ndarray
    read: Callable[[np.ndarray], np.ndarray]
    name: Callable[[int], str]


@dataclasses.dataclass(frozen=True)
class Source:
    """What a data set brings: the splits it has. Those that it lacks (None) are to be carved from `train`.

    `valid` and `test` are functions, so that nothing of a split is read before it is asked for. `carve` is how many
    pictures to carve for valid and for test, where the source itself fixes that. Whether a picture that is mirrored, or
    moved by a few pixels, is still one of its class: see `DataSet`.
    """

    classes: tuple[str, ...]
    train: Pool
    valid: Callable[[], Pool] | None = None
    test: Callable[[], Pool] | None = None
    carve: tuple[int, int] | None = None
    mirror_keeps_class: bool = True
    shift_keeps_class: bool = True


def array_pool(images: np.ndarray, labels: np.ndarray, image_size: int | None, name: str) -> Pool:
    """A pool over uint8 [N, height, width, channels] in memory."""

    def read(indices: np.ndarray) -> np.ndarray:
        if image_size is None:
            return np.ascontiguousarray(images[indices])
        return stack(((named(index), resize(images[index], image_size)) for index in indices), len(indices))

    def named(index: int) -> str:
        return f"{name}[{index}]"

    return Pool(labels, read, named)


def digits(image_size: int | None) -> Source:
    """The 1,797 pictures of 8x8 pixels that scikit-learn carries, grey levels 0 to 16 scaled to 0 to 255."""
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    classes = tuple(str(name) for name in bunch.target_names)
    pool = array_pool(images, bunch.target, image_size, "digits")
    # A mirrored digit is another one or none; they fill their 8x8 pixels, so a shift would cut strokes off.
    return Source(classes, pool, carve=(397, 400), mirror_keeps_class=False, shift_keeps_class=False)


def folder(path: Path, image_size: int | None) -> Source:
    """PATH/<class>/<picture>, or PATH/train/<class>/, PATH/test/<class>/ and optionally PATH/valid/<class>/.

    Classes are sorted by name, pictures by file name. Names that start with a dot are passed over.

    Raises:
        UserError: for anything else in there, or a picture that can't be read, at the time when it is read.
    """
    parts = {child.name: child for child in _folders(path)}
    if not ("train" in parts and _folders(parts["train"])):
        if parts and set(parts) <= {"train", "valid", "test"}:
            rule = f"holds {', '.join(parts)} without a folder for each class in train"
            raise SettingError("dataset", f"folder:{path}", rule)
        classes = _classes(path)
        return Source(tuple(classes), _files_pool(classes, tuple(classes), image_size))
    if "test" not in parts or set(parts) - {"train", "valid", "test"}:
        beside = sorted(set(parts) - {"train"})
        rule = f"holds train/<class> beside {beside}; expected train, test and optionally valid"
        raise SettingError("dataset", f"folder:{path}", rule)
    files = {part: _classes(child) for part, child in parts.items()}
    names = tuple(files["train"])
    for part, classes in files.items():
        for name in classes:
            if name not in names:
                raise SettingError("dataset", f"folder:{path}", f"class {name!r} is in {part}, not in train")
    pools = {part: _files_pool(classes, names, image_size) for part, classes in files.items()}
    return Source(names, pools["train"], (lambda: pools["valid"]) if "valid" in pools else None, lambda: pools["test"])


def _folders(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))


def _classes(path: Path) -> dict[str, list[Path]]:
    classes = {child.name: _pictures(child) for child in _folders(path)}
    if len(classes) < 2:
        raise UserError(f"{path} holds {len(classes)} class folder(s) {list(classes)}; expected two or more")
    return classes


def _pictures(path: Path) -> list[Path]:
    files = sorted(
        child for child in path.iterdir() if not child.name.startswith(".") and child.name not in _NOT_PICTURES
    )
    for file in files:
        if file.suffix.lower() not in SUFFIXES or file.is_dir():
            raise UserError(f"{file} is no picture; expected only {' '.join(sorted(SUFFIXES))} in a class folder")
    if not files:
        raise UserError(f"class {path.name!r} is empty: no pictures in {path}")
    return files


def _files_pool(classes: dict[str, list[Path]], names: tuple[str, ...], image_size: int | None) -> Pool:
    files = [file for pictures in classes.values() for file in pictures]
    labels = np.repeat([names.index(name) for name in classes], [len(pictures) for pictures in classes.values()])

    def read(indices: np.ndarray) -> np.ndarray:
        chosen = [files[index] for index in indices]
        with ThreadPoolExecutor() as threads:  # Pillow decodes outside of Python's lock
            arrays = threads.map(functools.partial(decode, image_size=image_size), chosen)
            return stack(zip(map(str, chosen), arrays, strict=True), len(chosen))

    return Pool(labels, read, lambda index: str(files[index]))
