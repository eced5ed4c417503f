"""The paper's augmentation (NASNet, appendix A.6), for a whole batch inside the graph."""

from __future__ import annotations

import tensorflow as tf


def augment(images: tf.Tensor, seed: tf.Tensor, *, pad: int, flip: bool, fill: tuple[float, ...]) -> tf.Tensor:
    """Random crops of the padded pictures, and random horizontal flips.

    Args:
        images: float32 `[B, height, width, channels]`.
        seed: int64 `[2]`; the same seed draws the same crops and flips.
        pad: pixels added at each side before a crop of the old size; 0 is off.
        flip: whether each picture is mirrored with probability one half.
        fill: value of the padding, one a channel. The mean of the data, which whitening turns into zero.

    Returns:
        As `images`.
    """
    batch, height, width, channels = tf.shape(images)[0], *images.shape[1:]
    if pad:
        # Differs from the paper: it upsamples 32 pixels to 40 before the crop; released code (slim, DARTS) pads.
        offset = tf.reshape(tf.constant(fill, images.dtype), [1, 1, 1, channels])
        padded = tf.pad(images - offset, [[0, 0], [pad, pad], [pad, pad], [0, 0]]) + offset
        corner = tf.random.stateless_uniform([batch, 2], seed, 0, 2 * pad + 1, dtype=tf.int32)
        rows = corner[:, :1] + tf.range(height)
        columns = corner[:, 1:] + tf.range(width)
        images = tf.gather(tf.gather(padded, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)
        images = tf.ensure_shape(images, [None, height, width, channels])
    if flip:
        mirrored = tf.random.stateless_uniform([batch, 1, 1, 1], seed + [0, 1]) < 0.5
        images = tf.where(mirrored, tf.reverse(images, [2]), images)
    return images
