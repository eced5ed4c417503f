"""TensorFlow's reading of a picture file against Pillow's, which networks are trained on."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
import tensorflow as tf
from PIL import Image

from nasnet.data.pictures import Preparation, prepare
from nasnet.networks.export.serving import picture

PHOTOGRAPHS = sorted((Path(sklearn.datasets.__file__).parent / "images").glob("*.jpg"))
LEVELS = 2  # of 255, where a value lies between two levels in both readings


def differences(files: list[bytes], image_shape: tuple[int, int, int], preparation: Preparation) -> np.ndarray:
    """The largest and the mean difference of each file, in levels, `[N, 2]`."""
    function = tf.function(
        lambda one: picture(one, image_shape, preparation), input_signature=[tf.TensorSpec([], tf.string)]
    )
    found = []
    for file in files:
        ours = function(tf.constant(file)).numpy()
        assert ours.shape == image_shape
        np.testing.assert_array_equal(ours, np.rint(ours))
        apart = np.abs(ours - prepare(file, image_shape, preparation))
        found.append((apart.max(), apart.mean()))
    return np.array(found)


def encoded(picture: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("image_shape", [(32, 32, 3), (24, 40, 1), (500, 700, 3)])
def test_photographs_are_read_as_in_training(image_shape):
    found = differences([path.read_bytes() for path in PHOTOGRAPHS], image_shape, Preparation())
    assert len(found) == 2
    assert found[:, 0].max() <= LEVELS
    assert found[:, 1].max() < 0.02


@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_file_that_both_read(channels):
    """Grey, colour, palettes, transparency and 16 bits a colour; a background that is neither black nor white."""
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (5, 4, 4)).astype(np.uint8), "RGBA").resize((37, 29))
    rgb, grey = smooth.convert("RGB"), smooth.convert("L")
    clear = smooth.quantize(40, method=Image.Quantize.FASTOCTREE)
    files = [
        *(encoded(one, "PNG") for one in (smooth, rgb, grey, grey.convert("1"), rgb.quantize(16), clear)),
        encoded(smooth.convert("LA"), "PNG"),
        *(encoded(Image.merge("RGBA", (*rgb.split(), Image.new("L", rgb.size, alpha))), "PNG") for alpha in (1, 127)),
        tf.io.encode_png(rng.integers(0, 2**16, (9, 7, 3)).astype(np.uint16)).numpy(),
        tf.io.encode_png(rng.integers(0, 2**16, (9, 7, 4)).astype(np.uint16)).numpy(),
        encoded(clear.remap_palette(range(16)), "PNG"),
        encoded(grey, "PNG", transparency=int(np.asarray(grey)[0, 0])),
        *(encoded(one, "JPEG") for one in (rgb, grey)),
        encoded(rgb.quantize(16), "GIF", save_all=True, append_images=[grey.quantize(4)]),
        *(encoded(one, "BMP") for one in (rgb, rgb)),
    ]
    found = differences(files, (16, 20, channels), Preparation(background=90))
    assert found[:, 0].max() <= LEVELS, found
    assert found[:, 1].max() < 0.1, found


@pytest.mark.parametrize("size", [(29, 37), (12, 50)])
def test_sixteen_bits_of_grey_are_scaled_by_the_networks_white(size):
    values = np.random.default_rng(0).integers(0, 4096, (29, 37)).astype(np.uint16)
    file = encoded(Image.fromarray(values), "PNG")
    for channels in (1, 3):
        [(largest, _)] = differences([file], (*size, channels), Preparation(white=4095))
        assert largest <= 1
    with pytest.raises(tf.errors.InvalidArgumentError, match="values above 1023"):
        picture(tf.constant(file), (8, 8, 1), Preparation(white=1023))


def test_what_is_no_picture_is_an_error():
    for nothing in (b"", b"\x89PNG", b"no picture at all", b"\xff\xd8\xff"):
        with pytest.raises(tf.errors.OpError):
            picture(tf.constant(nothing), (8, 8, 3), Preparation())
