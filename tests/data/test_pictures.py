from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from nasnet.data import pictures
from nasnet.data.pictures import Preparation, Unreadable, decode, prepare, resize, to_channels, to_levels, white_of
from nasnet.runtime.errors import UserError
from tests.support.png import png_16_bit_colour

GREY = arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)))
RGB = arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))


def draw(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def saved(folder: Path, picture: Image.Image, name: str = "a.png", **options) -> Path:
    picture.save(folder / name, **options)
    return folder / name


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm"])
@given(GREY | RGB)
@settings(max_examples=20, deadline=None)
def test_a_lossless_file_gives_back_its_pixels(folder, suffix, pixels):
    path = saved(folder, Image.fromarray(pixels), f"a.{suffix}")
    for source in (path, path.read_bytes()):
        found = decode(source)
        assert found.pixels.dtype == np.uint8
        assert found.kind == ("RGB" if pixels.ndim == 3 else "grey")
        np.testing.assert_array_equal(found.pixels, pixels if pixels.ndim == 3 else pixels[..., np.newaxis])


def test_a_jpeg_gives_about_its_pixels(tmp_path):
    pixels = np.repeat(np.repeat(draw(0, 4, 5, 3) // 64 * 64, 16, axis=0), 16, axis=1)  # flat blocks of 16x16
    found = decode(saved(tmp_path, Image.fromarray(pixels), "a.jpg", quality=95, subsampling=0)).pixels
    assert np.abs(found.astype(int) - pixels).mean() < 3


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_palette_becomes_rgb(tmp_path, suffix):
    picture = Image.fromarray(draw(1, 7, 5) % 6, mode="P")
    colours = draw(2, 6, 3)
    picture.putpalette(colours.tobytes())
    found = decode(saved(tmp_path, picture, f"a.{suffix}"))
    np.testing.assert_array_equal(found.pixels, colours[np.asarray(picture)])
    assert found.kind == "palette"


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_palette_of_greys_is_grey(tmp_path, suffix):
    """As Pillow and many programs write grey GIFs."""
    picture = Image.fromarray(draw(1, 7, 5) % 6, mode="P")
    greys = np.repeat(draw(2, 6, 1), 3, axis=1)
    picture.putpalette(greys.tobytes())
    found = decode(saved(tmp_path, picture, f"a.{suffix}"))
    np.testing.assert_array_equal(found.pixels[..., 0], greys[np.asarray(picture), 0])
    assert (found.kind, found.pixels.shape[2]) == ("grey", 1)


def test_black_and_white_become_0_and_255(tmp_path):
    pixels = draw(3, 7, 5) > 127
    found = decode(saved(tmp_path, Image.fromarray(pixels)))
    np.testing.assert_array_equal(found.pixels[..., 0], pixels * np.uint8(255))
    assert found.kind == "grey"


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_16_bit_grey_keeps_its_values(tmp_path, suffix):
    levels = np.array([[0, 128, 129, 257, 32768, 65406, 65407, 65535]], np.uint16)
    found = decode(saved(tmp_path, Image.fromarray(levels), f"a.{suffix}"))
    assert found.pixels.dtype == np.uint16
    np.testing.assert_array_equal(found.pixels[..., 0], levels)
    assert (found.peak, found.kind, found.upper_byte) == (65535, "grey", False)


def test_12_bits_in_a_16_bit_file_use_all_256_levels(tmp_path):
    """Seen: scaled by 65535, its 4,096 levels became 17."""
    levels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    found = decode(saved(tmp_path, Image.fromarray(levels)))
    assert white_of(found.peak) == 4095
    eight = to_levels(found.pixels, 4095)
    assert len(np.unique(eight)) == 256
    np.testing.assert_array_equal(eight[..., 0], np.floor(levels * 255.0 / 4095 + 0.5))


@pytest.mark.parametrize(
    ("peak", "white"), [(0, 255), (255, 255), (256, 1023), (1023, 1023), (1024, 4095), (4096, 16383), (16384, 65535)]
)
def test_white_is_that_of_a_device_of_so_many_bits(peak, white):
    assert white_of(peak) == white


@pytest.mark.parametrize("channels", [3, 4])
def test_of_16_bits_a_colour_the_upper_ones_are_read_and_that_is_said(channels):
    pixels = np.random.default_rng(0).integers(0, 65536, (4, 5, channels), dtype=np.uint16)
    if channels == 4:
        pixels[..., 3] = 65535
    found = decode(png_16_bit_colour(pixels))
    assert found.upper_byte
    np.testing.assert_array_equal(found.pixels, pixels[..., :3] >> 8)
    assert not decode(saved_bytes(Image.fromarray(draw(0, 4, 5, 3)))).upper_byte


def saved_bytes(picture: Image.Image, suffix: str = "png", **options) -> bytes:
    written = io.BytesIO()
    picture.save(written, suffix, **options)
    return written.getvalue()


@pytest.mark.parametrize(("mode", "channels"), [("LA", 1), ("RGBA", 3)])
@pytest.mark.parametrize("background", [255, 0, 99])
def test_what_is_transparent_lies_over_the_background(tmp_path, mode, channels, background):
    pixels = draw(4, 6, 5, channels + 1)
    pixels[0, :, -1], pixels[1, :, -1] = 255, 0
    found = decode(saved(tmp_path, Image.fromarray(pixels, mode=mode)), background)
    alpha = pixels[..., -1:] / 255
    expected = pixels[..., :-1] * alpha + background * (1 - alpha)
    assert found.kind == "transparent"
    assert np.abs(found.pixels - expected).max() <= 1
    np.testing.assert_array_equal(found.pixels[0], pixels[0, :, :-1])  # opaque
    assert (found.pixels[1] == background).all()


@pytest.mark.parametrize(("mode", "channels"), [("P", 3), ("L", 1), ("1", 1), ("RGB", 3)])
def test_a_transparent_colour_is_background(tmp_path, mode, channels):
    pixels = draw(5, 6, 5) % 4
    picture = Image.fromarray(pixels, mode="L")
    if mode == "P":
        picture = Image.fromarray(pixels, mode=mode)
        picture.putpalette(draw(6, 5, 3).tobytes())
    elif mode == "1":
        picture = Image.fromarray(pixels > 1)
    elif mode == "RGB":
        picture = Image.merge("RGB", [picture] * 3)
    transparent = {"P": 3, "L": 3, "1": 0, "RGB": (3, 3, 3)}[mode]
    plain, found = decode(saved(tmp_path, picture)), decode(saved(tmp_path, picture, transparency=transparent))
    clear = pixels <= 1 if mode == "1" else pixels == 3
    assert found.pixels.shape == (6, 5, channels)
    assert (found.pixels[clear] == 255).all()
    np.testing.assert_array_equal(found.pixels[~clear], plain.pixels[~clear])


@pytest.mark.parametrize(("mode", "suffix"), [("CMYK", "tif"), ("CMYK", "jpg"), ("YCbCr", "tif")])
def test_other_colours_become_rgb(tmp_path, mode, suffix):
    colour = Image.fromarray(np.full((8, 8, 3), (200, 40, 90), np.uint8)).convert(mode)
    found = decode(saved(tmp_path, colour, f"a.{suffix}"))
    assert found.kind == mode
    assert np.abs(found.pixels.astype(int) - (200, 40, 90)).max() <= 3


def test_a_picture_is_turned_as_its_exif_says(tmp_path):
    pixels = draw(7, 6, 5, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held a quarter turn to the left
    found = decode(saved(tmp_path, Image.fromarray(pixels), exif=exif))
    np.testing.assert_array_equal(found.pixels, np.rot90(pixels, -1))


def test_of_an_animation_the_first_frame_is_read(tmp_path):
    first, second = (Image.fromarray(np.full((4, 4), level, np.uint8)) for level in (10, 200))
    assert np.unique(decode(saved(tmp_path, first, "a.gif", save_all=True, append_images=[second])).pixels) == [10]


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (Image.fromarray(np.zeros((3, 3), np.float32)), "mode 'F'; expected 8 or 16 bits of grey, or 8-bit colour"),
        (Image.new("LAB", (3, 3)), "mode 'LAB'; expected 8 or 16 bits"),
        (Image.fromarray(np.array([[0, 70_000]], np.int32)), "values from 0 to 70000; expected 0 to 65535"),
        (Image.fromarray(np.array([[-1, 7]], np.int32)), "values from -1 to 7; expected 0 to 65535"),
    ],
)
def test_pixels_of_another_kind_are_refused(tmp_path, picture, reason):
    with pytest.raises(Unreadable, match=reason):
        decode(saved(tmp_path, picture, "a.tif"))


def test_32_bit_integers_within_16_bits_are_taken(tmp_path):
    found = decode(saved(tmp_path, Image.fromarray(np.array([[0, 4095]], np.int32)), "a.tif"))
    assert (found.pixels.ravel().tolist(), found.peak) == ([0, 4095], 4095)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # as outside of pytest: the limit is ours
@pytest.mark.parametrize(("side", "said"), [(9_460, "(89491600|9460x9460) pixels"), (20_000, "400000000 pixels")])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(side, said):
    """Its file is tiny: a header, and nothing behind it."""
    whole = saved_bytes(Image.new("L", (2, 2)))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    head = b"IHDR" + header
    bomb = whole[:12] + head + struct.pack(">I", zlib.crc32(head)) + whole[33:]
    with pytest.raises(Unreadable, match=rf"{said}.*; expected at most {pictures.MOST_PIXELS}$"):
        decode(bomb)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp", "ppm"])
@given(share=st.floats(0, 1, exclude_max=True), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_a_truncated_file_is_never_read_as_another_picture(folder, suffix, share, seed):
    whole = io.BytesIO()
    Image.fromarray(draw(seed, 20, 30, 3)).save(whole, {"jpg": "jpeg"}.get(suffix, suffix))
    path = folder / f"whole.{suffix}"
    path.write_bytes(whole.getvalue())
    pixels = decode(path).pixels
    part = folder / f"part.{suffix}"
    part.write_bytes(whole.getvalue()[: int(share * len(whole.getvalue()))])
    try:
        found = decode(part)
    except Unreadable as error:
        message = str(error)
    else:
        message = "none"
        np.testing.assert_array_equal(found.pixels, pixels)
    assert message
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"", b"no picture", b"%PDF-1.4", saved_bytes(Image.new("L", (4, 4)), "PCX")])
def test_a_file_that_is_no_picture_is_named(tmp_path, content):
    """A PCX too: no suffix stands for it."""
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.png is not a readable picture \(none of the formats PNG, JPEG, .+\)$"):
        prepare(tmp_path / "a.png", (4, 4, 1), Preparation())
    with pytest.raises(UserError, match=r"^the picture is not a readable picture"):
        prepare(content, (4, 4, 1), Preparation())


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_bytes_are_an_error_of_one_line_or_a_picture(data):
    suffix = data.draw(st.sampled_from(["png", "jpeg", "gif", "tiff", "webp"]))
    content = bytearray(saved_bytes(Image.fromarray(draw(1, 9, 9, 3)), suffix))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    try:
        found = decode(bytes(content))
    except Unreadable as error:
        message = str(error)
    else:
        message = "none"
        assert found.pixels.dtype in (np.uint8, np.uint16)
    assert message
    assert "\n" not in message


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [1, 5, 8, 13, 40])
def test_resize_agrees_with_tensorflow(channels, size):
    picture = draw(8, 12, 20, channels)
    # Pillow rounds after each of its two passes, and its weights are fixed-point numbers: one level off at most.
    for height, width in ((size, size), (size, 9), (7, size)):
        expected = tf.image.resize(picture, (height, width), antialias=True).numpy()
        found = resize(picture, (height, width))
        assert found.dtype == np.uint8
        assert np.abs(found - expected).max() <= 1.01


