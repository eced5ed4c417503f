"""Labelled pictures, split into train, valid and test: what is trained on, what is searched on, what is reported.

A search opens its data set with the test split closed: nothing that it holds leads to a test picture.
TensorFlow is imported only for tfds:NAME, and it starts then: set its threads before.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable

import numpy as np

from nasnet.data import sources, splits
from nasnet.data.config import DataConfig
from nasnet.data.fingerprint import Fingerprint
from nasnet.data.folder import folder
from nasnet.data.likeness import Like, Likeness, likeness
from nasnet.data.npz import npz
from nasnet.data.pictures import DEFAULT_PREPARATION, MOST_SIDE, Preparation
from nasnet.data.splits import TEST_FRACTION, Split, channel_statistics, stratified_split
from nasnet.data.tfds import check_data_dir, tfds
from nasnet.runtime.errors import SettingError, UserError
from nasnet.runtime.files import expanded

SPECS = "digits, tfds:NAME, folder:PATH or npz:PATH"


class TestSplitClosed(RuntimeError):
    """The test split was asked for where it is not to be looked at."""


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
        fingerprint: what the pictures are, to know them again.
        preparation: how files became pictures of this shape.
        has_test: whether there is a test split that can be scored; not where its labels are hidden.
        skipped: name and reason of each file that `skip_broken` left out.
        notes: lines to say to the user: what was converted, passed over or found odd.
    """

    name: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    train: Split
    valid: Split
    mirror_keeps_class: bool = True
    shift_keeps_class: bool = True
    fingerprint: Fingerprint = dataclasses.field(default_factory=Fingerprint, repr=False)
    preparation: Preparation = DEFAULT_PREPARATION
    has_test: bool = True
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    _read_test: Callable[[], Split] | None = dataclasses.field(default=None, repr=False)

    @functools.cached_property
    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """`channel_statistics` of the train split: one pass over its pixels an object, and the values travel with it.

        `cached_property` writes into `__dict__`, which a frozen dataclass lets it do and which is all that is pickled.
        """
        return channel_statistics(self.train)

    def test(self) -> Split:
        """Reads the test split. What is to be said of it is in its own `notes`.

        Raises:
            TestSplitClosed: unless the set was opened with `allow_test=True`.
            UserError: where there is none that can be scored (`has_test`); as `open_dataset`, for what is wrong with
                its pictures.
        """
        if not self.has_test:
            raise UserError(f"{self.name} has no test pictures with labels")
        if self._read_test is None:
            raise TestSplitClosed(f"the test split of {self.name} is closed; open_dataset(allow_test=True) opens it")
        return self._read_test()

    def whole(self) -> Split:
        """The pictures of all splits, train first. Raises TestSplitClosed as `test`."""
        parts = [self.train, self.valid, *([self.test()] if self.has_test else [])]
        return Split(
            np.concatenate([part.images for part in parts]),
            np.concatenate([part.labels for part in parts]),
            tuple(name for part in parts for name in part.names),
            tuple(known for part in parts for known in part.hashes),
        )


