"""Pictures made like one another, or as a network takes them: one size, one number of channels, 8 bits, its classes."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np

from nasnet.data.pictures import DEFAULT_PREPARATION, Preparation, Unreadable, to_channels, to_levels, white_of
from nasnet.data.sources import Loaded, Size, check_fits
from nasnet.data.splits import Split
from nasnet.runtime.errors import SettingError, UserError

_UPPER_HALF = 128  # a byte that data with all 16 bits in use reaches


@dataclasses.dataclass(frozen=True)
class Like:
    """What a network takes: pictures are made to fit, and labels are its own, by the classes' names.

    Attributes:
        classes: its classes, in the order of its logits.
        image_shape: `(height, width, channels)` of its input.
        preparation: that of the pictures that it was trained on.
    """

    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    preparation: Preparation = DEFAULT_PREPARATION

    def check(self, image_size: int | None, channels: str) -> None:
        """Raises SettingError for a size or channels that are asked for and are not the network's."""
        height, width, own = self.image_shape
        if image_size is not None and (height, width) != (image_size, image_size):
            rule = f"the network takes pictures of {height}x{width} pixels (height x width); leave it out"
            raise SettingError("image_size", image_size, rule)
        if channels not in ("auto", str(own)):
            raise SettingError("channels", channels, f"the network takes pictures of {own} channel(s); leave it out")


@dataclasses.dataclass(frozen=True, eq=False)
class Likeness:
    """What all pictures of a data set are made into.

    Attributes:
        classes: names of the classes, in the order of the labels.
        image_shape: `(height, width, channels)`.
        preparation: how a file becomes such a picture.
        first: name of a picture and its (height, width) after resizing, which all others must have.
        places: the label that each of the data set's own classes gets.
        notes: lines to say to the user.
        deep: whether a picture of train or valid has 16 bits a value.
    """

    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    preparation: Preparation
    first: tuple[str, Size]
    places: np.ndarray
    notes: tuple[str, ...]
    deep: bool

    def check_size(self, loaded: Loaded) -> None:
        """Raises UserError, naming two pictures, where one has another (height, width) than the first."""
        for name, picture in zip(loaded.names, loaded.pictures, strict=True):
            if picture.shape[:2] != self.first[1]:
                raise UserError(
                    f"{self.first[0]} is {_by(self.first[1])} and {loaded.where}{name} is {_by(picture.shape[:2])} "
                    "pixels (height x width); expected one size",
                    see=("image_size",),
                )

    def split(self, loaded: Loaded) -> Split:
        """The pictures, made like the others. They are taken out of `loaded`, so as not to be held twice.

        Raises:
            UserError: for a picture that cannot be made so.
        """
        self.check_size(loaded)
        pictures, white = loaded.pictures, self.preparation.white
        if not self.deep:  # those of test alone are deep: a white that was taken from 8 bits says nothing of them
            white = max(white, white_of(int(loaded.peaks.max(initial=0))))
        labels = self.places[loaded.labels].astype(np.int32)
        named = (tuple(loaded.names), tuple(loaded.hashes), _conversions([loaded], self.image_shape[2], white))
        if isinstance(pictures, np.ndarray) and pictures.dtype == np.uint8 and pictures.shape[1:] == self.image_shape:
            return Split(np.ascontiguousarray(pictures), labels, *named)
        check_fits(len(loaded), self.image_shape)
        images = np.empty((len(loaded), *self.image_shape), np.uint8)
        for row in range(len(loaded)):
            try:
                images[row] = to_channels(to_levels(pictures[row], white), self.image_shape[2])
            except Unreadable as error:
                raise UserError(f"{loaded.where}{loaded.names[row]} has {error}") from error
            if isinstance(pictures, list):
                pictures[row] = None  # the picture is in `images` now
        return Split(images, labels, *named)


