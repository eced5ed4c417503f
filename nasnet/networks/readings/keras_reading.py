"""The reading with Keras layers: each primitive as stock layers, or operations of `keras.ops`."""

# ruff: noqa: D102 - the protocol says what each primitive does

from __future__ import annotations

from typing import Any, Literal

import keras
import numpy as np

from cells.primitives import Padding, Pair
from nasnet.networks.layers import DropConfig, FusedBatchNorm, Shift, StatelessDropout
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.seeds import name_seed

BatchNorm = Literal["stock", "fused", "synchronized"]
Tensor = Any  # Keras' symbolic tensors; Keras ships no types


def layer_name(primitive: str) -> str:
    """The Keras layer of a primitive: `cell_0__block_1__left__conv_1`, for PyTorch takes no parameters with dots."""
    return primitive.replace(".", "__")


def primitive_name(layer: keras.layers.Layer) -> str:
    """The primitive of a layer: `cell_0.block_1.left.conv_1`, also where an older version saved it by that name."""
    return layer.name.replace("__", ".")


class Layers:
    """Implements `Primitives[keras.KerasTensor]`."""

    def __init__(
        self, spec: NetworkSpec, *, drops: DropConfig | None, batch_norm: BatchNorm, seed: int, dtype: str
    ) -> None:
        self._drops, self._border, self._seed, self._dtype = drops, spec.border, seed, dtype
        self._fan = spec.architecture.fan
        self._exact = keras.DTypePolicy(dtype).variable_dtype
        self._bn_class = FusedBatchNorm if batch_norm == "fused" else keras.layers.BatchNormalization
        momentum, epsilon = spec.batch_norm
        self._bn: dict[str, object] = {"momentum": momentum, "epsilon": epsilon}
        if batch_norm == "synchronized":
            self._bn["synchronized"] = True

    def _layer(self, kind: Tensor, *values: object, name: str, **options: object) -> Tensor:
        return kind(*values, name=layer_name(name), **{"dtype": self._dtype, **options})

    def _initial(self, name: str, results: int = 1) -> keras.Initializer:
        """Variance scaling; a depthwise kernel, of one result a channel, has FAN_OUT in any network."""
        return keras.initializers.VarianceScaling(
            2.0,
            self._fan if results > 1 else "fan_out",
            "truncated_normal",
            seed=name_seed(self._seed, f"{name}/kernel"),
        )

    def shape(self, x: Tensor) -> tuple[int, ...]:
        return tuple(x.shape[1:])

    def conv(
        self,
        x: Tensor,
        filters: int,
        kernel: Pair,
        *,
        name: str,
        stride: Pair = (1, 1),
        dilation: int = 1,
        padding: Padding = "same",
        bias: bool = False,
    ) -> Tensor:
        # Where a side of the kernel is 1, the same numbers. Strided itself, oneDNN's gradient of a 1x1 kernel writes
        # beyond its memory on AVX2 processors where fewer than 8 channels come in (TensorFlow 2.21; docs/results.md).
        alone = (stride[0] if kernel[0] == 1 else 1, stride[1] if kernel[1] == 1 else 1)
        if alone != (1, 1):
            x = self._layer(keras.layers.MaxPooling2D, 1, strides=alone, name=f"{name}.subsample")(x)
            stride = (stride[0] // alone[0], stride[1] // alone[1])
        return self._layer(
            keras.layers.Conv2D,
            filters,
            kernel,
            strides=stride,
            dilation_rate=dilation,
            padding=padding,
            use_bias=bias,
            kernel_initializer=self._initial(name, filters),
            name=name,
        )(x)

    def depthwise(
        self, x: Tensor, kernel: int, *, name: str, stride: int = 1, dilation: int = 1, bias: bool = False
    ) -> Tensor:
        return self._layer(
            keras.layers.DepthwiseConv2D,
            kernel,
            strides=stride,
            dilation_rate=dilation,
            padding="same",
            use_bias=bias,
            depthwise_initializer=self._initial(name),
            name=name,
        )(x)

    def full_conv(self, x: Tensor, filters: int, *, name: str) -> Tensor:
        return self.conv(x, filters, tuple(x.shape[1:3]), name=name, padding="valid")

    def batch_norm(self, x: Tensor, *, name: str) -> Tensor:
        return self._layer(self._bn_class, name=name, **self._bn)(x)

    def relu(self, x: Tensor, *, name: str) -> Tensor:
        return self._layer(keras.layers.ReLU, name=name)(x)

    def tanh(self, x: Tensor, *, name: str, scale: float = 1.0, slope: float = 1.0) -> Tensor:
        if slope != 1.0:
            x = self._scaled(x, slope, 0.0, f"{name}.slope")
        x = self._layer(keras.layers.Activation, "tanh", name=name)(x)
        return x if scale == 1.0 else self._scaled(x, scale, 0.0, f"{name}.scale")

    def _scaled(self, x: Tensor, scale: float, offset: float, name: str) -> Tensor:
        if self._exact == "float64":  # plain numbers would pass through float32
            scale, offset = np.float64(scale), np.float64(offset)
        return self._layer(keras.layers.Rescaling, scale, offset, name=name)(x)

    def local_response_norm(self, x: Tensor, *, name: str, size: int, alpha: float, beta: float, bias: float) -> Tensor:
        around = keras.ops.pad(keras.ops.square(x), ((0, 0), (0, 0), (0, 0), (size // 2, size // 2)))
        sums = around[..., : x.shape[-1]]
        for first in range(1, size):
            sums += around[..., first : first + x.shape[-1]]
        divisors = self._scaled(sums, alpha, bias, f"{name}.scale")
        return self._layer(keras.layers.Multiply, name=name)([x, keras.ops.power(divisors, -beta)])

    def max_pool(self, x: Tensor, size: int, *, name: str, stride: int = 1, padding: Padding = "same") -> Tensor:
        return self._pool(keras.layers.MaxPooling2D, x, size, name, stride, padding)

    def avg_pool(self, x: Tensor, size: int, *, name: str, stride: int = 1, padding: Padding = "same") -> Tensor:
        return self._pool(keras.layers.AveragePooling2D, x, size, name, stride, padding)

    def _pool(self, layer: Tensor, x: Tensor, size: int, name: str, stride: int, padding: Padding) -> Tensor:
        margins = [self._margin(length, size, stride) for length in x.shape[1:3]]
        if padding == "valid" or not any(map(any, margins)):
            padding = "valid"
        elif stride > 1 and self._border == "zero":
            # The same windows as SAME, over a picture that zeros have been written around.
            x = self._layer(keras.layers.ZeroPadding2D, margins, name=f"{name}.pad")(x)
            padding = "valid"
        elif layer is keras.layers.AveragePooling2D and self._drops is None:
            if size % 2 == 0:
                return self._rescaled_average(x, size, name, stride, margins)
            if stride > 1:
                return self._subsampled_average(x, size, name, stride, [size // 2 - before for before, _ in margins])
        return self._layer(layer, size, strides=stride, padding=padding, name=name)(x)

    def _rescaled_average(self, x: Tensor, size: int, name: str, stride: int, margins: list[Pair]) -> Tensor:
        """The average over a picture with zeros around it, times the window's pixels over those that exist.

        Under Keras' torch backend an even SAME window has other numbers at the border.
        """
        counts: list[np.ndarray] = []
        for length, (before, after) in zip(x.shape[1:3], margins, strict=True):
            there = np.pad(np.ones(length), (before, after))
            counts.append(np.lib.stride_tricks.sliding_window_view(there, size)[::stride].sum(1))
        factors = size * size / np.outer(*counts)[..., None]
        x = self._layer(keras.layers.ZeroPadding2D, margins, name=f"{name}.pad")(x)
        x = self._layer(keras.layers.AveragePooling2D, size, strides=stride, padding="valid", name=f"{name}.zeros")(x)
        factors = factors if self._exact == "float64" else factors.tolist()
        return self._layer(keras.layers.Rescaling, factors, name=name)(x)

    def _subsampled_average(self, x: Tensor, size: int, name: str, stride: int, first: list[int]) -> Tensor:
        """The average around every pixel, then those of every `stride`th from `first`: what strided SAME is.

        Strided itself it has other numbers at the border under Keras' torch backend, where SAME pads one side alone.
        """
        x = self._layer(keras.layers.AveragePooling2D, size, strides=1, padding="same", name=name)(x)
        if any(first):
            x = self._layer(keras.layers.Cropping2D, [(skipped, 0) for skipped in first], name=f"{name}.crop")(x)
        return self._layer(keras.layers.MaxPooling2D, 1, strides=stride, name=f"{name}.subsample")(x)

    @staticmethod
    def _margin(length: int, size: int, stride: int) -> Pair:
        """The pixels that SAME adds before and after."""
        total = max(0, (-(-length // stride) - 1) * stride + size - length)
        return total // 2, total - total // 2

    def subsample(self, x: Tensor, *, name: str) -> Tensor:
        return self._layer(keras.layers.MaxPooling2D, 1, strides=2, name=name)(x)

    def shift(self, x: Tensor, *, name: str) -> Tensor:
        if self._drops is not None:
            return self._layer(Shift, name=name)(x)
        x = self._layer(keras.layers.ZeroPadding2D, ((0, 1), (0, 1)), name=f"{name}.pad")(x)
        return self._layer(keras.layers.Cropping2D, ((1, 0), (1, 0)), name=f"{name}.crop")(x)

    def pad(self, x: Tensor, rows: Pair, columns: Pair, *, name: str, channels: Pair = (0, 0)) -> Tensor:
        if channels == (0, 0):
            return self._layer(keras.layers.ZeroPadding2D, (rows, columns), name=name)(x)
        return keras.ops.pad(x, ((0, 0), rows, columns, channels))

    def select(self, x: Tensor, start: int, stop: int, *, name: str) -> Tensor:
        del name  # an operation of Keras names itself
        return x[..., start:stop]

    def drop_path(self, x: Tensor, depth: float, *, name: str) -> Tensor:
        if self._drops is None or self._drops.path_keep == 1.0:
            return x
        # Differs from the paper: deeper cells drop more, as only slim's code does (`_apply_drop_path`, v3).
        return self._dropout(x, 1.0 - depth * (1.0 - self._drops.path_keep), True, name)

    def dropout(self, x: Tensor, *, name: str) -> Tensor:
        if self._drops is None or self._drops.dropout_keep == 1.0:
            return x
        return self._dropout(x, self._drops.dropout_keep, False, name)

    def _dropout(self, x: Tensor, keep: float, scheduled: bool, name: str) -> Tensor:
        assert self._drops is not None
        seed = name_seed(self._drops.seed, name)
        return self._layer(StatelessDropout, self._drops, keep, scheduled=scheduled, seed=seed, name=name)(x)

    def add(self, x: Tensor, y: Tensor, *, name: str) -> Tensor:
        return self._layer(keras.layers.Add, name=name)([x, y])

    def concat(self, xs: list[Tensor], *, name: str) -> Tensor:
        return self._layer(keras.layers.Concatenate, name=name)(xs)

    def global_avg_pool(self, x: Tensor, *, name: str) -> Tensor:
        return self._layer(keras.layers.GlobalAveragePooling2D, name=name)(x)

    def dense(self, x: Tensor, units: int, *, name: str) -> Tensor:
        # Logits are exact whatever the layers before compute in: a softmax over half precision is not worth its loss.
        if len(x.shape) == 4:
            x = self._layer(keras.layers.Flatten, name=f"{name}.flatten", dtype=self._exact)(x)
        return self._layer(
            keras.layers.Dense, units, kernel_initializer=self._initial(name, units), name=name, dtype=self._exact
        )(x)

    def rbf(self, x: Tensor, centers: tuple[tuple[int, ...], ...], *, name: str) -> Tensor:
        # Logits too. The centers are an offset, for a layer with weights that do not train is none of the walk's.
        offset = -np.array(centers, float)
        x = self._layer(keras.layers.RepeatVector, len(centers), name=f"{name}.repeat", dtype=self._exact)(x)
        x = self._layer(keras.layers.Rescaling, 1.0, offset.tolist(), name=f"{name}.offset", dtype=self._exact)(x)
        return -keras.ops.sum(keras.ops.square(x), axis=-1)
