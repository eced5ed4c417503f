"""Labelled pictures, split into train, valid and test: what is trained on, what is searched on, what is reported.

A search opens its data set with the test split closed: nothing that it holds leads to a test picture.
TensorFlow is imported only for tfds:NAME, and it starts then: set its threads before.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nasnet.data import sources
from nasnet.data.npz import npz
from nasnet.data.pictures import check_alike
from nasnet.data.tfds import tfds
from nasnet.runtime.errors import SettingError, UserError

SPECS = "digits, tfds:NAME, folder:PATH or npz:PATH"
TEST_FRACTION = 0.1
_SPLIT_SEED = 0  # fixed, and not the run's seed: all runs on a data set are scored on the same pictures
_CHUNK = 2**22  # pixel values counted at a time


class TestSplitClosed(RuntimeError):
    """The test split was asked for where it is not to be looked at."""


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Pictures and their classes.

    `images` is uint8 [N, height, width, channels], 0 to 255; `labels` is int32 [N], 0 to K-1.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclasses.dataclass(frozen=True, eq=False)
class DataSet:
    """A data set as `open_dataset` gives it.

    Attributes:
        name: what was asked for.
        classes: names of the K classes.
        image_shape: (height, width, channels).
        train, valid: the splits that are read.
        mirror_keeps_class: whether a picture's mirror image is one of the same class: flips may augment it.
        shift_keeps_class: whether a picture that moved by an eighth of its side is: crops may augment it.
    """

    name: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    train: Split
    valid: Split
    mirror_keeps_class: bool = True
    shift_keeps_class: bool = True
    _read_test: Callable[[], Split] | None = dataclasses.field(default=None, repr=False)

    @functools.cached_property
    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """`channel_statistics` of the train split: one pass over its pixels an object, and the values travel with it.

        `cached_property` writes into `__dict__`, which a frozen dataclass lets it do and which is all that is pickled.
        """
        return channel_statistics(self.train)

    def test(self) -> Split:
        """Reads the test split.

        Raises:
            TestSplitClosed: unless the set was opened with `allow_test=True`.
            UserError: as `open_dataset`, for what is wrong with the test pictures.
        """
        if self._read_test is None:
            raise TestSplitClosed(f"the test split of {self.name} is closed; open_dataset(allow_test=True) opens it")
        return self._read_test()


def open_dataset(
    spec: str,
    *,
    image_size: int | None = None,
    valid_fraction: float = 0.1,
    allow_test: bool = False,
    download: bool = True,
) -> DataSet:
    """Reads the train and valid split of a data set into memory.

    A split that the data set lacks is carved from train: deterministic, stratified, independent of the run's seed.
    The default is the share of the paper's 5,000 of 50,000 pictures (arXiv 1707.07012, appendix A.1).

    Args:
        spec: `digits`, `tfds:NAME`, `folder:PATH` or `npz:PATH`; see the functions of these names.
            `digits` is always split into 1,000 train, 397 valid and 400 test pictures.
        image_size: pixels a side to resize every picture to: bilinear, antialiased. None leaves them as they are.
        valid_fraction: share of the pictures to carve for valid, where there is no such split. For test it is 0.1.
        allow_test: whether `DataSet.test` may be called.
        download: whether a set of TensorFlow Datasets that is not on disk is downloaded. Without a network, that
            library tries again for minutes before it gives up.

    Raises:
        UserError: for anything that can't be opened, read or split, with what was expected.
    """
    if image_size is not None and image_size < 1:
        raise SettingError("image_size", image_size, "must be 1 or more")
    if not 0 < valid_fraction < 1 - TEST_FRACTION:
        raise UserError(f"valid_fraction={valid_fraction}: must be above 0 and below {1 - TEST_FRACTION}")
    check_dataset(spec)
    source = _open_source(spec, image_size, download)
    train_rows, valid_rows, test_rows = _rows(spec, source, valid_fraction)
    read = functools.partial(_read, spec, source.classes)
    train = read("train", source.train, train_rows)
    like = (source.train.name(train_rows[0]), train.images.shape[1:])
    valid = read("valid", source.valid() if source.valid else source.train, valid_rows, like)

    def read_test() -> Split:
        return read("test", source.test() if source.test else source.train, test_rows, like)

    height, width, channels = train.images.shape[1:]
    return DataSet(
        spec,
        source.classes,
        (height, width, channels),
        train,
        valid,
        source.mirror_keeps_class,
        source.shift_keeps_class,
        read_test if allow_test else None,
    )


def check_dataset(spec: str) -> None:
    """Raises UserError if a data set's name has another form than those that there are, or its path is not there."""
    kind, _, name = spec.partition(":")
    if spec != "digits" and not (kind in ("tfds", "folder", "npz") and name):
        raise SettingError("dataset", spec, f"must be {SPECS}")
    if kind not in ("folder", "npz"):
        return
    try:
        path = Path(name).expanduser()
        wanted, there = ("folder", path.is_dir()) if kind == "folder" else ("file", path.is_file())
        if not there:
            raise SettingError("dataset", f"{kind}:{path}", f"{'not a' if path.exists() else 'no such'} {wanted}")
    except (OSError, RuntimeError) as error:  # RuntimeError: the home of someone who is not there
        raise SettingError("dataset", spec, f"can't be read ({getattr(error, 'strerror', error)})") from error


