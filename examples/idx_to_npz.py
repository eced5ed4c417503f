"""Turns the four idx.gz files of MNIST and its kin into the one file that `--dataset=npz:PATH` reads.

    python examples/idx_to_npz.py /usr/share/datasets/fashion-mnist fashion-mnist.npz

That folder is Debian's package dataset-fashion-mnist. The class names of Fashion-MNIST are written where the folder is
called fashion-mnist; other sets get the names given with --classes, or their numbers.
"""

from __future__ import annotations

import argparse
import gzip
import os
import struct
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

FASHION_MNIST = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
UNSIGNED_BYTE = 8


class InputError(Exception):
    """Bad input, in one line."""


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The uint8 array in a gzipped idx file: 2 zero bytes, type, dimensions, their sizes (big-endian), the values."""
    try:
        with gzip.open(path) as file:
            data = file.read()
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not a whole gzip file ({error})") from error
    start = 4 + 4 * dimensions
    if len(data) < start or data[:4] != bytes((0, 0, UNSIGNED_BYTE, dimensions)):
        raise InputError(f"{path} is not an idx file of unsigned bytes in {dimensions} dimension(s)")
    shape = struct.unpack(f">{dimensions}I", data[4:start])
    if len(data) - start != int(np.prod(shape, dtype=np.int64)):
        raise InputError(f"{path} should hold {'x'.join(map(str, shape))} values and holds {len(data) - start}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def convert(folder: Path, output: Path, classes: Sequence[str] | None) -> None:
    """Writes the npz beside `output` and renames it into place.

    Raises:
        InputError: for files that are missing, not idx, or don't fit each other or the names; for an unwritable output.
    """
    arrays: dict[str, np.ndarray] = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz", 3)
        labels = read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", 1)
        if len(images) != len(labels):
            raise InputError(f"{folder}: {len(images)} pictures and {len(labels)} labels in {prefix}")
        arrays |= {f"x_{split}": images, f"y_{split}": labels}
    if classes:
        count = 1 + max(int(arrays[key].max(initial=0)) for key in ("y_train", "y_test"))
        if len(classes) != count:
            raise InputError(f"{len(classes)} class names for {count} classes: {','.join(classes)}")
        arrays["classes"] = np.array(classes)
    beside = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with open(beside, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)  # not compressed: it is read much more often than written
        os.replace(beside, output)
    except OSError as error:
        raise InputError(f"{output} can't be written ({error.strerror})") from error
    finally:
        beside.unlink(missing_ok=True)


def main() -> int:
    """Exit code 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds {train,t10k}-{images-idx3,labels-idx1}-ubyte.gz")
    parser.add_argument("output", type=Path, help="the npz file to write")
    parser.add_argument("--classes", help="names of classes 0, 1, ..., separated by commas")
    arguments = parser.parse_args()
    named = arguments.classes or (FASHION_MNIST if arguments.folder.resolve().name == "fashion-mnist" else None)
    try:
        convert(arguments.folder, arguments.output, named.split(",") if named else None)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
