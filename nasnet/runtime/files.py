"""JSON and folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nasnet.runtime.errors import SettingError, UserError, first_line


def expanded(path: str | Path) -> Path:
    """A path that a user wrote, with a `~` or `~name` that it begins with as that home folder.

    A shell does that only where a word begins with it: not in `--workdir=~/run`, not in `folder:~/pictures`. What has
    no home stays as it is, as in a shell.
    """
    return Path(os.path.expanduser(path))


def check_utf8(path: Path) -> None:
    """Raises UserError for a folder whose name is not UTF-8 on the disk: TensorFlow would write to one of another name.

    That is one of an older system, or any that is not ASCII where the locale has another encoding.
    """
    absolute = path.absolute()
    try:
        same = os.fsencode(absolute) == str(absolute).encode()
    except UnicodeEncodeError:
        same = False
    if not same:
        raise UserError(f"{path}: not a name in UTF-8; give another folder, or set LC_ALL=C.UTF-8")


def check_file(name: str, path: str | None) -> None:
    """Raises SettingError where no file can be renamed into place: over a folder, or over a device of the machine.

    Args:
        name: the setting that says the path.
        path: as a user wrote it; None where it is unset.
    """
    if path is not None and (there := expanded(path)).exists() and not there.is_file():
        raise SettingError(name, path, "is no file; expected the name of one that is new or can be written anew")


def create_folder(path: Path) -> None:
    """Creates a folder inside the workdir, or finds it. Raises UserError where it cannot be written to."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written to ({error.strerror})") from error


def read_json(path: Path, remedy: str = "", *, constant: Callable[[str], Any] | None = None) -> Any:  # noqa: ANN401 - whatever the file holds
    """Raises UserError with the file's name unless it holds JSON.

    Args:
        path: of the file.
        remedy: what the message ends with where it holds something else.
        constant: what becomes of NaN and the infinities, by their names; None: those numbers.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=constant)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{path}: not JSON ({first_line(error)}){remedy and f'; {remedy}'}") from error


def write_json(path: Path, value: object) -> None:
    """Written beside and renamed into place, so that no reader ever sees half of it."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """As `write_json`, for any text. Raises UserError where the folder cannot be written to."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path) as beside:
            beside.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Gives a path beside `path` to write to, and renames what is there into place; removes it where that fails.

    A file takes the place of what was there. A folder does not: where `path` is a folder that holds something, the
    rename fails. The name has the process in it, so that two of them do not write to the same one, and the suffix.
    """
    beside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield beside
        os.replace(beside, path)
    except BaseException:
        if beside.is_dir():
            shutil.rmtree(beside, ignore_errors=True)
        else:
            beside.unlink(missing_ok=True)
        raise
