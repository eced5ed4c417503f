"""Where pictures come from: what a source is, arrays, scikit-learn's digits. See also `folder`, `npz`, `tfds`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nasnet.data.fingerprint import SPLITS, Fingerprint, named_contents
from nasnet.data.pictures import resize
from nasnet.data.splits import content_hash
from nasnet.runtime.errors import SettingError, UserError

_NAMED = 20  # broken files that a line names
Size = tuple[int, int]
"""(height, width) to resize pictures to."""


@dataclasses.dataclass(frozen=True, eq=False)
class Loaded:
    """Pictures that were read, not yet made like one another.

    Attributes:
        where: what stands before a picture's name in a message.
        pictures: for each `[height, width, channels]` as in `Picture.pixels`; a list, or one array of all.
        labels: int `[N]`.
        names: as `Split.names`.
        hashes: as `Split.hashes`.
        sizes: bytes of each picture's file, or of its values.
        kinds: what each was, in words, as `Picture.kind`.
        peaks: int `[N]`, as `Picture.peak`.
        upper_bytes: bool `[N]`, as `Picture.upper_byte`.
        named: whether the names are those of files.
        broken: name and reason of what could not be read, and is not among the others.
    """

    where: str
    pictures: Any
    labels: np.ndarray
    names: Sequence[str]
    hashes: Sequence[str]
    sizes: Sequence[int]
    kinds: Sequence[str]
    peaks: np.ndarray
    upper_bytes: np.ndarray
    named: bool = False
    broken: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> Loaded:
        """Some of them, in that order."""
        pictures = self.pictures[rows] if isinstance(self.pictures, np.ndarray) else [self.pictures[i] for i in rows]
        lists = {name: [getattr(self, name)[i] for i in rows] for name in ("names", "hashes", "sizes", "kinds")}
        arrays = {name: getattr(self, name)[rows] for name in ("labels", "peaks", "upper_bytes")}
        return dataclasses.replace(self, pictures=pictures, broken=(), **lists, **arrays)

    def contents(self, classes: tuple[str, ...]) -> dict[str, str]:
        """This split's part of `Fingerprint.pictures`."""
        by_class = (f"{classes[label]}/{known}" for label, known in zip(self.labels, self.hashes, strict=True))
        return named_contents(self.names if self.named else list(by_class), self.sizes, self.hashes)


Load = Callable[[Size | None], Loaded]


@dataclasses.dataclass(frozen=True)
class Source:
    """What a data set brings: the splits it has. Those that it lacks (None) are to be carved from `train`.

    Attributes:
        classes: names of the K classes.
        train, valid, test: read that split, resized where a size is given. Nothing of a split is read before.
        test_listing: of a test split of its own, what `Fingerprint.pictures` says without opening it.
        test_hidden: whether the test split's labels are not given: it cannot be scored.
        carve: how many pictures to carve for valid and for test, where the source itself fixes that.
        strays: name and reason of files that are in a picture's place and are none.
        notes: lines to say to the user.
        mirror_keeps_class, shift_keeps_class: see `DataSet`.
    """

    classes: tuple[str, ...]
    train: Load
    valid: Load | None = None
    test: Load | None = None
    test_listing: Mapping[str, str] = dataclasses.field(default_factory=dict)
    test_hidden: bool = False
    carve: tuple[int, int] | None = None
    strays: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    mirror_keeps_class: bool = True
    shift_keeps_class: bool = True


def from_array(
    raw: np.ndarray, images: np.ndarray, labels: np.ndarray, size: Size | None, where: str, name: str
) -> Loaded:
    """Pictures of one array.

    Args:
        raw: the array as it was given `[N, ...]`: what is hashed.
        images: the same pictures as uint8 or uint16 `[N, height, width, channels]`.
        labels: int `[N]`.
        size: to resize to.
        where: as `Loaded.where`.
        name: of the array; its row 3 is called `name[3]`.
    """
    count, channels = len(images), images.shape[3]
    deep = images.dtype != np.uint8
    fits = size is None or images.shape[1:3] == size
    return Loaded(
        where,
        images if fits else [resize(image, size) for image in images],
        labels.astype(np.int64),
        [f"{name}[{row}]" for row in range(count)],
        [content_hash(np.ascontiguousarray(row).tobytes()) for row in raw],
        [raw[:1].nbytes] * count,
        [{1: "grey", 3: "RGB"}.get(channels, f"{channels} channels")] * count,
        images.reshape(count, -1).max(axis=1).astype(int) if deep and count else np.zeros(count, int),
        np.zeros(count, bool),
    )


