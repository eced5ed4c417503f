"""A file's pixels, and how they become a network's input: decoded, resized, scaled to 8 bits, grey or RGB."""

from __future__ import annotations

import dataclasses
import io
import math
import re
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from nasnet.runtime.errors import UserError

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"))
MOST_PIXELS = 89_478_485
"""Pixels of the largest picture that is decoded: where Pillow warns of a decompression bomb, here is an error."""
MOST_SIDE = math.isqrt(MOST_PIXELS)
"""Pixels a side of the largest square of so many: what pictures are made at most."""

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_TIFF_BITS = 258  # the tag BitsPerSample
# Above MOST_PIXELS it is an error of ours, with the file's name. A thread cannot silence it for itself alone.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How a file's pixels became a network's input, beside the size and the channels that its input has.

    Attributes:
        resize: how pictures of another size are resized: Pillow's bilinear, antialiased (where it shrinks, its triangle
            widens with the step), height and width each by their own factor. The one way that there is.
        white: the value in files of 16 bits a pixel that became 255: 4095 for 12-bit data. Files of 8 bits stay as
            they are.
        background: the level, 0 to 255, that stands behind transparent pixels.
    """

    resize: str = "bilinear"
    white: int = 255
    background: int = 255

    def __post_init__(self) -> None:
        if self.resize != "bilinear":
            raise ValueError(f'resize must be "bilinear", got {self.resize!r}')
        for name, least, most in (("white", 1, 65535), ("background", 0, 255)):
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f"{name} must be a whole number of {least} to {most}, got {value!r}")


DEFAULT_PREPARATION = Preparation()


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """What a file holds, before it is made like others.

    Attributes:
        pixels: uint8 `[height, width, 1 or 3]`; of files with 16 bits a pixel uint16, or float32 once they are resized.
        kind: what the file held, in words: "grey" and "RGB" are what others are turned into.
        peak: the largest value of a 16-bit picture as it stands in the file; 0 for 8 bits.
        upper_byte: whether the file has 16 bits a colour, of which Pillow reads the upper 8.
    """

    pixels: np.ndarray
    kind: str
    peak: int = 0
    upper_byte: bool = False


class Unreadable(ValueError):
    """A file that is no picture, or not one that can be decoded. The message is the reason, without the file's name."""


def decode(source: Path | bytes, background: int = 255) -> Picture:
    """The picture in a file, or in the bytes of one, as a viewer shows it.

    Black-and-white pictures, palettes of greys and grey ones have 1 channel; all else becomes RGB. 16 bits of grey stay
    16 bits. What is transparent lies over `background`. The EXIF orientation is applied. Of an animation, or a file
    with several pages, the first frame is read and no other.

    Raises:
        Unreadable: for what can't be read whole, has more than `MOST_PIXELS` pixels, or pixels of another type.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=_FORMATS) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise Unreadable(_too_large(f"{opened.height}x{opened.width} pixels (height x width)"))
            upper_byte = _has_16_bits_a_colour(opened)
            return dataclasses.replace(_decoded(ImageOps.exif_transpose(opened), background), upper_byte=upper_byte)
    except Unreadable:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # when it is opened
        found = re.search(r"\d+", str(error))
        raise Unreadable(_too_large(f"{found[0] if found else 'too many'} pixels")) from error
    except UnidentifiedImageError as error:
        raise Unreadable(f"none of the formats {', '.join(_FORMATS)}") from error
    except Exception as error:  # a damaged file makes Pillow's readers raise anything
        raise Unreadable(" ".join(str(error).split()) or type(error).__name__) from error


def _too_large(size: str) -> str:
    return f"{size}; expected at most {MOST_PIXELS}"


def _has_16_bits_a_colour(picture: Image.Image) -> bool:
    """Whether a picture just opened has samples of 16 bits where its mode has 8 of them."""
    if picture.mode.startswith(("I", "F")):
        return False
    if picture.format == "PNG" and isinstance(picture, ImageFile.ImageFile) and picture.tile:
        return "16" in str(picture.tile[0][3])  # the form of the file's pixels: "RGB;16B", "LA;16B", "RGBA;16B"
    bits = picture.getexif().get(_TIFF_BITS, 8) if picture.format == "TIFF" else 8
    return max(bits if isinstance(bits, tuple) else (bits,)) > 8


def _decoded(picture: Image.Image, background: int) -> Picture:
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        if picture.has_transparency_data:
            raise Unreadable("16 bits a pixel with a transparent level; expected 8 bits, or no transparency")
        values = np.asarray(picture)
        if values.min() < 0 or values.max() > 65535:
            raise Unreadable(f"values from {values.min()} to {values.max()}; expected 0 to 65535")
        return Picture(values.astype(np.uint16)[..., np.newaxis], "grey", peak=int(values.max()))
    grey, kind = _has_no_colour(picture), "grey"
    if picture.mode not in ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"):
        raise Unreadable(f"pixels of Pillow's mode {picture.mode!r}; expected 8 or 16 bits of grey, or 8-bit colour")
    if picture.has_transparency_data:
        straight = picture.convert({"La": "LA", "RGBa": "RGBA"}.get(picture.mode, picture.mode)).convert("RGBA")
        behind = Image.new("RGBA", picture.size, (background, background, background, 255))
        picture, kind = Image.alpha_composite(behind, straight), "transparent"
    elif not grey:
        kind = {"P": "palette", "RGBX": "RGB"}.get(picture.mode, picture.mode)
    pixels = np.asarray(picture.convert("RGB"))
    return Picture(pixels[..., :1] if grey else pixels, kind)


def _has_no_colour(picture: Image.Image) -> bool:
    """By the file's own word: its mode, or its palette. RGB is colour, whatever its pixels are."""
    if picture.mode in ("P", "PA"):
        palette = np.asarray(picture.getpalette("RGB") or (), int).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return picture.mode in ("1", "L", "LA", "La")