def _open_source(spec: str, image_size: int | None, download: bool) -> sources.Source:
    kind, _, name = spec.partition(":")
    if spec == "digits":
        return sources.digits(image_size)
    if kind == "tfds":
        return tfds(name, image_size, download)
    try:
        path = Path(name).expanduser()
        return sources.folder(path, image_size) if kind == "folder" else npz(path, image_size)
    except OSError as error:
        raise SettingError("dataset", spec, f"can't be read ({error.strerror})") from error


def _rows(
    spec: str, source: sources.Source, valid_fraction: float
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """The pictures of `source.train` that are for train, valid and test; None for a split that the source has."""
    labels, classes = source.train.labels, source.classes
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise SettingError("dataset", spec, f"has the classes {list(classes)}; expected two or more, all different")
    _check_labels(spec, "train", labels, classes)
    counts = np.bincount(labels, minlength=len(classes))
    parts = 1 + (source.valid is None) + (source.test is None)
    if counts.min() < parts:
        raise SettingError(
            "dataset",
            spec,
            f"class {classes[counts.argmin()]!r} has {counts.min()} picture(s) to train on; expected {parts} or more"
            f"{' (some are set aside for valid and test)' if parts > 1 else ''}",
        )
    valid_size, test_size = source.carve or (round(valid_fraction * len(labels)), round(TEST_FRACTION * len(labels)))
    rows, valid, test = np.arange(len(labels)), None, None
    # Differs from the paper: it draws the held-out pictures at random, here each class gives its share.
    if source.test is None:
        rows, test = stratified_split(labels, test_size)
    if source.valid is None:
        rest, chosen = stratified_split(labels[rows], valid_size)
        rows, valid = rows[rest], rows[chosen]
    return rows, valid, test


def _read(
    spec: str,
    classes: tuple[str, ...],
    split: str,
    pool: sources.Pool,
    rows: np.ndarray | None,
    like: tuple[str, tuple[int, ...]] | None = None,
) -> Split:
    """The given pictures of a pool, or all. `like` names a picture and the shape that they must have."""
    rows = np.arange(len(pool.labels)) if rows is None else rows
    labels = pool.labels[rows]
    _check_labels(spec, split, labels, classes)
    images = pool.read(rows)
    if like:
        check_alike(*like, pool.name(rows[0]), images.shape[1:])
    return Split(images, labels.astype(np.int32))


def _check_labels(spec: str, split: str, labels: np.ndarray, classes: tuple[str, ...]) -> None:
    for label in (labels.min(), labels.max()):
        if not 0 <= label < len(classes):
            raise SettingError(
                "dataset",
                spec,
                f"the label {label} is in {split} and none of the {len(classes)} classes of train; "
                f"expected 0 to {len(classes) - 1}",
            )


def stratified_split(labels: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Takes about `size` pictures away, from each class in proportion to its pictures.

    Args:
        labels: int [N], each of two or more pictures.
        size: pictures to take. Each class gives and keeps one or more; where that doesn't matter, exactly `size` are
            taken, and those of a class differ by less than 1 from its share.

    Returns:
        The indices that stay and those that are taken, both in ascending order. The same for the same arguments,
        wherever and whenever: the raw stream of NumPy's PCG64 is fixed, unlike that of its shuffles.

    Raises:
        ValueError: for a class of a single picture.
    """
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if counts.min() < 2:
        raise ValueError("a class of 1 picture can't be split")
    shares = counts * size / len(labels)
    quotas = np.clip(np.floor(shares), 1, counts - 1).astype(int)
    missing = max(0, size - quotas.sum())
    quotas[np.argsort(quotas - shares, kind="stable")[:missing]] += 1  # those that lack most
    quotas = np.minimum(quotas, counts - 1)

    keys = np.random.PCG64(_SPLIT_SEED).random_raw(len(labels))
    order = np.lexsort((keys, inverse))  # class by class, shuffled
    rank = np.empty(len(labels), int)
    rank[order] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    taken = rank < quotas[inverse]
    return np.flatnonzero(~taken), np.flatnonzero(taken)


def channel_statistics(split: Split) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over a split, in pixel units of 0 to 255, float64.

    Exact to rounding, from how often each of the 256 levels occurs. A standard deviation is 1, one level, or more: who
    divides by it need not fear a constant channel.
    """
    images = split.images
    channels = images.shape[3]
    counts = np.zeros((channels, 256), np.int64)
    step = max(1, _CHUNK * len(images) // images.size)
    for start in range(0, len(images), step):
        for channel in range(channels):
            values = images[start : start + step, :, :, channel].ravel()
            counts[channel] += np.bincount(values, minlength=256)
    levels = np.arange(256)
    total = counts.sum(axis=1)
    mean = counts @ levels / total
    variance = (counts * (levels - mean[:, np.newaxis]) ** 2).sum(axis=1) / total
    return tuple(mean.tolist()), tuple(np.maximum(np.sqrt(variance), 1.0).tolist())
