"""Augmentation for a whole batch inside the graph: CIFAR's (NASNet, appendix A.6) and ImageNet's."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from nasnet.data.input_pipeline import replica_rows

_STREAMS = 4  # places to crop (or all that Inception draws), whether to mirror, rows and columns of squares


@dataclasses.dataclass(frozen=True)
class Inception:
    """ImageNet's augmentation: a part of the picture, stretched to all of it, with other colours.

    Its source is slim's `inception_preprocessing.py` as its trainings call it, with `fast_mode`: no hue, no contrast.

    Attributes:
        area: least and largest share of the picture that is cropped. slim says 0.05, but also that a tenth of the
            object is in it, and without boxes the picture is the object.
        aspect: least and largest width of the crop as a multiple of its height.
        brightness: most that is added to all pixels, or taken from them, of 0 to 255.
        saturation: least and largest factor of the saturation.
    """

    area: tuple[float, float] = (0.1, 1.0)
    aspect: tuple[float, float] = (0.75, 1.33)
    brightness: float = 32.0
    saturation: tuple[float, float] = (0.5, 1.5)


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
        inception: in the place of padding: crops of other sizes, and colours.
    """

    pad: int | tuple[int, int]
    flip: bool
    cutout: int
    fill: tuple[float, ...]
    inception: Inception | None = None

    @property
    def pads(self) -> tuple[int, int]:
        """Pixels above and below, and left and right."""
        return (self.pad, self.pad) if isinstance(self.pad, int) else self.pad

    @property
    def changes(self) -> bool:
        """Whether it does anything."""
        return any(self.pads) or self.flip or self.cutout > 0 or self.inception is not None


def augment(images: tf.Tensor, seed: tf.Tensor, augmentation: Augmentation) -> tf.Tensor:
    """Random crops of the padded pictures, or of parts of them; random horizontal flips; random squares blanked.

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

    if augmentation.inception is not None:
        key = seed * [_STREAMS, 1]
        drawn = tf.random.stateless_uniform([total, 7], key)[first : first + batch]
        images = _distorted(images, tf.cast(drawn, images.dtype), augmentation.inception)
    elif above or beside:
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


def _distorted(images: tf.Tensor, drawn: tf.Tensor, ranges: Inception) -> tf.Tensor:
    """Crops stretched to the whole picture, and their colours, by seven numbers of 0 to 1 for each picture."""
    height, width = images.shape[1:3]
    boxes = crop_boxes(drawn[:, :4], height, width, ranges)
    for axis, start, extent in ((1, 0, 2), (2, 1, 3)):
        images = _stretched(images, axis, boxes[:, start], boxes[:, extent])

    def between(column: int, low: float, high: float) -> tf.Tensor:
        return tf.reshape(low + (high - low) * drawn[:, column], [-1, 1, 1, 1])

    # slim has four orders of two changes: in one of them brightness comes first, in three saturation.
    shift, factor = between(4, -ranges.brightness, ranges.brightness), between(5, *ranges.saturation)
    brightness_first = between(6, 0.0, 1.0) < 0.25
    none = tf.zeros_like(shift)
    images = saturated(images + tf.where(brightness_first, shift, none), factor)
    return tf.clip_by_value(images + tf.where(brightness_first, none, shift), 0.0, 255.0)


def crop_boxes(drawn: tf.Tensor, height: int, width: int, ranges: Inception) -> tf.Tensor:
    """Where pictures are cropped: `[B, 4]` of top, left, height and width in pixels.

    As TensorFlow's `sample_distorted_bounding_box` draws: the aspect ratio, then the height between those of the least
    and of the largest area that fit, then the place, each uniformly.

    # Differs from slim: a box is of fractions of a pixel, where TensorFlow rounds; what TensorFlow draws anew because
    # too little of the picture is in it, is never drawn.

    Args:
        drawn: `[B, 4]` of 0 to 1.
        height, width: of the pictures.
        ranges: of areas and aspect ratios.
    """
    aspect = ranges.aspect[0] + (ranges.aspect[1] - ranges.aspect[0]) * drawn[:, 0]
    least, most = (tf.sqrt(share * height * width / aspect) for share in ranges.area)
    most = tf.minimum(tf.minimum(most, width / aspect), float(height))
    tall = least + (most - least) * drawn[:, 1]
    fits = least <= most + 1e-3  # else all of the picture is taken, by TensorFlow too
    tall, wide = tf.where(fits, tall, float(height)), tf.where(fits, tall * aspect, float(width))
    return tf.stack([(height - tall) * drawn[:, 2], (width - wide) * drawn[:, 3], tall, wide], axis=1)


def _stretched(images: tf.Tensor, axis: int, start: tf.Tensor, extent: tf.Tensor) -> tf.Tensor:
    """`extent` pixels from `start` on of each picture, along an axis, as many as there were: bilinear.

    # Differs from slim: places are of pixels' middles, as in TensorFlow 2, not of their corners as in TensorFlow 1's
    # resize; and slim crops pictures of any size to the network's, here they are of that size before, so that a crop is
    # always enlarged.
    """
    size = images.shape[axis]
    middles = (tf.range(size, dtype=images.dtype) + 0.5) * (extent[:, tf.newaxis] / size) - 0.5
    # What lies beyond the crop is not seen, and a crop of less than a pixel has that pixel's value.
    first, last = start[:, tf.newaxis], (start + tf.maximum(extent - 1.0, 0.0))[:, tf.newaxis]
    places = tf.clip_by_value(first + middles, first, tf.minimum(last, size - 1.0))
    below = tf.floor(places)
    share = places - below
    shape = [-1, size, 1, 1] if axis == 1 else [-1, 1, size, 1]
    low = tf.cast(below, tf.int32)
    near, far = (tf.gather(images, index, axis=axis, batch_dims=1) for index in (low, tf.minimum(low + 1, size - 1)))
    share = tf.reshape(share, shape)
    return tf.ensure_shape((1.0 - share) * near + share * far, images.shape)


def saturated(images: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Pictures with `factor` times the saturation of HSV, at most one: `V - g (V - c)` of each channel c.

    V is a pixel's largest channel, and g the factor, or what takes the smallest channel to zero where that is less.
    What is grey stays so. For any number of channels; `tf.image.adjust_saturation` takes three, and one factor for all.
    """
    largest = tf.reduce_max(images, axis=3, keepdims=True)
    chroma = largest - tf.reduce_min(images, axis=3, keepdims=True)
    bound = tf.math.divide_no_nan(tf.maximum(largest, 0.0), chroma)
    return largest - tf.minimum(factor, bound) * (largest - images)
