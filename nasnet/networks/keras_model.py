"""The reading with Keras layers: from an architecture to a functional `keras.Model`."""

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


def build(
    spec: NetworkSpec,
    *,
    drops: DropConfig | None = None,
    auxiliary: bool = False,
    batch_norm: BatchNorm = "stock",
    seed: int = 0,
    dtype: str = "float32",
) -> keras.Model:
    """Builds a network with fresh weights as a functional model, from raw pixels to logits.

    Args:
        spec: the network.
        drops: what training drops. A network that has it is for training, and may have layers of ours; one that is
            built with None is of stock layers and drops nothing.
        auxiliary: whether to build the auxiliary heads, which training alone has.
        batch_norm: "stock" is Keras' own layer, "synchronized" the same with statistics over all replicas, "fused" one
            operation instead of a dozen, for training. What is to be exported has stock ones and no `drops`.
        seed: of the initial weights; each tensor's seed is derived from it and from the tensor's name.
        dtype: of weights and results, or a policy of Keras: with "mixed_bfloat16" layers compute in bfloat16, weights
            and logits are float32.

    Returns:
        A model from `[B, height, width, channels]` to logits `[B, classes]`, or to
        `{"logits": ..., "auxiliary": (..., )}` with `auxiliary`, those of each such head.

    Raises:
        ValueError: for sizes that cannot be built, in one line.
    """
    exact = keras.DTypePolicy(dtype).variable_dtype
    image = keras.Input(spec.image_shape, name="image", dtype=exact)
    # (x - mean) / std. Not keras.layers.Normalization, whose constants Keras' ONNX export makes inputs of the graph.
    scale, offset = 1 / np.array(spec.std), -np.array(spec.mean) / np.array(spec.std)
    if exact == "float32":  # lists are what every version of Keras reads back; TensorFlow rounds them to float32
        scale, offset = scale.tolist(), offset.tolist()
    whitening = keras.layers.Rescaling(scale, offset, name="whitening", dtype=exact)
    reading = _Layers(spec, drops=drops, batch_norm=batch_norm, seed=seed, dtype=dtype)
    outputs = spec.architecture.walk(reading, whitening(image), auxiliary=auxiliary)
    if auxiliary:
        return keras.Model(image, {"logits": outputs.logits, "auxiliary": outputs.auxiliary_logits}, name="network")
    return keras.Model(image, outputs.logits, name="network")


def layer_name(primitive: str) -> str:
    """The Keras layer of a primitive: `cell_0__block_1__left__conv_1`, for PyTorch takes no parameters with dots."""
    return primitive.replace(".", "__")


def primitive_name(layer: keras.layers.Layer) -> str:
    """The primitive of a layer: `cell_0.block_1.left.conv_1`, also where an older version saved it by that name."""
    return layer.name.replace("__", ".")


def named_weights(model: keras.Model) -> dict[str, keras.Variable]:
    """The variables of a network by the names that `cells.count` gives them: `<primitive>/<role>`."""
    return {
        f"{primitive_name(layer)}/{variable.name}": variable for layer in model.layers for variable in layer.weights
    }


def renewed(spec: NetworkSpec, model: keras.Model) -> keras.Model:
    """A saved network as it is built today; the one given where that would be another network."""
    if not any("." in layer.name for layer in model.layers):
        return model
    built = build(spec)
    return model if copy_weights(model, built) else built


def copy_weights(source: keras.Model, target: keras.Model, fresh: str | None = None) -> tuple[str, ...]:
    """Copies every weight that both have by name and shape; returns the names of those that `target` kept.

    It keeps those whose name starts with `fresh` in any case.
    """
    values = named_weights(source)
    kept: list[str] = []
    for name, variable in named_weights(target).items():
        there = name in values and tuple(values[name].shape) == tuple(variable.shape)
        if there and not (fresh and name.startswith(fresh)):
            variable.assign(values[name])
        else:
            kept.append(name)
    return tuple(kept)