def test_16_bits_are_resized_as_they_are():
    deep = np.random.default_rng(0).integers(0, 4096, (12, 20, 1)).astype(np.uint16)
    expected = tf.image.resize(deep, (5, 8), antialias=True).numpy()
    np.testing.assert_allclose(resize(deep, (5, 8)), expected, rtol=1e-5)


def test_resize_to_the_same_size_changes_nothing():
    picture = draw(9, 12, 12, 3)
    np.testing.assert_array_equal(resize(picture, (12, 12)), picture)
    np.testing.assert_array_equal(resize(picture, None), picture)


@pytest.mark.parametrize(("width", "channels"), [(7, 1), (7, 3), (5, 3), (9, 1)])
def test_prepare_is_decode_resize_and_convert(tmp_path, width, channels):
    pixels = draw(0, 6, 5, 3)
    path = saved(tmp_path, Image.fromarray(pixels))
    expected = np.asarray(Image.fromarray(pixels).resize((width, 8), Image.Resampling.BILINEAR))
    if channels == 1:
        expected = np.rint(expected @ np.array([0.299, 0.587, 0.114]))[..., np.newaxis]
    for source in (path, path.read_bytes()):
        found = prepare(source, (8, width, channels), Preparation())
        assert (found.shape, found.dtype) == ((8, width, channels), np.uint8)
        assert np.abs(found - expected.astype(float)).max() <= 1


