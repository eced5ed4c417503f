"""Which pictures are for training, validation and test, where a data set does not say so itself. No TensorFlow."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np

TEST_FRACTION = 0.1
VALID_FRACTION = 0.1
TRAIN, VALID, TEST = range(3)
_CHUNK = 2**22  # pixel values counted at a time
_SPLIT_SEED = 0  # fixed, and not the run's seed: all runs on a data set are scored on the same pictures


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Pictures and their classes.

    Attributes:
        images: uint8 `[N, height, width, channels]`, 0 to 255.
        labels: int32 `[N]`, 0 to K-1.
        names: for each picture what the data set calls it: a file's path below the set's folder, or an array's row.
        hashes: for each picture the first 16 hex digits of the SHA-256 of its file's bytes, or of its values in the
            array where there is no file.
        notes: as those of a `DataSet`, of this split: test may be read later than the set is opened.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


def content_hash(content: bytes) -> str:
    """The first 16 hex digits of the SHA-256 of some bytes: what `Split.hashes` holds."""
    return hashlib.sha256(content).hexdigest()[:16]


def places(hashes: Sequence[str]) -> np.ndarray:
    """Where each picture stands between 0 and 1, float64 `[N]`: its hash as a binary fraction."""
    return np.array([int(known, 16) for known in hashes], np.float64) / 2.0**64


def alike_classes(hashes: Sequence[str], labels: np.ndarray, missing: set[int]) -> set[int]:
    """Labels of the classes with fewer different pictures than there are splits to be made of train."""
    once = {*zip(labels.tolist(), hashes, strict=True)}
    different = collections.Counter(label for label, _ in once)
    return {label for label, count in different.items() if count < 1 + len(missing)}


def split_by_content(hashes: Sequence[str], labels: np.ndarray, valid_fraction: float, missing: set[int]) -> np.ndarray:
    """Which split each picture is in: `TRAIN`, `VALID` or `TEST`, int `[N]`.

    A picture's own bytes decide, and nothing else: with its place u of `places` it is for test where u is below 0.1,
    for valid where u is below 0.1 + `valid_fraction`, and else for train. So another picture that comes or goes moves
    no other, a file that is renamed stays where it is, and equal pictures are on one side, whatever their classes are.
    Differs from the paper: it draws a fixed number at random. Here each class gives about its share.

    Two exceptions, for small classes. One that is left without a picture in one of the splits gets the picture there
    whose u is the nearest to that split's range, with its equals, from a split that has another one of that class. In a
    class of fewer different pictures than there are splits, the second and further equals have a place of their own.

    Args:
        hashes: 16 hex digits a picture.
        labels: int `[N]`.
        valid_fraction: share of the pictures for valid.
        missing: which of `VALID` and `TEST` are to be carved; pictures of the other one's range are for train.
    """
    alike = alike_classes(hashes, labels, missing)
    times: dict[tuple[int, str], int] = collections.Counter()
    own = list(hashes)
    for row, label in enumerate(labels.tolist()):
        if label in alike:
            times[label, hashes[row]] += 1
            again = times[label, hashes[row]]
            own[row] = hashes[row] if again == 1 else content_hash(f"{hashes[row]}#{again}".encode())
    u = places(own)
    ranges = {TEST: (0.0, TEST_FRACTION), VALID: (TEST_FRACTION, TEST_FRACTION + valid_fraction)}
    ranges = {split: ranges[split] for split in ranges if split in missing}
    split = np.full(len(u), TRAIN)
    for part, (low, high) in ranges.items():
        split[(low <= u) & (u < high)] = part
    ranges[TRAIN] = (TEST_FRACTION + valid_fraction, 1.0)

    counts = np.zeros((int(labels.max(initial=-1)) + 1, 3), int)
    np.add.at(counts, (labels, split), 1)
    for label in np.flatnonzero((counts[:, list(ranges)] == 0).any(axis=1) & (counts.sum(axis=1) > 0)):
        rows = np.flatnonzero(labels == label)
        for part, (low, high) in ranges.items():
            if (split[rows] == part).any():
                continue
            distance = np.maximum(np.maximum(low - u[rows], u[rows] - high), 0)
            for row in rows[np.lexsort((u[rows], distance))]:
                equals = u == u[row]
                beside = labels[(split == split[row]) & ~equals]
                if np.isin(labels[equals], beside).all():
                    split[equals] = part
                    break
    return split


def stratified_split(labels: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Takes about `size` pictures away, from each class in proportion to its pictures: how `digits` is split.

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
