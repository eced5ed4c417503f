"""folder:PATH, a folder of pictures for each class, as people have them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from nasnet.data.pictures import SUFFIXES, Picture, Unreadable, decode, resize
from nasnet.data.sources import Load, Loaded, Size, Source, check_fits
from nasnet.data.splits import content_hash
from nasnet.runtime.errors import SettingError, UserError

VALID_NAMES = ("valid", "val", "validation")
_PARTS = ("train", *VALID_NAMES, "test")
# What systems, archives and labelling tools leave beside pictures, in any case.
_HARMLESS = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "icon\r", "readme", "license", "licence"}
_HARMLESS_SUFFIXES = {
    *(".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".html", ".htm", ".log"),
    *(".ini", ".db", ".url", ".lnk"),
}
Broken = tuple[str, str]
"""Name of a file, and what is said of it: why it is no picture."""


def folder(path: Path, least: int = 2) -> Source:
    """PATH/<class>/<picture>; or PATH/train/<class>/<picture>, and beside train what there is of valid and test.

    The valid split's folder may be called val or validation as well. Classes are sorted by name, pictures by file name.
    Names that start with a dot, and files whose names say that they are no pictures and no harm (labels.txt, README.md,
    Thumbs.db), are passed over.

    `least` is how many classes there must be; from 2 on, each must have pictures.

    Raises:
        UserError: for folders that are something else.
    """
    parts = _parts(path)
    if parts is None:
        classes, strays = _classes(path, path)
        _check_depth(path, classes)
        _check_classes(path, classes, strays, least)
        names = tuple(classes)
        return Source(names, _load(path, classes, names), strays=strays, notes=_loose(path))
    found = {part: _classes(path, below) for part, below in parts.items()}
    names = tuple(found["train"][0])
    _check_classes(parts["train"], *found["train"], least)
    for part, (classes, _) in found.items():
        for name in classes:
            if name not in names:
                raise SettingError(
                    "dataset", f"folder:{path}", f"class {name!r} is in {parts[part].name}, not in train"
                )
    empty = [part for part, (classes, bad) in found.items() if not bad and not any(classes.values())]
    load = {part: _load(path, classes, names) for part, (classes, _) in found.items() if part not in empty}
    return Source(
        names,
        load["train"],
        load.get("valid"),
        load.get("test"),
        {
            _name(path, file): f"{file.stat().st_size}:"
            for files in (found["test"][0].values() if "test" in load else ())
            for file in files
        },
        strays=tuple(stray for _, strays in found.values() for stray in strays),
        notes=(
            *(f"{parts[part]} holds no pictures: {part} is carved from train" for part in empty),
            *_loose(parts["train"]),
        ),
    )


def _parts(path: Path) -> dict[str, Path] | None:
    """The folders of the splits, by the splits' names; None where PATH holds the classes themselves."""
    there = _folders(path)
    known: dict[str, list[Path]] = {}
    for child in there:
        known.setdefault(child.name.lower(), []).append(child)
    train = known.get("train", [])
    if not any(_folders(child) for child in train):
        if there and set(known) <= set(_PARTS):
            held = ", ".join(child.name for child in there)
            raise SettingError("dataset", f"folder:{path}", f"holds {held} without a folder for each class in train")
        return None
    beside = [child.name for child in there if child not in train]
    valid = [child for name in VALID_NAMES for child in known.get(name, [])]
    test = known.get("test", [])
    if len(train) > 1 or len(valid) > 1 or len(test) > 1 or set(known) - set(_PARTS):
        valid_names = ", ".join(VALID_NAMES)
        rule = f"holds train/<class> beside {beside}; expected beside train at most test and one of {valid_names}"
        raise SettingError("dataset", f"folder:{path}", rule)
    return {part: found[0] for part, found in (("train", train), ("valid", valid), ("test", test)) if found}


def _folders(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir() and not _is_harmless(child.name))


def _is_harmless(name: str) -> bool:
    return name.startswith(".") or name.lower() in _HARMLESS


def _check_classes(path: Path, classes: dict[str, list[Path]], strays: tuple[Broken, ...], least: int) -> None:
    if len(classes) < least:
        held = f"one folder, {next(iter(classes))}" if classes else "no folders"
        wanted = "two" if least > 1 else "one"
        raise UserError(f"{path}: holds {held}; expected {wanted} or more, one with the pictures of each class")
    empty = [name for name, files in classes.items() if not files]
    if empty and least > 1 and not strays:
        raise UserError(f"class {empty[0]!r} is empty: no pictures in {path / empty[0]}")


