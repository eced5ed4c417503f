"""How many pixels an encoded picture has by its own header, in a graph: asked before anything is decoded.

PNG (its specification, 11.2.2), JPEG (TensorFlow reads its frame header), GIF (GIF89a, 18), BMP (BITMAPINFOHEADER) and
WebP (RFC 9649, 2.5 to 2.7), lossy, lossless and extended.
"""

from __future__ import annotations

import tensorflow as tf

_BYTES = 32  # of the header: what any of them has of its size lies in them


def allowed(encoded: tf.Tensor, most: int) -> tf.Tensor:
    """The encoded picture, a string, once it is known to have at most so many pixels; an operation fails where not."""
    size = _size(encoded)
    within = tf.debugging.assert_less_equal(
        tf.reduce_prod(size), tf.constant(most, tf.int64), f"a picture's width times height; expected at most {most}"
    )
    with tf.control_dependencies([within]):
        return tf.identity(encoded)


def _size(encoded: tf.Tensor) -> tf.Tensor:
    """Two sides, int64 `[2]`; 0 for what is none of these formats, which no decoder takes either."""
    padded = tf.strings.join([encoded, tf.constant(bytes(_BYTES))])
    header = tf.cast(tf.io.decode_raw(tf.strings.substr(padded, 0, _BYTES), tf.uint8), tf.int64)

    def is_at(word: bytes, at: int = 0) -> tf.Tensor:
        return tf.strings.substr(padded, at, len(word)) == word

    def little(at: int, count: int) -> tf.Tensor:
        return tf.add_n([header[at + place] * 256**place for place in range(count)])

    def big(at: int) -> tf.Tensor:
        return tf.add_n([header[at + place] * 256 ** (3 - place) for place in range(4)])

    def lossless() -> tf.Tensor:
        both = little(21, 4)
        return tf.stack([both % 2**14 + 1, both // 2**14 % 2**14 + 1])

    def upright(side: tf.Tensor) -> tf.Tensor:
        return tf.minimum(side, 2**32 - side)  # signed: a BMP whose rows run from the top has a height below 0

    return tf.case(
        [
            (tf.io.is_jpeg(encoded), lambda: tf.cast(tf.image.extract_jpeg_shape(encoded)[:2], tf.int64)),
            (is_at(b"\x89PNG"), lambda: tf.stack([big(16), big(20)])),
            (is_at(b"GIF8"), lambda: tf.stack([little(6, 2), little(8, 2)])),
            (is_at(b"BM"), lambda: tf.stack([upright(little(18, 4)), upright(little(22, 4))])),
            (is_at(b"VP8X", 12), lambda: tf.stack([little(24, 3) + 1, little(27, 3) + 1])),
            (is_at(b"VP8L", 12), lossless),
            (is_at(b"VP8 ", 12), lambda: tf.stack([little(26, 2) % 2**14, little(28, 2) % 2**14])),
        ],
        default=lambda: tf.zeros([2], tf.int64),
    )
