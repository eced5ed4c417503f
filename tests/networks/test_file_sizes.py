"""A picture's pixels by its header, against what Pillow wrote it with."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from nasnet.data.pictures import MOST_PIXELS, Preparation
from nasnet.networks.export.file_sizes import allowed
from nasnet.networks.export.serving import picture

FORMS = {
    "PNG": {},
    "JPEG": {},
    "progressive": {"format": "JPEG", "progressive": True},
    "GIF": {},
    "BMP": {},
    "WebP": {},
    "lossless": {"format": "WebP", "lossless": True},
    "extended": {"format": "WebP", "exif": b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
}


@pytest.mark.parametrize("form", FORMS)
def test_as_many_pixels_as_are_allowed_and_not_one_more(form):
    rng = np.random.default_rng(len(form))
    for height, width in ((1, 1), (1, 700), (259, 3), *rng.integers(1, 600, (3, 2)).tolist()):
        buffer = io.BytesIO()
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(buffer, **{"format": form, **FORMS[form]})
        file = tf.constant(buffer.getvalue())
        assert allowed(file, height * width) == file
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"expected at most {height * width - 1}"):
            allowed(file, height * width - 1)


def test_a_bmp_whose_rows_run_from_the_top():
    buffer = io.BytesIO()
    Image.new("RGB", (7, 5)).save(buffer, "BMP")
    file = bytearray(buffer.getvalue())
    file[22:26] = (-5).to_bytes(4, "little", signed=True)
    assert allowed(tf.constant(bytes(file)), 35) == bytes(file)
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected at most 34"):
        allowed(tf.constant(bytes(file)), 34)


def test_a_webp_that_asks_to_be_shown_larger_has_the_pixels_that_it_has():
    """The two bits above each side of a lossy one (RFC 9649, 2.5; RFC 6386, 9.1): decoders pass over them."""
    buffer = io.BytesIO()
    Image.new("RGB", (7, 5)).save(buffer, "WebP")
    file = bytearray(buffer.getvalue())
    file[27] |= 0x40
    file[29] |= 0x80
    assert tf.io.decode_image(bytes(file)).shape[-3:] == (5, 7, 3)
    assert allowed(tf.constant(bytes(file)), 35) == bytes(file)


def test_a_small_file_of_very_many_pixels_is_not_decoded():
    """100,000 x 100,000, by the header of a PNG, a GIF's largest, and a picture one pixel too large."""
    chunk = b"IHDR" + (100_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    png = b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    gif = b"GIF89a" + b"\xff\xff" * 2 + bytes(19)
    for file in (png, gif):
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"expected at most {MOST_PIXELS}"):
            picture(tf.constant(file), (8, 8, 3), Preparation())


@pytest.mark.parametrize("file", [b"", b"P6 40000 40000 255\n", b"BM", b"GIF8", b"RIFF\0\0\0\0WEBPVP8X"])
def test_what_has_no_size_is_left_to_the_decoder(file):
    assert allowed(tf.constant(file), MOST_PIXELS) == file