def prepare(source: Path | bytes, image_shape: tuple[int, int, int], preparation: Preparation) -> np.ndarray:
    """A file, or its bytes, as a network's input: what `open_dataset` makes of the files that a network trains on.

    Args:
        source: a file's path, or the bytes of one.
        image_shape: `(height, width, channels)` of the network; 1 or 3 channels.
        preparation: the network's.

    Returns:
        uint8 `[height, width, channels]`, 0 to 255.

    Raises:
        UserError: for what `decode` can't read, and for values above `preparation.white`.
    """
    name = "the picture" if isinstance(source, bytes) else str(source)
    try:
        picture = decode(source, preparation.background)
        if picture.peak > preparation.white:
            raise Unreadable(
                f"16 bits a pixel with values up to {picture.peak}; expected at most {preparation.white}, the white of "
                "the pictures that the network was trained on"
            )
        resized = resize(picture.pixels, image_shape[:2])
        return to_channels(to_levels(resized, preparation.white), image_shape[2])
    except Unreadable as error:
        raise UserError(f"{name} is not a readable picture ({error})") from error


def resize(pixels: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """`[height, width, channels]` to another (height, width), as `Preparation.resize` says; None leaves it as it is.

    uint8 stays uint8; uint16 becomes float32, not rounded.
    """
    if size is None or pixels.shape[:2] == tuple(size):
        return pixels
    plain = pixels if pixels.dtype == np.uint8 else pixels.astype(np.float32)
    # Channel by channel: any number of them, and Pillow would take a fourth for alpha and weigh the others with it.
    channels = [
        np.asarray(Image.fromarray(plain[:, :, channel]).resize((size[1], size[0]), Image.Resampling.BILINEAR))
        for channel in range(pixels.shape[2])
    ]
    return np.stack(channels, axis=-1)


def to_levels(pixels: np.ndarray, white: int) -> np.ndarray:
    """Values of 16-bit files to uint8: `white` becomes 255, and what is above it too. uint8 stays as it is."""
    if pixels.dtype == np.uint8:
        return pixels
    return np.rint(np.minimum(pixels, white) * (255.0 / white)).astype(np.uint8)


def to_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """uint8 `[height, width, 1 or 3]` to 1 channel (ITU-R 601-2 luma, as Pillow's "L") or 3 (grey thrice).

    Raises:
        Unreadable: for another change.
    """
    if pixels.shape[2] == channels:
        return pixels
    if (pixels.shape[2], channels) == (1, 3):
        return np.repeat(pixels, 3, axis=2)
    if (pixels.shape[2], channels) == (3, 1):
        return np.asarray(Image.fromarray(pixels).convert("L"))[..., np.newaxis]
    raise Unreadable(f"{pixels.shape[2]} channel(s); expected {channels}")


def white_of(peak: int) -> int:
    """The white of pictures whose largest value is `peak`: the smallest of 255, 1023, 4095, 16383, 65535 above it.

    A scale that follows the bits of the device, and not the picture: one more picture rarely changes it.
    """
    return next(2**bits - 1 for bits in (8, 10, 12, 14, 16) if peak < 2**bits)
