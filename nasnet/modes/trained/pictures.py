"""What `--mode=predict` names: pictures. No TensorFlow."""

from __future__ import annotations

from pathlib import Path

from nasnet.data.pictures import SUFFIXES
from nasnet.runtime.errors import UserError
from nasnet.runtime.files import expanded


def named_pictures(paths: tuple[str, ...]) -> list[Path]:
    """The files that a command names, and those below its folders with the suffix of a picture, by path.

    Raises:
        UserError: for a path that is not there, a folder without pictures, or no path at all.
    """
    if not paths:
        raise UserError("no PATH is given; name pictures or folders of them after the flags of --mode=predict")
    found: list[Path] = []
    for path in map(expanded, paths):
        if path.is_dir():
            below = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
            seen = [
                file
                for file in below
                if not any(part.startswith((".", "__MACOSX")) for part in file.relative_to(path).parts)
            ]
            if not seen:
                raise UserError(f"{path}: holds no pictures; expected {' '.join(sorted(SUFFIXES))}")
            found += seen
        elif path.exists():
            found.append(path)
        else:
            raise UserError(f"{path}: no such file or folder; expected pictures or folders of them")
    return found