def digits() -> Source:
    """The 1,797 pictures of 8x8 pixels that scikit-learn carries, grey levels 0 to 16 scaled to 0 to 255."""
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    classes = tuple(str(name) for name in bunch.target_names)
    # A mirrored digit is another one or none; they fill their 8x8 pixels, so a shift would cut strokes off.
    return Source(
        classes,
        lambda size: from_array(images, images, bunch.target, size, "", "digits"),
        carve=(397, 400),
        mirror_keeps_class=False,
        shift_keeps_class=False,
    )


def check_fits(count: int, shape: tuple[int, ...]) -> None:
    """Raises UserError where so many pictures `[height, width, channels]` don't fit into memory."""
    try:
        np.empty((count, *shape), np.uint8)
    except MemoryError as error:
        raise UserError(
            f"{count} pictures of {'x'.join(map(str, shape))} values need {count * np.prod(shape) / 2**30:,.0f} GiB of "
            "memory; expected smaller pictures",
            see=("image_size",),
        ) from error


def check_labels(spec: str, split: str, labels: np.ndarray, classes: tuple[str, ...]) -> None:
    """Raises SettingError for a label that is none of the classes."""
    for label in (labels.min(initial=0), labels.max(initial=0)):
        if not 0 <= label < len(classes):
            raise SettingError(
                "dataset",
                spec,
                f"the label {label} is in {split} and none of the {len(classes)} classes of train; "
                f"expected 0 to {len(classes) - 1}",
            )


def check_enough(spec: str, labels: np.ndarray, classes: tuple[str, ...], parts: int) -> None:
    """Raises SettingError unless there are two classes or more, each with `parts` pictures or more."""
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise SettingError("dataset", spec, f"has the classes {list(classes)}; expected two or more, all different")
    for name in classes:
        if len(name.splitlines()) != 1:  # best/classes.txt has one a line
            raise SettingError("dataset", spec, f"has a class called {name!r}; expected names of one line")
    counts = np.bincount(labels, minlength=len(classes))
    if counts.min() < parts:
        raise SettingError(
            "dataset",
            spec,
            f"class {classes[counts.argmin()]!r} has {counts.min()} picture(s) to train on; expected {parts} or more"
            f"{' (some are set aside for valid and test)' if parts > 1 else ''}",
        )


def check_broken(
    spec: str, parts: list[Loaded], strays: tuple[tuple[str, str], ...], skip_broken: bool
) -> tuple[str, ...]:
    """A line for every file that is no picture. Raises UserError for them all, unless they are skipped."""
    broken = sorted({*strays, *(file for part in parts for file in part.broken)})
    lines = tuple(f"{name} {what}" for name, what in broken)
    if not broken or skip_broken:
        return lines
    if len(lines) == 1:
        rule = f"{parts[0].where}{lines[0]}; replace it or remove it"
    else:
        some = ", ".join(lines[:_NAMED]) + (f" and {len(lines) - _NAMED} more" if len(lines) > _NAMED else "")
        rule = f"{spec}: {len(lines)} files: {some}; for each, replace it or remove it"
    raise UserError(rule, see=("skip_broken",))


def fingerprint_of(source: Source, loaded: dict[str, Loaded]) -> Fingerprint:
    """The fingerprint of what was loaded. Of a test split of its own what was listed, whether it was read or not."""
    contents = {split: part.contents(source.classes) for split, part in loaded.items()}
    if source.test:
        contents["test"] = dict(source.test_listing)
    return Fingerprint(source.classes, {split: contents[split] for split in SPLITS if split in contents})
