"""The reading with Keras layers: from a genotype to a functional `keras.Model`."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import keras

from cells.genotype import CellGenotype
from cells.primitives import Padding, Pair
from cells.walks.stack import Stack, Stem, walk
from nasnet.networks.layers import Dropping, FusedBatchNorm, Shift, StatelessDropout
from nasnet.networks.spec import Border, NetworkSpec, Shape
from nasnet.runtime.seeds import name_seed

BatchNorm = Literal["stock", "fused", "synchronized"]
Tensor = Any  # Keras' symbolic tensors; Keras ships no types


@dataclasses.dataclass(frozen=True)
class Normalization:
    """What is taken from the pixels and what they are divided by, one number a channel, in pixel units (0 to 255)."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def build(
    spec: NetworkSpec,
    *,
    dropping: Dropping | None = None,
    auxiliary: bool = False,
    batch_norm: BatchNorm = "stock",
    seed: int = 0,
    dtype: str = "float32",
) -> keras.Model:
    """The network with fresh weights, from raw pixels to logits; see `network` for what training adds."""
    return network(
        spec.genotype,
        image_shape=spec.image_shape,
        classes=len(spec.classes),
        repeats=spec.repeats,
        filters=spec.filters,
        stem=spec.stem,
        stem_multiplier=spec.stem_multiplier,
        skip_reduction_input=spec.skip_reduction_input,
        auxiliary=auxiliary,
        normalization=Normalization(spec.mean, spec.std),
        dropping=dropping,
        border=spec.border,
        batch_norm=batch_norm,
        bn_momentum=spec.bn_momentum,
        bn_epsilon=spec.bn_epsilon,
        seed=seed,
        dtype=dtype,
    )


def network(
    genotype: CellGenotype,
    *,
    image_shape: Shape,
    classes: int,
    repeats: int,
    filters: int,
    stem: Stem = "cifar",
    stem_multiplier: float | None = None,
    skip_reduction_input: bool = False,
    auxiliary: bool = False,
    normalization: Normalization | None = None,
    dropping: Dropping | None = None,
    border: Border = "same",
    batch_norm: BatchNorm = "stock",
    bn_momentum: float | None = None,
    bn_epsilon: float | None = None,
    seed: int = 0,
    dtype: str = "float32",
) -> keras.Model:
    """Builds the network of `genotype` as a functional model from pictures to logits.

    Args:
        genotype: its cells.
        image_shape: `(height, width, channels)`. It decides the stem's input channels and the auxiliary head's size and
            no other weight.
        classes, repeats, filters, stem, stem_multiplier, skip_reduction_input, auxiliary: see `Stack`.
        normalization: applied inside the model, so that it takes raw pixels. None: the pictures come normalised.
        dropping: what training drops. A network that has it is for training, and may have layers of ours; one that is
            built with None is of stock layers and drops nothing.
        border: what strided pooling sees beyond the picture: "same" is TensorFlow's SAME (nothing), "zero" zeros, as in
            keras.applications, whose weights were trained with them.
        batch_norm: "stock" is Keras' own layer, "synchronized" the same with statistics over all replicas, "fused" one
            operation instead of a dozen, for training. What is to be exported has stock ones and no `dropping`.
        bn_momentum, bn_epsilon: of batch norm; None means slim's 0.9 and 1e-5 (cifar), 0.9997 and 1e-3 (imagenet).
        seed: of the initial weights; each tensor's seed is derived from it and from the tensor's name.
        dtype: of weights and results, or a policy of Keras: with "mixed_bfloat16" layers compute in bfloat16, weights
            and logits are float32.

    Returns:
        A model from `[B, height, width, channels]` to logits `[B, classes]`, or to
        `{"logits": ..., "auxiliary": ...}` with `auxiliary`.

    Raises:
        ValueError: for sizes that cannot be built, in one line.
    """
    stack = Stack(repeats, filters, classes, stem, stem_multiplier, skip_reduction_input, auxiliary)
    default_momentum, default_epsilon = (0.9, 1e-5) if stem == "cifar" else (0.9997, 1e-3)
    reading = _Layers(
        dropping=dropping,
        border=border,
        batch_norm=batch_norm,
        bn_momentum=default_momentum if bn_momentum is None else bn_momentum,
        bn_epsilon=default_epsilon if bn_epsilon is None else bn_epsilon,
        seed=seed,
        dtype=dtype,
    )
    exact = keras.DTypePolicy(dtype).variable_dtype
    image = keras.Input(image_shape, name="image", dtype=exact)
    x = image
    if normalization is not None:
        variance = [std * std for std in normalization.std]
        x = keras.layers.Normalization(
            mean=list(normalization.mean), variance=variance, name="normalization", dtype=exact
        )(x)
    outputs = walk(genotype, stack, reading, x)
    if auxiliary:
        return keras.Model(image, {"logits": outputs.logits, "auxiliary": outputs.auxiliary_logits}, name="network")
    return keras.Model(image, outputs.logits, name="network")


