"""The paper's augmentation (NASNet, appendix A.6), for a whole batch inside the graph."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from nasnet.data.input_pipeline import replica_rows

_STREAMS = 4  # places to crop, whether to mirror, rows and columns of squares


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What is done to each picture at random.

    Attributes:
        pad: pixels added at each side before a crop of the old size, or two numbers of them: above and below, and left
            and right; 0 is off.
        flip: whether a picture is mirrored with probability one half.
        cutout: side of a blanked square in pixels; 0 is off. Its centre is any pixel, so it may reach over the border
            (DARTS does so).
        fill: value of the padding and of the square, one a channel. The mean of the data, which whitening turns into
            zero.
    """

    pad: int | tuple[int, int]
    flip: bool
    cutout: int
    fill: tuple[float, ...]

    @property
    def pads(self) -> tuple[int, int]:
        """Pixels above and below, and left and right."""
        return (self.pad, self.pad) if isinstance(self.pad, int) else self.pad

    @property
    def changes(self) -> bool:
        """Whether it does anything."""
        return any(self.pads) or self.flip or self.cutout > 0


def augment(images: tf.Tensor, seed: tf.Tensor, augmentation: Augmentation) -> tf.Tensor:
    """Random crops of the padded pictures, random horizontal flips, and random squares blanked.

    On several replicas each draws what it would have drawn alone for its rows of the whole batch.

    Args:
        images: float32 `[B, height, width, channels]`.
        seed: int64 `[2]`: of the training, and the step's number. The same seed draws the same, no other does.
        augmentation: which of them, and how far.

    Returns:
        As `images`.
    """
    (above, beside), cutout = augmentation.pads, augmentation.cutout
    batch, height, width, channels = tf.shape(images)[0], *images.shape[1:]
    first, total = replica_rows(batch)
    blank = tf.reshape(tf.constant(augmentation.fill, images.dtype), [1, 1, 1, channels])

    def draw(stream: int, size: int, below: int) -> tf.Tensor:
        # A key for each draw of each step. Added to the step's number, one stream would draw what its neighbour does a
        # step later.
        key = seed * [_STREAMS, 1] + [stream, 0]
        drawn = tf.random.stateless_uniform([total, size], key, 0, below, dtype=tf.int32)
        return drawn[first : first + batch]

    if above or beside:
        # Differs from the paper: it upsamples 32 pixels to 40 before the crop; released code (slim, DARTS) pads.
        padded = tf.pad(images - blank, [[0, 0], [above, above], [beside, beside], [0, 0]]) + blank
        corner = draw(0, 2, 2 * above + 1)
        rows = corner[:, :1] + tf.range(height)
        columns = (corner if above == beside else draw(0, 2, 2 * beside + 1))[:, 1:] + tf.range(width)
        images = tf.gather(tf.gather(padded, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)
        images = tf.ensure_shape(images, [None, height, width, channels])
    if augmentation.flip:
        mirrored = tf.equal(tf.reshape(draw(1, 1, 2), [-1, 1, 1, 1]), 1)  # not `==`: in a session that compares objects
        images = tf.where(mirrored, tf.reverse(images, [2]), images)
    if cutout:
        # A square of an even side has no pixel in its middle: it starts half a side before the drawn one.
        starts = tf.concat([draw(2, 1, height), draw(3, 1, width)], 1) - cutout // 2
        inside = [
            (tf.range(length) >= start) & (tf.range(length) < start + cutout)
            for length, start in ((height, starts[:, :1]), (width, starts[:, 1:]))
        ]
        images = tf.where(
            inside[0][:, :, tf.newaxis, tf.newaxis] & inside[1][:, tf.newaxis, :, tf.newaxis], blank, images
        )
    return images
