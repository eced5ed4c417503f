"""The reading with TensorFlow functions: each primitive on tensors, op by op or traced."""

# ruff: noqa: D102 - the protocol says what each primitive does

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from cells.primitives import Padding, Pair


@dataclasses.dataclass(frozen=True)
class Shifted:
    """What `shift` makes. It moves nothing: the strided convolution that follows starts one pixel later."""

    value: tf.Tensor


# Column of a 5x5 kernel, pair of columns to the left or right, half of the pair that is computed -> whether it counts.
_EVEN, _ODD = np.zeros((5, 3, 2)), np.zeros((5, 3, 2))
_EVEN[[0, 2, 4], [0, 1, 2]] = 1
_ODD[[1, 3, 1, 3], [0, 1, 1, 2], [0, 0, 1, 1]] = 1


class Functions:
    """Implements `Primitives[tf.Tensor]` on `[B, height, width, channels]`.

    Raw operations: the same kernels with less Python around each.
    """

    def __init__(self, weights: Mapping[str, tf.Tensor], epsilon: float, *, training: bool) -> None:
        self._weights = weights
        self._shapes: dict[tuple[int, ...], tf.Tensor] = {}
        self._nothing = tf.constant([], tf.float32)
        self._epsilon = epsilon
        self._training = training
        self._batch: list[tf.Tensor] = []
        self._to_biased: list[np.ndarray] = []
        self._rectified: dict[int, tuple[tf.Tensor, tf.Tensor]] = {}

    def batch_statistics(self) -> tuple[list[tf.Tensor], list[np.ndarray]]:
        """Mean `[channels]` and variance of this batch for every batch norm so far, and what to multiply them by.

        The fused operation's variance is the unbiased one; the moving variance moves towards the biased one.
        """
        return self._batch, self._to_biased

    def shape(self, x: tf.Tensor) -> tuple[int, ...]:
        return tuple(x.shape[1:])

    def conv(
        self,
        x: tf.Tensor,
        filters: int,
        kernel: Pair,
        *,
        name: str,
        stride: Pair = (1, 1),
        dilation: int = 1,
        padding: Padding = "same",
        bias: bool = False,
    ) -> tf.Tensor:
        weight = self._weights[f"{name}/kernel"]
        # Where a side of the kernel is 1, the same numbers; why not strided itself: see the reading with Keras layers.
        alone = (stride[0] if kernel[0] == 1 else 1, stride[1] if kernel[1] == 1 else 1)
        if alone != (1, 1):
            x = self._every(x.value, alone, 1) if isinstance(x, Shifted) else self._every(x, alone, 0)
            stride = (stride[0] // alone[0], stride[1] // alone[1])
        if kernel == (1, 1):
            # As a matrix product: 0.9 of the time at 8x8 pixels, and less than half with stride.
            batch, height, width, channels = x.shape
            flat = self._reshape(x, (batch * height * width, channels))
            x = self._reshape(tf.raw_ops.MatMul(a=flat, b=weight), (batch, height, width, filters))
        elif dilation > 1:
            x = self._dilated(x, weight, dilation, tf.raw_ops.Conv2D)
        else:
            x = tf.raw_ops.Conv2D(
                input=x, filter=weight, strides=[1, *stride, 1], padding=padding.upper(), data_format="NHWC"
            )
        return self._biased(x, name) if bias else x

    def _biased(self, x: tf.Tensor, name: str) -> tf.Tensor:
        return tf.raw_ops.BiasAdd(value=x, bias=self._weights[f"{name}/bias"])

    def _dilated(
        self, x: tf.Tensor, weight: tf.Tensor, dilation: int, convolution: Callable[..., tf.Tensor]
    ) -> tf.Tensor:
        """SAME, stride 1, an odd kernel. Dilated itself, a convolution has a gradient on CPU only with oneDNN."""
        borders = [dilation * (size - 1) // 2 for size in weight.shape[:2]]
        # Every `dilation`th pixel becomes a picture of its own: sizes must be multiples of it.
        rests = [-(size + 2 * border) % dilation for size, border in zip(x.shape[1:3], borders, strict=True)]
        paddings = [[border, border + rest] for border, rest in zip(borders, rests, strict=True)]
        block = tf.constant([dilation, dilation], tf.int32)
        x = tf.raw_ops.SpaceToBatchND(input=x, block_shape=block, paddings=paddings)
        x = convolution(input=x, filter=weight, strides=[1, 1, 1, 1], padding="VALID")
        return tf.raw_ops.BatchToSpaceND(input=x, block_shape=block, crops=[[0, rest] for rest in rests])

    def depthwise(
        self, x: tf.Tensor, kernel: int, *, name: str, stride: int = 1, dilation: int = 1, bias: bool = False
    ) -> tf.Tensor:
        weight = self._weights[f"{name}/kernel"]
        if kernel == 1:
            x = self._every(x, (stride, stride), 0) if stride > 1 else x
            x = tf.raw_ops.Mul(x=x, y=self._reshape(weight, (x.shape[3],)))
        elif dilation > 1:
            x = self._dilated(x, weight, dilation, tf.raw_ops.DepthwiseConv2dNative)
        elif kernel == 5 and stride == 1 and x.shape[2] % 2 == 0 and x.shape[1] * x.shape[2] >= 196:
            x = self._paired(x, weight)
        else:
            x = tf.raw_ops.DepthwiseConv2dNative(input=x, filter=weight, strides=[1, stride, stride, 1], padding="SAME")
        return self._biased(x, name) if bias else x

    def _paired(self, x: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        """A 5x5 depthwise convolution over pairs of columns, `[B, height, width / 2, 2 * channels]`: 3 wide there.

        oneDNN has a fast gradient of depthwise kernels up to 3 wide only: 0.65 of the time from 14x14 pixels. Columns
        at even distances are in the same half of a pair, those at odd distances in the other half: swap the halves.
        """
        batch, height, width, channels = x.shape
        pairs = (batch, height, width // 2, 2 * channels)
        halves = self._reshape(x, (batch * height * width // 2, 2, channels))
        swapped = self._reshape(tf.raw_ops.ReverseV2(tensor=halves, axis=[1]), pairs)
        weight = self._reshape(weight, (5, 5, channels))
        parts: list[tf.Tensor] = []
        for picture, columns in ((self._reshape(x, pairs), _EVEN), (swapped, _ODD)):
            kernel = tf.raw_ops.Einsum(inputs=[weight, tf.constant(columns, x.dtype)], equation="hwc,wdp->hdpc")
            kernel = self._reshape(kernel, (5, 3, 2 * channels, 1))
            parts.append(
                tf.raw_ops.DepthwiseConv2dNative(input=picture, filter=kernel, strides=[1, 1, 1, 1], padding="SAME")
            )
        return self._reshape(tf.raw_ops.AddV2(x=parts[0], y=parts[1]), tuple(x.shape))

    def full_conv(self, x: tf.Tensor, filters: int, *, name: str) -> tf.Tensor:
        return self.conv(x, filters, (x.shape[1], x.shape[2]), name=name, padding="valid")

    def batch_norm(self, x: tf.Tensor, *, name: str) -> tf.Tensor:
        gamma, beta = self._weights[f"{name}/gamma"], self._weights[f"{name}/beta"]
        if not self._training:
            mean, variance = self._weights[f"{name}/moving_mean"], self._weights[f"{name}/moving_variance"]
            if x.dtype == tf.float32:
                return tf.raw_ops.FusedBatchNorm(
                    x=x,
                    scale=gamma,
                    offset=beta,
                    mean=mean,
                    variance=variance,
                    epsilon=self._epsilon,
                    is_training=False,
                )[0]
            scale = gamma * tf.math.rsqrt(variance + self._epsilon)
            return x * scale + (beta - mean * scale)
        if x.dtype != tf.float32:
            mean, variance = tf.nn.moments(x, [0, 1, 2])
            self._note(mean, variance, 1.0)
            return (x - mean) * (gamma * tf.math.rsqrt(variance + self._epsilon)) + beta
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNorm(
            x=x,
            scale=gamma,
            offset=beta,
            mean=self._nothing,
            variance=self._nothing,
            epsilon=self._epsilon,
            is_training=True,
        )
        count = math.prod(x.shape[:3])  # networks/layers.py does the same for a Keras layer
        self._note(mean, variance, (count - 1) / count)
        return y

    def _note(self, mean: tf.Tensor, variance: tf.Tensor, to_biased: float) -> None:
        self._batch += [mean, variance]
        self._to_biased += [np.ones(mean.shape[0]), np.full(mean.shape[0], to_biased)]

    def relu(self, x: tf.Tensor, *, name: str) -> tf.Tensor:
        del name
        # Several operations rectify the same state: once is enough. The tensor is kept so that its id stays its own.
        if id(x) not in self._rectified:
            self._rectified[id(x)] = (x, tf.raw_ops.Relu(features=x))
        return self._rectified[id(x)][1]

    def tanh(self, x: tf.Tensor, *, name: str, scale: float = 1.0, slope: float = 1.0) -> tf.Tensor:
        del name
        x = x if slope == 1.0 else tf.raw_ops.Mul(x=x, y=tf.constant(slope, x.dtype))
        x = tf.raw_ops.Tanh(x=x)
        return x if scale == 1.0 else tf.raw_ops.Mul(x=x, y=tf.constant(scale, x.dtype))

    def local_response_norm(
        self, x: tf.Tensor, *, name: str, size: int, alpha: float, beta: float, bias: float
    ) -> tf.Tensor:
        del name
        around = size // 2
        if x.dtype == tf.float32:
            return tf.raw_ops.LRN(input=x, depth_radius=around, bias=bias, alpha=alpha, beta=beta)
        squares = tf.pad(x * x, [[0, 0], [0, 0], [0, 0], [around, around]])
        sums = tf.add_n([squares[..., first : first + x.shape[3]] for first in range(size)])
        return x * (bias + alpha * sums) ** -beta

    def max_pool(self, x: tf.Tensor, size: int, *, name: str, stride: int = 1, padding: Padding = "same") -> tf.Tensor:
        del name
        options = {"padding": padding.upper()}
        if size == 3:
            return tf.raw_ops.MaxPool(input=x, ksize=[1, size, size, 1], strides=[1, stride, stride, 1], **options)
        # Rows, then columns: fewer comparisons, and the same maximum.
        for window, step in (([1, size, 1, 1], [1, stride, 1, 1]), ([1, 1, size, 1], [1, 1, stride, 1])):
            x = tf.raw_ops.MaxPool(input=x, ksize=window, strides=step, **options)
        return x

    def avg_pool(self, x: tf.Tensor, size: int, *, name: str, stride: int = 1, padding: Padding = "same") -> tf.Tensor:
        del name
        return tf.raw_ops.AvgPool(
            value=x, ksize=[1, size, size, 1], strides=[1, stride, stride, 1], padding=padding.upper()
        )

    def subsample(self, x: tf.Tensor, *, name: str) -> tf.Tensor:
        del name
        return self._every(x, (2, 2), 0)

    def shift(self, x: tf.Tensor, *, name: str) -> Shifted:
        del name
        return Shifted(x)

    def pad(self, x: tf.Tensor, rows: Pair, columns: Pair, *, name: str, channels: Pair = (0, 0)) -> tf.Tensor:
        del name
        return tf.raw_ops.Pad(input=x, paddings=[(0, 0), rows, columns, channels])

    def select(self, x: tf.Tensor, start: int, stop: int, *, name: str) -> tf.Tensor:
        del name
        return tf.raw_ops.Slice(input=x, begin=[0, 0, 0, start], size=[*x.shape[:3], stop - start])

    def drop_path(self, x: tf.Tensor, depth: float, *, name: str) -> tf.Tensor:
        del depth, name  # a child has none
        return x

    def dropout(self, x: tf.Tensor, *, name: str) -> tf.Tensor:
        del name  # a child has none
        return x

    def add(self, x: tf.Tensor, y: tf.Tensor, *, name: str) -> tf.Tensor:
        del name
        return tf.raw_ops.AddV2(x=x, y=y)

    def concat(self, xs: list[tf.Tensor], *, name: str) -> tf.Tensor:
        del name
        return tf.raw_ops.ConcatV2(values=xs, axis=3)

    def global_avg_pool(self, x: tf.Tensor, *, name: str) -> tf.Tensor:
        del name
        batch, height, width, channels = x.shape
        x = tf.raw_ops.AvgPool(value=x, ksize=[1, height, width, 1], strides=[1, 1, 1, 1], padding="VALID")
        return self._reshape(x, (batch, channels))

    def dense(self, x: tf.Tensor, units: int, *, name: str) -> tf.Tensor:
        del units
        flat = x if len(x.shape) == 2 else self._reshape(x, (x.shape[0], math.prod(x.shape[1:])))
        return self._biased(tf.raw_ops.MatMul(a=flat, b=self._weights[f"{name}/kernel"]), name)

    def rbf(self, x: tf.Tensor, centers: tuple[tuple[int, ...], ...], *, name: str) -> tf.Tensor:
        del name
        x = self._reshape(x, (x.shape[0], 1, x.shape[1]))
        return -tf.reduce_sum((x - tf.constant(centers, x.dtype)) ** 2, 2)

    def _every(self, x: tf.Tensor, steps: Pair, first: int) -> tf.Tensor:
        """Every so many pixels, from `first`, of every so many rows: a row and a column of zeros are below and right.

        As a slice of `[B * height / 2, 2, width / 2, 2 * channels]`, for a strided slice has a slow gradient.
        """
        batch, height, width, channels = x.shape
        missing = [-height % steps[0], -width % steps[1]]
        if any(missing):
            x = tf.raw_ops.Pad(input=x, paddings=[[0, 0], *([0, pixels] for pixels in missing), [0, 0]])
        height, width = -(-height // steps[0]), -(-width // steps[1])
        x = self._reshape(x, (batch * height, steps[0], width, steps[1] * channels))
        x = tf.raw_ops.Slice(input=x, begin=[0, first, 0, first * channels], size=[batch * height, 1, width, channels])
        return self._reshape(x, (batch, height, width, channels))

    def _reshape(self, x: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
        # Half of the nodes were constants: one for each shape is enough.
        if shape not in self._shapes:
            self._shapes[shape] = tf.constant(shape, tf.int32)
        return tf.raw_ops.Reshape(tensor=x, shape=self._shapes[shape])