def open_dataset(
    spec: str,
    *,
    image_size: int | None = None,
    channels: str = "auto",
    valid_fraction: float = splits.VALID_FRACTION,
    allow_test: bool = False,
    check_test: bool = False,
    download: bool = True,
    data_dir: str | None = None,
    skip_broken: bool = False,
    like: Like | None = None,
    source: sources.Source | None = None,
) -> DataSet:
    """Reads a data set into memory: the train and valid splits, and the test split where that is allowed.

    A split that the data set lacks is carved from train by `splits.split_by_content`, independent of the run's seed.
    Where the test split is closed, of one that the set has no more is looked at than a listing tells. Of a flat folder
    all files are read, as their content says which are for test, and these let go of.

    Args:
        spec: `digits` (1,000 train, 397 valid and 400 test), `tfds:NAME`, `folder:PATH` or `npz:PATH`; see these names.
        image_size: pixels a side to resize every picture to, bilinear, antialiased; None: as they are.
        channels: "1" makes every picture grey, "3" RGB; "auto" RGB where a file of train or valid has colour.
        valid_fraction: share of the pictures to carve for valid, where there is no such split. For test it is 0.1. The
            default is that of the paper's 5,000 of 50,000 pictures (arXiv 1707.07012, appendix A.1).
        allow_test: whether `DataSet.test` may be called.
        check_test: where it may not, read a test split that the set has to tell what is broken in it, and let go of it.
        download, data_dir: whether `tfds:NAME` is downloaded where it is not on disk, for minutes; where it lies.
        skip_broken: leave out files that are no readable pictures, and name them in `DataSet.skipped`.
        like: a network's size, channels and classes in its order, which the pictures are made to fit.
        source: what there is to read, in the place of what `spec` names, which is then a name and no more.

    Raises:
        UserError: for anything that can't be opened, read or split, with what was expected.
    """
    size = _checked(image_size, channels, valid_fraction, like)
    source = source or _open_source(spec, download, data_dir, least=1 if like else 2)
    loaded = _loaded(source, size, allow_test, check_test, skip_broken)
    skipped = sources.check_broken(spec, list(loaded.values()), source.strays, skip_broken)
    carving = _carve(spec, source, loaded, valid_fraction, strict=like is None)
    fingerprint, common = sources.fingerprint_of(source, loaded), likeness(spec, source.classes, loaded, channels, like)
    test, read_test = loaded.get("test"), functools.partial(_read_test, spec, source, size, common)
    if test is not None and (allow_test or source.test):
        read_test = functools.partial(_given, common.split(test))  # which is kept only where it is open
    return DataSet(
        spec,
        common.classes,
        common.image_shape,
        common.split(loaded["train"]),
        common.split(loaded["valid"]),
        source.mirror_keeps_class,
        source.shift_keeps_class,
        fingerprint,
        common.preparation,
        not source.test_hidden and (test is None or len(test) > 0),
        skipped,
        (*source.notes, *carving, *common.notes),
        read_test if allow_test else None,
    )


def _checked(image_size: int | None, channels: str, valid_fraction: float, like: Like | None) -> tuple[int, int] | None:
    """The (height, width) to resize to. Raises SettingError for what cannot be asked for."""
    if image_size is not None and not 1 <= image_size <= MOST_SIDE:
        raise SettingError("image_size", image_size, f"must be 1 or more and at most {MOST_SIDE}")
    if channels not in ("auto", "1", "3"):
        raise SettingError("channels", channels, "must be one of auto, 1, 3")
    if not 0 < valid_fraction < 1 - TEST_FRACTION:
        raise SettingError("valid_fraction", valid_fraction, f"must be above 0 and below {1 - TEST_FRACTION}")
    if like is not None:
        like.check(image_size, channels)
        return like.image_shape[:2]
    return None if image_size is None else (image_size, image_size)


def _loaded(
    source: sources.Source, size: tuple[int, int] | None, allow_test: bool, check_test: bool, skip_broken: bool
) -> dict[str, sources.Loaded]:
    loaded = {"train": source.train(size)}
    if source.valid:
        loaded["valid"] = source.valid(size)
    broken = source.strays or any(part.broken for part in loaded.values())
    now = broken or skip_broken if allow_test else check_test
    if source.test and not source.test_hidden and now:
        loaded["test"] = source.test(size)  # so that one line, or one list, names all that is broken
    return loaded


def _given(split: Split) -> Split:
    return split


def _read_test(spec: str, source: sources.Source, size: tuple[int, int] | None, common: Likeness) -> Split:
    """The test split of a data set that has one of its own."""
    assert source.test is not None
    loaded = source.test(size)
    sources.check_broken(spec, [loaded], (), False)
    sources.check_labels(spec, "test", loaded.labels, source.classes)
    return common.split(loaded)


def open_configured(
    options: DataConfig,
    *,
    allow_test: bool = False,
    check_test: bool = False,
    like: Like | None = None,
    source: sources.Source | None = None,
) -> DataSet:
    """The data set that a config describes, or that a source has. Raises UserError as `open_dataset`."""
    return open_dataset(
        options.dataset,
        image_size=options.image_size,
        channels=options.channels,
        valid_fraction=options.valid_fraction,
        data_dir=options.data_dir,
        skip_broken=options.skip_broken,
        allow_test=allow_test,
        check_test=check_test,
        like=like,
        source=source,
    )