def _check_depth(path: Path, classes: dict[str, list[Path]]) -> None:
    """Raises SettingError where what looks like classes are splits of other names, such as training/<class>."""
    parts = [name for name in classes if not classes[name] and _folders(path / name)]
    if parts and not any(classes.values()):
        rule = (
            f"holds {', '.join(parts)}, which hold folders and no pictures; expected a folder of pictures for each "
            f"class, or such folders in train, and beside it in {' or '.join(VALID_NAMES)} and in test"
        )
        raise SettingError("dataset", f"folder:{path}", rule)


def _classes(root: Path, path: Path) -> tuple[dict[str, list[Path]], tuple[Broken, ...]]:
    """Each class's picture files, and what else is there in their place."""
    classes: dict[str, list[Path]] = {}
    strays: list[Broken] = []
    for folder_ in _folders(path):
        classes[folder_.name] = []
        for file in sorted(folder_.iterdir()):
            reason = _why_stray(file)
            if reason is None:
                classes[folder_.name].append(file)
            elif reason:
                strays.append((_name(root, file), reason))
    return classes, tuple(strays)


def _why_stray(file: Path) -> str | None:
    """Why something in a class folder is no picture; empty if it is passed over, None if it may be one."""
    if _is_harmless(file.name):
        return ""
    if file.is_dir():
        return "is no picture but a folder"
    if file.suffix.lower() in _HARMLESS_SUFFIXES:
        return ""
    if file.suffix.lower() not in SUFFIXES:
        return f"is no picture; expected only {' '.join(sorted(SUFFIXES))} in a class folder"
    if not file.is_file():
        return "is a link to nothing" if file.is_symlink() and not file.exists() else "is no file"
    return None


def _loose(path: Path) -> tuple[str, ...]:
    """A note on pictures beside the class folders."""
    loose = [file for file in path.iterdir() if not _is_harmless(file.name) and file.suffix.lower() in SUFFIXES]
    loose = sorted(file.name for file in loose if not file.is_dir())
    if not loose:
        return ()
    some = ", ".join(loose[:3]) + ", ..." * (len(loose) > 3)
    return (f"{len(loose)} picture(s) in {path} itself belong to no class and are passed over ({some})",)


def _name(root: Path, file: Path) -> str:
    return file.relative_to(root).as_posix()


def _load(root: Path, classes: dict[str, list[Path]], names: tuple[str, ...]) -> Load:
    files = [file for pictures in classes.values() for file in pictures]
    labels = np.repeat([names.index(name) for name in classes], [len(pictures) for pictures in classes.values()])
    return functools.partial(_read_files, root, files, labels.astype(int))


def _read_files(root: Path, files: Sequence[Path], labels: np.ndarray, size: Size | None) -> Loaded:
    names = [_name(root, file) for file in files]
    broken: list[Broken] = []
    rows: list[int] = []
    read: list[tuple[str, int, Picture]] = []
    with ThreadPoolExecutor() as threads:  # Pillow decodes outside of Python's lock
        for row, found in enumerate(threads.map(functools.partial(_read, size), files)):
            if isinstance(found, str):
                broken.append((names[row], found))
                continue
            if not read:
                check_fits(len(files), found[2].pixels.shape)
            rows.append(row)
            read.append(found)
    pictures = [picture for _, _, picture in read]
    return Loaded(
        f"{root}/",
        [picture.pixels for picture in pictures],
        labels[rows],
        [names[row] for row in rows],
        [known for known, _, _ in read],
        [length for _, length, _ in read],
        [picture.kind for picture in pictures],
        np.array([picture.peak for picture in pictures], int),
        np.array([picture.upper_byte for picture in pictures], bool),
        named=True,
        broken=tuple(broken),
    )


def _read(size: Size | None, file: Path) -> tuple[str, int, Picture] | str:
    """A file's hash, its size in bytes and what it holds; or what is wrong with it."""
    try:
        content = file.read_bytes()
        picture = decode(content)
    except OSError as error:
        return f"can't be read ({error.strerror or type(error).__name__})"
    except Unreadable as error:
        return f"is not a readable picture ({error})"
    resized = Picture(resize(picture.pixels, size), picture.kind, picture.peak, picture.upper_byte)
    return content_hash(content), len(content), resized