class _Layers:
    """Implements `Primitives[keras.KerasTensor]`."""

    def __init__(
        self, spec: NetworkSpec, *, drops: DropConfig | None, batch_norm: BatchNorm, seed: int, dtype: str
    ) -> None:
        self._drops, self._border, self._seed, self._dtype = drops, spec.border, seed, dtype
        self._exact = keras.DTypePolicy(dtype).variable_dtype
        self._bn_class = FusedBatchNorm if batch_norm == "fused" else keras.layers.BatchNormalization
        momentum, epsilon = spec.batch_norm
        self._bn: dict[str, object] = {"momentum": momentum, "epsilon": epsilon}
        if batch_norm == "synchronized":
            self._bn["synchronized"] = True

    def _layer(self, kind: Tensor, *values: object, name: str, **options: object) -> Tensor:
        return kind(*values, name=layer_name(name), **{"dtype": self._dtype, **options})

    def _initial(self, name: str) -> keras.Initializer:
        # slim: variance scaling by FAN_OUT, twice the variance, for all kernels.
        return keras.initializers.VarianceScaling(
            2.0, "fan_out", "truncated_normal", seed=name_seed(self._seed, f"{name}/kernel")
        )

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
    ) -> Tensor:
        if kernel == (1, 1) and stride == (2, 2):
            # The same numbers. Strided itself, oneDNN's gradient of such a kernel writes beyond its memory on AVX2
            # processors where fewer than 8 channels come in (TensorFlow 2.21; docs/results.md).
            x, stride = self.subsample(x, name=f"{name}.subsample"), (1, 1)
        return self._layer(
            keras.layers.Conv2D,
            filters,
            kernel,
            strides=stride,
            dilation_rate=dilation,
            padding=padding,
            use_bias=False,
            kernel_initializer=self._initial(name),
            name=name,
        )(x)

    def depthwise(self, x: Tensor, kernel: int, *, name: str, stride: int = 1) -> Tensor:
        return self._layer(
            keras.layers.DepthwiseConv2D,
            kernel,
            strides=stride,
            padding="same",
            use_bias=False,
            depthwise_initializer=self._initial(name),
            name=name,
        )(x)

    def full_conv(self, x: Tensor, filters: int, *, name: str) -> Tensor:
        return self.conv(x, filters, tuple(x.shape[1:3]), name=name, padding="valid")

    def batch_norm(self, x: Tensor, *, name: str) -> Tensor:
        return self._layer(self._bn_class, name=name, **self._bn)(x)

    def relu(self, x: Tensor, *, name: str) -> Tensor:
        return self._layer(keras.layers.ReLU, name=name)(x)

    def max_pool(self, x: Tensor, size: int, *, name: str, stride: int = 1) -> Tensor:
        return self._pool(keras.layers.MaxPooling2D, x, size, name, stride, "same")

    def avg_pool(self, x: Tensor, size: int, *, name: str, stride: int = 1, padding: Padding = "same") -> Tensor:
        return self._pool(keras.layers.AveragePooling2D, x, size, name, stride, padding)

    def _pool(self, layer: Tensor, x: Tensor, size: int, name: str, stride: int, padding: Padding) -> Tensor:
        if stride > 1 and padding == "same":
            margins = [self._margin(length, size, stride) for length in x.shape[1:3]]
            if self._border == "zero":
                # The same windows as SAME, over a picture that zeros have been written around.
                x = self._layer(keras.layers.ZeroPadding2D, margins, name=f"{name}.pad")(x)
                padding = "valid"
            elif layer is keras.layers.AveragePooling2D and self._drops is None:
                return self._subsampled_average(x, size, name, stride, [size // 2 - before for before, _ in margins])
        return self._layer(layer, size, strides=stride, padding=padding, name=name)(x)

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
            keras.layers.Dense, units, kernel_initializer=self._initial(name), name=name, dtype=self._exact
        )(x)
