"""The operations that a block can choose from, under the names of the paper (NASNet, section 3), and those of others.

Each is a function of primitives that maps a `Feature` to `filters` channels, halving the size where `stride` is 2.
All convolutions are in the order ReLU, convolution, batch norm (NASNet, appendix A.4).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from cells.primitives import Feature, Pair, Primitives

T = TypeVar("T")
Operation = Callable[[Primitives[Any], Feature[Any], int, int, str], Any]


def relu_conv_bn(p: Primitives[T], x: T, filters: int, stride: int, name: str) -> T:
    """ReLU, 1x1 convolution, batch norm: how a state is fitted to a number of channels."""
    x = p.relu(x, name=f"{name}.relu")
    x = p.conv(x, filters, (1, 1), stride=(stride, stride), name=f"{name}.conv")
    return p.batch_norm(x, name=f"{name}.bn")


def factorized_reduction(p: Primitives[T], x: T, filters: int, name: str) -> T:
    """Halves the size without losing pixels: two strided 1x1 convolutions, one of them moved by a pixel.

    As in slim, whose second convolution gets the odd channel; here the first one does.
    """
    first = p.conv(x, filters - filters // 2, (1, 1), stride=(2, 2), name=f"{name}.path_1")
    shifted = p.shift(x, name=f"{name}.shift")
    second = p.conv(shifted, filters // 2, (1, 1), stride=(2, 2), name=f"{name}.path_2")
    joined = p.concat([first, second], name=f"{name}.join")
    return p.batch_norm(joined, name=f"{name}.bn")


def _identity(p: Primitives[T], x: Feature[T], filters: int, stride: int, name: str) -> T:
    if stride == 1 and x.channels == filters:
        return x.value
    return relu_conv_bn(p, x.value, filters, stride, name)


def _separable(size: int, p: Primitives[T], x: Feature[T], filters: int, stride: int, name: str) -> T:
    # Applied twice whenever it is chosen (A.4); only the first is strided.
    y = x.value
    for index, step in ((1, stride), (2, 1)):
        y = p.relu(y, name=f"{name}.relu_{index}")
        y = p.depthwise(y, size, stride=step, name=f"{name}.depthwise_{index}")
        y = p.conv(y, filters, (1, 1), name=f"{name}.pointwise_{index}")
        y = p.batch_norm(y, name=f"{name}.bn_{index}")
    return y


def _pool(kind: str, size: int, p: Primitives[T], x: Feature[T], filters: int, stride: int, name: str) -> T:
    pool = p.max_pool if kind == "max" else p.avg_pool
    y = pool(x.value, size, stride=stride, name=f"{name}.pool")
    if x.channels == filters:
        return y
    y = p.conv(y, filters, (1, 1), name=f"{name}.conv")
    return p.batch_norm(y, name=f"{name}.bn")


def _conv_1x1(p: Primitives[T], x: Feature[T], filters: int, stride: int, name: str) -> T:
    return relu_conv_bn(p, x.value, filters, stride, name)


def _bottleneck(
    kernels: tuple[Pair, ...],
    dilation: int,
    width: float,
    p: Primitives[T],
    x: Feature[T],
    filters: int,
    stride: int,
    name: str,
) -> T:
    """A full convolution between two 1x1 convolutions that narrow to `width * filters` channels and widen again.

    The paper does not mention the bottleneck. The only public code that has these operations (tensorflow/tpu,
    amoeba_net) uses it, and with it the published sizes of AmoebaNet-A come out exactly. docs/design.md, "Choices".
    """
    narrow = max(1, int(filters * width))
    y = relu_conv_bn(p, x.value, narrow, 1, f"{name}.narrow")
    for index, (height, across) in enumerate(kernels, 1):
        y = p.relu(y, name=f"{name}.relu_{index}")
        steps = (stride if height > 1 else 1, stride if across > 1 else 1)
        if dilation == 1:
            y = p.conv(y, narrow, (height, across), stride=steps, name=f"{name}.conv_{index}")
        else:
            # No Keras layer strides and dilates at once: all pixels, then every second one.
            y = p.conv(y, narrow, (height, across), dilation=dilation, name=f"{name}.conv_{index}")
            if stride == 2:
                y = p.subsample(y, name=f"{name}.subsample_{index}")
        y = p.batch_norm(y, name=f"{name}.bn_{index}")
    return relu_conv_bn(p, y, filters, 1, f"{name}.widen")


def _skip_connection(p: Primitives[T], x: Feature[T], filters: int, stride: int, name: str) -> T:
    """What DARTS has for an identity: where that must halve the size, ReLU and a factorized reduction."""
    if stride == 2:
        return factorized_reduction(p, p.relu(x.value, name=f"{name}.relu"), filters, name)
    return _identity(p, x, filters, stride, name)


def _factorized_identity(p: Primitives[T], x: Feature[T], filters: int, stride: int, name: str) -> T:
    """What ENAS has for an identity: where that must halve the size, a factorized reduction without a ReLU."""
    if stride == 2:
        return factorized_reduction(p, x.value, filters, name)
    return _identity(p, x, filters, stride, name)


def _dilated_separable(size: int, p: Primitives[T], x: Feature[T], filters: int, stride: int, name: str) -> T:
    # DARTS applies it once. All pixels, then every second one, as in the bottleneck.
    y = p.relu(x.value, name=f"{name}.relu")
    y = p.depthwise(y, size, dilation=2, name=f"{name}.depthwise")
    if stride == 2:
        y = p.subsample(y, name=f"{name}.subsample")
    y = p.conv(y, filters, (1, 1), name=f"{name}.pointwise")
    return p.batch_norm(y, name=f"{name}.bn")


_part = functools.partial
_NASNET: dict[str, Operation] = {
    "identity": _identity,
    "1x3 then 3x1 convolution": _part(_bottleneck, ((1, 3), (3, 1)), 1, 3 / 8),
    "1x7 then 7x1 convolution": _part(_bottleneck, ((1, 7), (7, 1)), 1, 1 / 4),
    "3x3 dilated convolution": _part(_bottleneck, ((3, 3),), 2, 1 / 4),
    "3x3 average pooling": _part(_pool, "avg", 3),
    "3x3 max pooling": _part(_pool, "max", 3),
    "5x5 max pooling": _part(_pool, "max", 5),
    "7x7 max pooling": _part(_pool, "max", 7),
    "1x1 convolution": _conv_1x1,
    "3x3 convolution": _part(_bottleneck, ((3, 3),), 1, 1 / 4),
    "3x3 depthwise-separable conv": _part(_separable, 3),
    "5x5 depthwise-separable conv": _part(_separable, 5),
    "7x7 depthwise-separable conv": _part(_separable, 7),
}
_OTHERS: dict[str, Operation] = {
    # AmoebaNet-B and -D: tensorflow/tpu, amoeba_net/model_specs.py.
    "2x2 max pooling": _part(_pool, "max", 2),
    # DARTS: quark0/darts, cnn/operations.py. Its other operations are NASNet's.
    "skip connection": _skip_connection,
    "3x3 dilated separable conv": _part(_dilated_separable, 3),
    "5x5 dilated separable conv": _part(_dilated_separable, 5),
    # ENAS: melodyguan/enas, src/cifar10/micro_child.py, `_fixed_layer`. Its other operations are NASNet's.
    "factorized identity": _factorized_identity,
}

OPERATIONS: dict[str, Operation] = {**_NASNET, **_OTHERS}
"""Name -> function: what a block can hold. The 13 of the NASNet space in the paper's order, then those of others.

A program may put operations of its own here, before a space names them (docs/library.md).
"""

NASNET_OPERATIONS: tuple[str, ...] = tuple(_NASNET)
"""Token -> operation in the NASNet space."""

COMBINERS: tuple[str, ...] = ("add", "concat")
"""Token -> combiner: element-wise addition, concatenation along the channels (NASNet, section 3)."""
