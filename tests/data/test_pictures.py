from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from nasnet.data.pictures import decode, resize, stack
from nasnet.runtime.errors import UserError

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
    found = decode(saved(folder, Image.fromarray(pixels), f"a.{suffix}"))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, pixels if pixels.ndim == 3 else pixels[..., np.newaxis])


def test_a_jpeg_gives_about_its_pixels(tmp_path):
    pixels = np.repeat(np.repeat(draw(0, 4, 5, 3) // 64 * 64, 16, axis=0), 16, axis=1)  # flat blocks of 16x16
    found = decode(saved(tmp_path, Image.fromarray(pixels), "a.jpg", quality=95, subsampling=0))
    assert np.abs(found.astype(int) - pixels).mean() < 3


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_palette_becomes_rgb(tmp_path, suffix):
    picture = Image.fromarray(draw(1, 7, 5) % 6, mode="P")
    colours = draw(2, 6, 3)
    picture.putpalette(colours.tobytes())
    np.testing.assert_array_equal(decode(saved(tmp_path, picture, f"a.{suffix}")), colours[np.asarray(picture)])


def test_black_and_white_become_0_and_255(tmp_path):
    pixels = draw(3, 7, 5) > 127
    np.testing.assert_array_equal(decode(saved(tmp_path, Image.fromarray(pixels)))[..., 0], pixels * np.uint8(255))


def test_16_bit_grey_is_scaled(tmp_path):
    levels = np.array([[0, 128, 129, 257, 32768, 65406, 65407, 65535]], np.uint16)
    found = decode(saved(tmp_path, Image.fromarray(levels)))
    assert found[..., 0].tolist() == [[0, 0, 1, 1, 128, 254, 255, 255]]


@pytest.mark.parametrize(("mode", "channels"), [("LA", 1), ("RGBA", 3)])
def test_an_opaque_alpha_channel_is_dropped_and_a_transparent_one_refused(tmp_path, mode, channels):
    pixels = draw(4, 6, 5, channels + 1)
    pixels[..., -1] = 255
    np.testing.assert_array_equal(decode(saved(tmp_path, Image.fromarray(pixels, mode=mode))), pixels[..., :-1])
    pixels[2, 3, -1] = 254
    with pytest.raises(UserError, match=r"a\.png has transparent pixels; expected a picture flattened"):
        decode(saved(tmp_path, Image.fromarray(pixels, mode=mode)))


@pytest.mark.parametrize(("mode", "channels"), [("P", 3), ("L", 1)])
def test_a_transparent_colour_matters_only_where_it_is_used(tmp_path, mode, channels):
    picture = Image.fromarray(draw(5, 6, 5) % 4, mode=mode)
    if mode == "P":
        picture.putpalette(draw(6, 5, 3).tobytes())
    assert decode(saved(tmp_path, picture, transparency=4)).shape == (6, 5, channels)
    with pytest.raises(UserError, match="transparent"):
        decode(saved(tmp_path, picture, transparency=3))


def test_a_picture_is_turned_as_its_exif_says(tmp_path):
    pixels = draw(7, 6, 5, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held a quarter turn to the left
    found = decode(saved(tmp_path, Image.fromarray(pixels), exif=exif))
    np.testing.assert_array_equal(found, np.rot90(pixels, -1))


def test_of_an_animation_the_first_frame_is_read(tmp_path):
    first, second = (Image.fromarray(np.full((4, 4), level, np.uint8)) for level in (10, 200))
    assert np.unique(decode(saved(tmp_path, first, "a.gif", save_all=True, append_images=[second]))) == [10]


def test_pixels_of_another_kind_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"a\.tif has pixels of Pillow's mode 'F'; expected 8-bit grey or RGB"):
        decode(saved(tmp_path, Image.fromarray(np.zeros((3, 3), np.float32)), "a.tif"))


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp", "ppm"])
@given(share=st.floats(0, 1, exclude_max=True), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_a_truncated_file_is_never_read_as_another_picture(folder, suffix, share, seed):
    whole = io.BytesIO()
    Image.fromarray(draw(seed, 20, 30, 3)).save(whole, {"jpg": "jpeg"}.get(suffix, suffix))
    path = folder / f"whole.{suffix}"
    path.write_bytes(whole.getvalue())
    pixels = decode(path)
    part = folder / f"part.{suffix}"
    part.write_bytes(whole.getvalue()[: int(share * len(whole.getvalue()))])
    try:
        found = decode(part)
    except UserError as error:
        message = str(error)
    else:
        message = str(part)
        np.testing.assert_array_equal(found, pixels)
    assert str(part) in message
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"", b"no picture", b"%PDF-1.4"])
def test_a_file_that_is_no_picture_is_named(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.png is not a readable picture \(.+\); replace it or remove it"):
        decode(tmp_path / "a.png")


def test_a_file_of_a_format_that_no_suffix_stands_for_is_refused(tmp_path):
    Image.fromarray(draw(0, 4, 4)).save(tmp_path / "a.png", "PCX")
    with pytest.raises(UserError, match=r"a\.png is not a readable picture"):
        decode(tmp_path / "a.png")


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [1, 5, 8, 13, 40])
def test_resize_agrees_with_tensorflow(channels, size):
    picture = draw(8, 12, 20, channels)
    # Pillow rounds after each of its two passes, and its weights are fixed-point numbers: one level off at most.
    expected = tf.image.resize(picture, (size, size), antialias=True).numpy()
    found = resize(picture, size)
    assert found.dtype == np.uint8
    assert np.abs(found - expected).max() <= 1.01


def test_resize_to_the_same_size_changes_nothing():
    picture = draw(9, 12, 12, 3)
    np.testing.assert_array_equal(resize(picture, 12), picture)


def test_stack_keeps_order_and_refuses_another_shape():
    pictures = draw(10, 5, 4, 3, 1)
    np.testing.assert_array_equal(stack(((str(i), picture) for i, picture in enumerate(pictures)), 5), pictures)
    with pytest.raises(
        UserError, match=r"a is 4x3 and b is 3x4 pixels \(height x width\); expected one size \(see image_size\)$"
    ):
        stack([("a", draw(0, 4, 3, 1)), ("b", draw(0, 3, 4, 1))], 2)
    with pytest.raises(
        UserError, match=r"a has 1 channel\(s\) and b has 3; expected all pictures saved as grey or all as RGB"
    ):
        stack([("a", draw(0, 4, 3, 1)), ("b", draw(0, 4, 3, 3))], 2)


def test_more_pictures_than_memory_is_an_error_before_they_are_read():
    with pytest.raises(UserError, match=r"need 2,793,968 GiB of memory; expected smaller pictures \(see image_size\)$"):
        stack([("a", draw(0, 1000, 1000, 3))], 10**9)