def named_weights(model: keras.Model) -> dict[str, keras.Variable]:
    """The variables of a network by the names that `cells.count` gives them: `<primitive>/<role>`."""
    return {
        f"{layer.name}/{variable.name}": variable
        for layer in model.layers
        if not isinstance(layer, keras.layers.Normalization)
        for variable in layer.weights
    }


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
        self,
        *,
        dropping: Dropping | None,
        border: Border,
        batch_norm: BatchNorm,
        bn_momentum: float,
        bn_epsilon: float,
        seed: int,
        dtype: str,
    ) -> None:
        self._dropping, self._border, self._seed, self._dtype = dropping, border, seed, dtype
        self._exact = keras.DTypePolicy(dtype).variable_dtype
        self._bn_class = FusedBatchNorm if batch_norm == "fused" else keras.layers.BatchNormalization
        self._bn = {"momentum": bn_momentum, "epsilon": bn_epsilon, "dtype": dtype}
        if batch_norm == "synchronized":
            self._bn["synchronized"] = True

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
        return keras.layers.Conv2D(
            filters,
            kernel,
            strides=stride,
            dilation_rate=dilation,
            padding=padding,
            use_bias=False,
            kernel_initializer=self._initial(name),
            name=name,
            dtype=self._dtype,
        )(x)

    def depthwise(self, x: Tensor, kernel: int, *, name: str, stride: int = 1) -> Tensor:
        return keras.layers.DepthwiseConv2D(
            kernel,
            strides=stride,
            padding="same",
            use_bias=False,
            depthwise_initializer=self._initial(name),
            name=name,
            dtype=self._dtype,
        )(x)

    def full_conv(self, x: Tensor, filters: int, *, name: str) -> Tensor:
        return self.conv(x, filters, tuple(x.shape[1:3]), name=name, padding="valid")

    def batch_norm(self, x: Tensor, *, name: str) -> Tensor:
        return self._bn_class(name=name, **self._bn)(x)

    def relu(self, x: Tensor, *, name: str) -> Tensor:
        return keras.layers.ReLU(name=name, dtype=self._dtype)(x)

    def max_pool(self, x: Tensor, size: int, *, name: str, stride: int = 1) -> Tensor:
        return self._pool(keras.layers.MaxPooling2D, x, size, name, stride, "same")

    def avg_pool(self, x: Tensor, size: int, *, name: str, stride: int = 1, padding: Padding = "same") -> Tensor:
        return self._pool(keras.layers.AveragePooling2D, x, size, name, stride, padding)

    def _pool(self, layer: Tensor, x: Tensor, size: int, name: str, stride: int, padding: Padding) -> Tensor:
        if self._border == "zero" and stride > 1 and padding == "same":
            # The same windows as SAME, over a picture that zeros have been written around.
            margins = [self._margin(length, size, stride) for length in x.shape[1:3]]
            x = keras.layers.ZeroPadding2D(margins, name=f"{name}.pad", dtype=self._dtype)(x)
            padding = "valid"
        return layer(size, strides=stride, padding=padding, name=name, dtype=self._dtype)(x)

    @staticmethod
    def _margin(length: int, size: int, stride: int) -> Pair:
        total = max(0, (-(-length // stride) - 1) * stride + size - length)
        return total // 2, total - total // 2

    def subsample(self, x: Tensor, *, name: str) -> Tensor:
        return keras.layers.MaxPooling2D(1, strides=2, name=name, dtype=self._dtype)(x)

    def shift(self, x: Tensor, *, name: str) -> Tensor:
        if self._dropping is not None:
            return Shift(name=name, dtype=self._dtype)(x)
        x = keras.layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}.pad", dtype=self._dtype)(x)
        return keras.layers.Cropping2D(((1, 0), (1, 0)), name=f"{name}.crop", dtype=self._dtype)(x)

    def drop_path(self, x: Tensor, depth: float, *, name: str) -> Tensor:
        if self._dropping is None or self._dropping.path_keep == 1.0:
            return x
        # Differs from the paper: deeper cells drop more, as only slim's code does (`_apply_drop_path`, v3).
        return self._dropout(x, 1.0 - depth * (1.0 - self._dropping.path_keep), True, name)

    def dropout(self, x: Tensor, *, name: str) -> Tensor:
        if self._dropping is None or self._dropping.dropout_keep == 1.0:
            return x
        return self._dropout(x, self._dropping.dropout_keep, False, name)

    def _dropout(self, x: Tensor, keep: float, scheduled: bool, name: str) -> Tensor:
        assert self._dropping is not None
        seed = name_seed(self._dropping.seed, name)
        return StatelessDropout(self._dropping, keep, scheduled=scheduled, seed=seed, name=name, dtype=self._dtype)(x)

    def add(self, x: Tensor, y: Tensor, *, name: str) -> Tensor:
        return keras.layers.Add(name=name, dtype=self._dtype)([x, y])

    def concat(self, xs: list[Tensor], *, name: str) -> Tensor:
        return keras.layers.Concatenate(name=name, dtype=self._dtype)(xs)

    def global_avg_pool(self, x: Tensor, *, name: str) -> Tensor:
        return keras.layers.GlobalAveragePooling2D(name=name, dtype=self._dtype)(x)

    def dense(self, x: Tensor, units: int, *, name: str) -> Tensor:
        # Logits are exact whatever the layers before compute in: a softmax over half precision is not worth its loss.
        if len(x.shape) == 4:
            x = keras.layers.Flatten(name=f"{name}.flatten", dtype=self._exact)(x)
        return keras.layers.Dense(units, kernel_initializer=self._initial(name), name=name, dtype=self._exact)(x)
