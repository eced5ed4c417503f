"""Pictures as uint8 arrays [height, width, channels]: decode a file, resize, put many of one shape into one array."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from nasnet.runtime.errors import UserError

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"))
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
# What Pillow's readers raise on a broken file; SyntaxError is its word for "not a valid PNG".
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, Image.DecompressionBombError)


def decode(path: Path, image_size: int | None = None) -> np.ndarray:
    """The picture in a file, uint8 [height, width, channels], as a viewer shows it.

    Grey and black-and-white pictures have 1 channel; colour, palette and CMYK pictures become RGB, 3 channels. 16-bit
    grey is scaled to 8 bits. An alpha channel that is opaque everywhere is dropped. The EXIF orientation is applied.
    Of an animation the first frame is read. `image_size` is that of `resize`.

    Raises:
        UserError: for a file that can't be read whole, transparency (what would stand behind it?), other pixel types.
    """
    try:
        with Image.open(path, formats=_FORMATS) as opened:
            array = _pixels(path, ImageOps.exif_transpose(opened))
    except _BROKEN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path} is not a readable picture ({reason}); replace it or remove it") from error
    return array if image_size is None else resize(array, image_size)


def _pixels(path: Path, picture: Image.Image) -> np.ndarray:
    if picture.has_transparency_data:
        picture = picture.convert("LA" if picture.mode in ("1", "L", "LA", "La") else "RGBA")
        if picture.getchannel("A").getextrema() != (255, 255):
            raise UserError(f"{path} has transparent pixels; expected a picture flattened onto a background")
        picture = picture.convert("L" if picture.mode == "LA" else "RGB")
    if picture.mode.startswith("I;16"):
        return np.rint(np.asarray(picture, np.float64) / 257)[..., np.newaxis].astype(np.uint8)  # 65535 / 257 = 255
    if picture.mode in ("1", "L"):
        return np.asarray(picture.convert("L"))[..., np.newaxis]
    if picture.mode in ("RGB", "P", "CMYK", "YCbCr"):
        return np.asarray(picture.convert("RGB"))
    raise UserError(f"{path} has pixels of Pillow's mode {picture.mode!r}; expected 8-bit grey or RGB")


def resize(picture: np.ndarray, image_size: int) -> np.ndarray:
    """uint8 [height, width, channels] -> uint8 [image_size, image_size, channels].

    Bilinear; antialiased where it shrinks (the triangle widens with the step). The aspect ratio isn't kept.
    """
    if picture.shape[:2] == (image_size, image_size):
        return picture
    size = (image_size, image_size)
    # Channel by channel: any number of them, and Pillow would take a fourth for alpha and weigh the others with it.
    channels = [
        np.asarray(Image.fromarray(picture[:, :, channel]).resize(size, Image.Resampling.BILINEAR))
        for channel in range(picture.shape[2])
    ]
    return np.stack(channels, axis=-1)


def stack(pictures: Iterable[tuple[str, np.ndarray]], count: int) -> np.ndarray:
    """`count` named pictures, uint8 [height, width, channels] -> one array, uint8 [count, height, width, channels].

    Raises:
        UserError: for a picture whose shape is not the first one's, or when the array doesn't fit into memory.
    """
    named = iter(pictures)
    first_name, first = next(named)
    try:
        stacked = np.empty((count, *first.shape), np.uint8)
    except MemoryError as error:
        raise UserError(
            f"{count} pictures of {_text(first.shape)} values need {count * first.size / 2**30:,.0f} GiB of memory; "
            "expected smaller pictures",
            see=("image_size",),
        ) from error
    stacked[0] = first
    for index, (name, picture) in enumerate(named, start=1):
        check_alike(first_name, first.shape, name, picture.shape)
        stacked[index] = picture
    return stacked


def check_alike(name: str, shape: tuple[int, ...], other_name: str, other_shape: tuple[int, ...]) -> None:
    """Raises UserError unless two pictures, named, have one shape (height, width, channels)."""
    if shape[2] != other_shape[2]:
        raise UserError(
            f"{name} has {shape[2]} channel(s) and {other_name} has {other_shape[2]}; "
            f"expected all pictures saved as grey or all as RGB"
        )
    if shape != other_shape:
        raise UserError(
            f"{name} is {_text(shape[:2])} and {other_name} is {_text(other_shape[:2])} pixels (height x width); "
            "expected one size",
            see=("image_size",),
        )


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