def check_dataset(spec: str) -> None:
    """Raises UserError if a data set's name has another form than those that there are, or its path is not there."""
    kind, _, name = spec.partition(":")
    if spec != "digits" and not (kind in ("tfds", "folder", "npz") and name):
        raise SettingError("dataset", spec, f"must be {SPECS}{_perhaps(spec)}")
    if kind not in ("folder", "npz"):
        return
    try:
        path = expanded(name)
        wanted, there = ("folder", path.is_dir()) if kind == "folder" else ("file", path.is_file())
        if not there:
            raise SettingError("dataset", f"{kind}:{path}", f"{'not a' if path.exists() else 'no such'} {wanted}")
    except OSError as error:
        raise SettingError("dataset", spec, f"can't be read ({error.strerror})") from error


def _perhaps(spec: str) -> str:
    """What a path without a prefix may have meant."""
    if spec.endswith(".npz"):
        return f"; npz:{spec}, perhaps"
    there = os.path.isdir(os.path.expanduser(spec))  # which are no errors of a name that no path can have
    return f"; folder:{spec}, perhaps" if there else ""


def _open_source(spec: str, download: bool, data_dir: str | None, least: int) -> sources.Source:
    check_dataset(spec)
    if data_dir is not None:
        check_data_dir(spec, data_dir)
    kind, _, name = spec.partition(":")
    if spec == "digits":
        return sources.digits()
    if kind == "tfds":
        return tfds(name, download, data_dir)
    try:
        return folder(expanded(name), least) if kind == "folder" else npz(expanded(name))
    except OSError as error:
        raise SettingError("dataset", spec, f"can't be read ({error.strerror})") from error


def _carve(
    spec: str, source: sources.Source, loaded: dict[str, sources.Loaded], valid_fraction: float, *, strict: bool
) -> tuple[str, ...]:
    """Gives train's pictures to the splits that are missing in `loaded`. Returns lines to say to the user.

    `strict` is whether every class must have a picture in each of them. Raises SettingError where one cannot.
    """
    names = {splits.VALID: "valid", splits.TEST: "test"}
    missing = {code: name for code, name in names.items() if getattr(source, name) is None}
    train, classes = loaded["train"], source.classes
    for name, part in loaded.items():
        sources.check_labels(spec, name, part.labels, classes)
    if strict:
        sources.check_enough(spec, train.labels, classes, 1 + len(missing))
        if not len(loaded.get("valid", train)):  # all of them broken, and left out
            raise SettingError("dataset", spec, "has a valid split without a readable picture; expected one or more")
    notes: list[str] = []
    if (source.carve or source.valid) and valid_fraction != splits.VALID_FRACTION:
        notes.append(f"a valid_fraction of {valid_fraction:g} has no effect: the valid split is given")
    seen = set(train.hashes)
    if source.valid and (twice := sum(known in seen for known in loaded["valid"].hashes)):
        notes.append(f"{twice} of {len(loaded['valid'])} valid pictures are in train as well, byte for byte")
    if source.carve:
        valid_size, test_size = source.carve
        rows, test = stratified_split(train.labels, test_size)
        rest, valid = stratified_split(train.labels[rows], valid_size)
        loaded |= {"train": train.take(rows[rest]), "valid": train.take(rows[valid]), "test": train.take(test)}
    elif missing:
        made = {splits.TRAIN: "train", **missing}
        split = splits.split_by_content(train.hashes, train.labels, valid_fraction, set(missing))
        loaded |= {name: train.take(np.flatnonzero(split == code)) for code, name in made.items()}
        alike = sorted(classes[label] for label in splits.alike_classes(train.hashes, train.labels, set(missing)))
        if alike and strict:
            some = ", ".join(map(repr, alike[:3]))
            notes.append(f"the pictures of {some} are nearly all equal: the same ones are in several splits")
    return tuple(notes)