def likeness(
    spec: str, classes: tuple[str, ...], loaded: dict[str, Loaded], channels: str, like: Like | None
) -> Likeness:
    """What pictures are to be made into: as the network says, or by what there is in train and valid.

    Raises:
        UserError: for pictures of several sizes, or that cannot be converted; classes that the network does not have.
    """
    parts, present = [loaded["train"], loaded["valid"]], {label for part in loaded.values() for label in part.labels}
    if not present:
        raise SettingError("dataset", spec, "holds no pictures")
    notes: list[str] = []
    if like:
        first = "the network's input", like.image_shape[:2]
    else:
        first = f"{parts[0].where}{parts[0].names[0]}", parts[0].pictures[0].shape[:2]
    count = like.image_shape[2] if like else _channels(parts, channels)
    preparation = _preparation(spec, parts, like, notes)
    notes += _conversions(parts, count, preparation.white)
    height, width = first[1]
    own = like.classes if like else classes
    places = _places(spec, classes, like, present, notes)
    deep = any(part.peaks.any() for part in parts)
    common = Likeness(own, (height, width, count), preparation, first, places, tuple(notes), deep)
    for part in loaded.values():
        common.check_size(part)
    return common


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _channels(parts: list[Loaded], asked: str) -> int:
    """How many channels all pictures get: as asked, or the most that one has."""
    counts: dict[int, str] = {}
    for part in parts:
        for row in range(len(part)):
            counts.setdefault(part.pictures[row].shape[2], f"{part.where}{part.names[row]}")
    if asked != "auto":
        return int(asked)
    if len(counts) > 1 and not set(counts) <= {1, 3}:
        raise UserError(
            " and ".join(f"{name} has {count} channel(s)" for count, name in counts.items())
            + "; expected one number of channels, or 1 and 3"
        )
    return max(counts)


def _preparation(spec: str, parts: list[Loaded], like: Like | None, notes: list[str]) -> Preparation:
    """The white of the pictures of 16 bits, or the network's."""
    upper = [part.pictures[row].max() for part in parts for row in range(len(part)) if part.upper_bytes[row]]
    if upper:
        if like is None and max(upper) < _UPPER_HALF:
            raise SettingError(
                "dataset",
                spec,
                f"{len(upper)} colour pictures of 16 bits a channel use {257 * int(max(upper))} of 65535 at most, and "
                "their upper 8 bits alone are read; convert them to 8 bits, by their own range",
            )
        notes.append(f"of {len(upper)} colour pictures of 16 bits a channel the upper 8 bits are read")
    peak = max((int(part.peaks.max(initial=0)) for part in parts), default=0)
    white = white_of(peak)
    if like is None:
        return Preparation(white=white)
    if white > like.preparation.white:
        raise SettingError(
            "dataset",
            spec,
            f"has pictures of 16 bits with values up to {peak}; the network was trained on values up to "
            f"{like.preparation.white}",
        )
    if peak and white < like.preparation.white:
        notes.append(f"values go up to {peak}, and the network was trained on values up to {like.preparation.white}")
    return like.preparation


def _conversions(parts: list[Loaded], channels: int, white: int) -> tuple[str, ...]:
    """What is converted, in words."""
    total, target = sum(map(len, parts)), "grey" if channels == 1 else "RGB"
    notes: list[str] = []
    if channels in (1, 3):
        kinds = collections.Counter(kind for part in parts for kind in part.kinds if kind != target)
        if kinds:
            said = ", ".join(f"{count} {_KINDS.get(kind, kind)}" for kind, count in sorted(kinds.items()))
            notes.append(f"{kinds.total()} of {total} pictures were turned into {target}: {said}")
    peaks = np.concatenate([part.peaks for part in parts])
    if white > 255:
        notes.append(f"{(peaks > 0).sum()} of {total} pictures have 16 bits a value: 0 to {white} became 0 to 255")
    if above := int((peaks > white).sum()):
        notes.append(f"{above} of {total} pictures have values above {white}, the white of train and valid; cut there")
    return tuple(notes)


_KINDS = {"palette": "with a palette", "transparent": "with transparency, laid over white"}


def _places(spec: str, classes: tuple[str, ...], like: Like | None, present: set[int], notes: list[str]) -> np.ndarray:
    """The label that each class of the data set gets."""
    if like is None:
        return np.arange(len(classes))
    if not set(classes) <= set(like.classes) or len(set(classes)) < len(classes):
        rule = f"has the classes {list(classes)}, the network {list(like.classes)}; expected the same names"
        raise SettingError("dataset", spec, rule)
    there = {classes[label] for label in present}
    absent = [name for name in like.classes if name not in there]
    if absent:
        some = ", ".join(absent[:5]) + ", ..." * (len(absent) > 5)
        notes.append(f"{len(absent)} of the network's {len(like.classes)} classes have no pictures here: {some}")
    return np.array([like.classes.index(name) for name in classes], int)
