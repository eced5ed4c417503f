"""What a SavedModel answers: `serve`, raw pixels to logits, and `classify`, encoded pictures to names.

TensorFlow decodes here and Pillow in `nasnet.data.pictures.prepare`, and they differ. Not read: transparent WebP,
TIFF, PGM. Not applied: the EXIF orientation. The rest is the same to a grey level (docs/results.md): both resize by a
triangle that widens with the step, and round to whole levels after each axis.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from nasnet.data.pictures import MOST_PIXELS, Preparation
from nasnet.networks.export.file_sizes import allowed
from nasnet.networks.spec import NetworkSpec

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_BITS = 24  # where a PNG's header has the bits of a sample; the kind of its pixels comes next
_LUMA = (19595, 38470, 7471)  # of 65536: ITU-R 601-2 as Pillow's "L" has it


def write_saved_model(path: Path, spec: NetworkSpec, model: keras.Model) -> None:
    """Writes the SavedModel of an inference model from raw pixels to logits.

    Signatures:
        serve (the default): float32 `[B, height, width, channels]`, 0 to 255 -> logits float32 `[B, classes]`.
        classify: `image_bytes`, string `[B]`, each a PNG, JPEG, GIF or BMP of any size -> `classes`, string
            `[B, classes]`, and `probabilities`, float32 `[B, classes]`, the likeliest first. Only where the network
            takes grey pictures or RGB.
    """
    archive: Any = keras.export.ExportArchive()
    pixels = tf.TensorSpec((None, *spec.image_shape), tf.float32, name="image")
    archive.track(model)
    # Both signatures call this one: a network of many layers takes seconds each time that it is traced.
    network = tf.function(lambda image: model(image, training=False), input_signature=[pixels], autograph=False)
    archive.add_endpoint("serve", lambda image: network(image), [pixels])
    if takes_files(spec):
        names = tf.constant(spec.classes)

        def classify(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
            shape = tf.TensorSpec(spec.image_shape, tf.float32)
            images = tf.map_fn(
                lambda one: picture(one, spec.image_shape, spec.preparation), image_bytes, fn_output_signature=shape
            )
            likeliest = tf.math.top_k(tf.nn.softmax(network(images)), len(spec.classes))
            return {"classes": tf.gather(names, likeliest.indices), "probabilities": likeliest.values}

        archive.add_endpoint("classify", classify, [tf.TensorSpec([None], tf.string, name="image_bytes")])
    archive.write_out(str(path), verbose=False)


def takes_files(spec: NetworkSpec) -> bool:
    """Whether a picture file can be made into what the network takes: grey or RGB."""
    return spec.image_shape[2] in (1, 3)


def picture(encoded: tf.Tensor, image_shape: tuple[int, int, int], preparation: Preparation) -> tf.Tensor:
    """One encoded picture, a string, as `prepare` makes it: float32 `[height, width, channels]`, whole levels 0 to 255.

    An operation of its graph fails for what is no picture, for more than `MOST_PIXELS` pixels (before they are
    decoded), and for values above `preparation.white`.
    """
    encoded = allowed(encoded, MOST_PIXELS)
    kind = tf.strings.substr(_header(encoded), _PNG_BITS, 2)
    grey16 = _is_png(encoded) & (kind == b"\x10\x00")  # 16 bits of grey, no alpha
    made = tf.cond(
        grey16,
        lambda: _deep(encoded, image_shape, preparation.white),
        lambda: _shallow(encoded, image_shape, preparation.background),
    )
    return tf.ensure_shape(made, image_shape)


def _header(encoded: tf.Tensor) -> tf.Tensor:
    """The first bytes of a file, as many as a PNG's header has; zeros where it is shorter."""
    return tf.strings.substr(tf.strings.join([encoded, tf.constant(bytes(_PNG_BITS + 2))]), 0, _PNG_BITS + 2)


def _is_png(encoded: tf.Tensor) -> tf.Tensor:
    return tf.strings.substr(_header(encoded), 0, len(_PNG)) == _PNG


def _shallow(encoded: tf.Tensor, image_shape: tuple[int, int, int], background: int) -> tf.Tensor:
    """8 bits, or the upper 8 of 16, over the background; resized, then grey or RGB."""
    height, width, channels = image_shape
    rgba = tf.case(
        [
            (tf.io.is_jpeg(encoded), lambda: _opaque(tf.io.decode_jpeg(encoded, 3, dct_method="INTEGER_ACCURATE"))),
            (_is_png(encoded), lambda: _png(encoded)),
        ],
        default=lambda: _opaque(tf.io.decode_image(encoded, 3, expand_animations=False)),
    )
    values = tf.cast(tf.ensure_shape(rgba, (None, None, 4)), tf.float32)
    alpha = values[..., 3:] / 255.0
    colour = _rounded(values[..., :3] * alpha + background * (1.0 - alpha))
    # Pillow resizes across, rounds, then down, and rounds again.
    across = _rounded(_resized(colour, (tf.shape(colour)[0], width)))
    colour = _rounded(_resized(across, (height, width)))
    if channels == 3:
        return colour
    weighted = tf.reduce_sum(tf.cast(colour, tf.int32) * tf.constant(_LUMA), -1, keepdims=True)
    return tf.cast(tf.bitwise.right_shift(weighted + 2**15, 16), tf.float32)


def _png(encoded: tf.Tensor) -> tf.Tensor:
    """Uint8 `[height, width, 4]`. TensorFlow adds an alpha of 2^bits - 1 where a file has none, also below 8 bits."""
    rgba = tf.io.decode_png(encoded, 4)
    bits = tf.io.decode_raw(tf.strings.substr(_header(encoded), _PNG_BITS, 1), tf.uint8)[0]
    added = tf.cast(2 ** tf.cast(tf.minimum(bits, 8), tf.int32) - 1, tf.uint8)
    return tf.cond(tf.reduce_all(rgba[..., 3] == added), lambda: _opaque(rgba[..., :3]), lambda: rgba)


def _deep(encoded: tf.Tensor, image_shape: tuple[int, int, int], white: int) -> tf.Tensor:
    height, width, channels = image_shape
    values = tf.cast(tf.io.decode_png(encoded, 1, tf.uint16), tf.float32)
    allowed = tf.debugging.assert_less_equal(
        values, float(white), f"16 bits a pixel with values above {white}, the white that the network was trained with"
    )
    with tf.control_dependencies([allowed]):
        levels = tf.minimum(_resized(values, (height, width)), float(white)) * (255.0 / white)
    return tf.repeat(tf.round(levels), channels, axis=2)


def _resized(image: tf.Tensor, size: Any) -> tf.Tensor:  # noqa: ANN401 - two numbers or tensors
    return tf.image.resize(image, size, "bilinear", antialias=True)


def _rounded(values: tf.Tensor) -> tf.Tensor:
    return tf.floor(values + 0.5)  # halves go up, as in Pillow; tf.round takes them to the even number


def _opaque(rgb: tf.Tensor) -> tf.Tensor:
    return tf.pad(rgb, [[0, 0], [0, 0], [0, 1]], constant_values=255)