def test_prepare_scales_by_the_white_that_the_network_knows(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.array([[0, 1023, 4095]], np.uint16)))
    assert prepare(path, (1, 3, 1), Preparation(white=4095)).ravel().tolist() == [0, 64, 255]
    assert prepare(path, (1, 3, 1), Preparation(white=65535)).ravel().tolist() == [0, 4, 16]
    with pytest.raises(UserError, match=r"a\.png .*with values up to 4095; expected at most 1023, the white of"):
        prepare(path, (1, 3, 1), Preparation(white=1023))
    eight = saved(tmp_path, Image.fromarray(draw(0, 1, 3)))
    np.testing.assert_array_equal(prepare(eight, (1, 3, 1), Preparation(white=4095))[..., 0], draw(0, 1, 3))


def test_prepare_lays_what_is_transparent_over_the_network_s_background(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.array([[[9, 9, 9, 0], [9, 9, 9, 255]]], np.uint8), "RGBA"))
    assert prepare(path, (1, 2, 1), Preparation(background=70)).ravel().tolist() == [70, 9]


def test_grey_and_colour_become_one_another():
    pixels = draw(0, 4, 5, 3)
    np.testing.assert_array_equal(to_channels(pixels[..., :1], 3), np.repeat(pixels[..., :1], 3, axis=2))
    np.testing.assert_array_equal(to_channels(pixels, 1)[..., 0], np.asarray(Image.fromarray(pixels).convert("L")))
    np.testing.assert_array_equal(to_channels(to_channels(pixels[..., :1], 3), 1), pixels[..., :1])
    with pytest.raises(Unreadable, match=r"^3 channel\(s\); expected 4"):
        to_channels(pixels, 4)


@pytest.mark.parametrize(
    "change", [{"resize": "nearest"}, {"white": 0}, {"white": 65536}, {"white": 4095.0}, {"background": 256}]
)
def test_a_preparation_that_there_is_not(change):
    with pytest.raises(ValueError, match=f"^{next(iter(change))} must be "):
        Preparation(**change)
