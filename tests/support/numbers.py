"""The walk read with NumPy: one picture `[height, width, channels]` in float64, weights drawn from their names.

The plain functions are what a test writes its expectations with; `Numbers` gives them to a walk and keeps a log of what
the walk asked for, one line a primitive: `<name>: <primitive> <arguments>`.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from cells.primitives import Padding, Pair

Array = np.ndarray[Any, np.dtype[np.float64]]


def draw(name: str, shape: tuple[int, ...]) -> Array:
    """Numbers of both signs, the same for the same name (and other ones for another shape)."""
    return np.random.default_rng(zlib.crc32(f"{name} {shape}".encode())).normal(size=shape)


def _windows(x: Array, kernel: Pair, stride: Pair, dilation: int, padding: Padding, fill: float) -> Array:
    """`[rows, columns, out height, out width, channels]`: for each place of the kernel, the pixels it meets."""
    reach = [(size - 1) * dilation + 1 for size in kernel]
    if padding == "same":
        missing = [
            max((-(-size // step) - 1) * step + far - size, 0)
            for size, step, far in zip(x.shape[:2], stride, reach, strict=True)
        ]
        pad = [(gap // 2, gap - gap // 2) for gap in missing]  # the odd one at the bottom and the right, as TensorFlow
        x = np.pad(x, [*pad, (0, 0)], constant_values=fill)
    height, width = (size - far + 1 for size, far in zip(x.shape[:2], reach, strict=True))
    rows = [
        [
            x[top : top + height : stride[0], left : left + width : stride[1]]
            for left in range(0, kernel[1] * dilation, dilation)
        ]
        for top in range(0, kernel[0] * dilation, dilation)
    ]
    return np.array(rows)


def conv(
    x: Array,
    filters: int,
    kernel: Pair,
    name: str,
    stride: Pair = (1, 1),
    dilation: int = 1,
    padding: Padding = "same",
    bias: bool = False,
) -> Array:
    """Convolution by the kernel of that name."""
    weights = draw(f"{name}/kernel", (*kernel, x.shape[2], filters))
    y = np.einsum("abhwc,abcf->hwf", _windows(x, kernel, stride, dilation, padding, 0.0), weights)
    return y + draw(f"{name}/bias", (filters,)) if bias else y


def depthwise(x: Array, size: int, name: str, stride: int = 1, dilation: int = 1, bias: bool = False) -> Array:
    """One SAME filter a channel."""
    weights = draw(f"{name}/kernel", (size, size, x.shape[2], 1))
    windows = _windows(x, (size, size), (stride, stride), dilation, "same", 0.0)
    y = np.einsum("abhwc,abc->hwc", windows, weights[..., 0])
    return y + draw(f"{name}/bias", x.shape[2:]) if bias else y


def batch_norm(x: Array, name: str) -> Array:
    """Batch norm at inference, all four of its weights drawn: what comes out has both signs."""
    gamma, beta, mean, spread = (draw(f"{name}/{role}", x.shape[2:]) for role in ("gamma", "beta", "mean", "variance"))
    return gamma * (x - mean) / np.sqrt(spread**2 + 1e-3) + beta


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return np.maximum(x, 0.0)


def local_response_norm(x: Array, size: int, alpha: float, beta: float, bias: float) -> Array:
    """Krizhevsky et al. 2012, section 3.3, written channel by channel."""
    y = np.empty_like(x)
    for i in range(x.shape[2]):
        around = x[..., max(0, i - size // 2) : i + size // 2 + 1]
        y[..., i] = x[..., i] / (bias + alpha * (around**2).sum(2)) ** beta
    return y


def max_pool(x: Array, size: int, stride: int = 1, padding: Padding = "same") -> Array:
    """The maximum over the pixels of the window that exist."""
    return _windows(x, (size, size), (stride, stride), 1, padding, -np.inf).max((0, 1))


def avg_pool(x: Array, size: int, stride: int = 1, padding: Padding = "same") -> Array:
    """The mean over the pixels of the window that exist."""
    return np.nanmean(_windows(x, (size, size), (stride, stride), 1, padding, np.nan), (0, 1))


def dense(x: Array, units: int, name: str) -> Array:
    """A fully connected layer with bias."""
    return x.reshape(-1) @ draw(f"{name}/kernel", (x.size, units)) + draw(f"{name}/bias", (units,))


class Numbers:
    """Implements `Primitives[Array]`. Drop-path and dropout are only logged.

    Attributes:
        log: one line for each primitive in the order of the walk.
    """

    def __init__(self) -> None:
        self.log: list[str] = []

    def shape(self, x: Array) -> tuple[int, ...]:
        return x.shape

    def conv(
        self,
        x: Array,
        filters: int,
        kernel: Pair,
        *,
        name: str,
        stride: Pair = (1, 1),
        dilation: int = 1,
        padding: Padding = "same",
        bias: bool = False,
    ) -> Array:
        words = f"conv {kernel[0]}x{kernel[1]} -> {filters}, stride {stride[0]}x{stride[1]}"
        words += f", dilation {dilation}" * (dilation > 1) + f", {padding}" * (padding != "same") + ", bias" * bias
        self.log.append(f"{name}: {words}")
        return conv(x, filters, kernel, name, stride, dilation, padding, bias)

    def depthwise(
        self, x: Array, kernel: int, *, name: str, stride: int = 1, dilation: int = 1, bias: bool = False
    ) -> Array:
        words = f"depthwise {kernel}x{kernel}, stride {stride}" + f", dilation {dilation}" * (dilation > 1)
        self.log.append(f"{name}: {words}" + ", bias" * bias)
        return depthwise(x, kernel, name, stride, dilation, bias)

    def full_conv(self, x: Array, filters: int, *, name: str) -> Array:
        self.log.append(f"{name}: full_conv -> {filters}")
        return conv(x, filters, (x.shape[0], x.shape[1]), name, padding="valid")

    def batch_norm(self, x: Array, *, name: str) -> Array:
        self.log.append(f"{name}: batch_norm")
        return batch_norm(x, name)

    def relu(self, x: Array, *, name: str) -> Array:
        self.log.append(f"{name}: relu")
        return relu(x)

    def tanh(self, x: Array, *, name: str, scale: float = 1.0, slope: float = 1.0) -> Array:
        self.log.append(f"{name}: tanh {scale:g} * tanh({slope:g} x)")
        return scale * np.tanh(slope * x)

    def local_response_norm(self, x: Array, *, name: str, size: int, alpha: float, beta: float, bias: float) -> Array:
        self.log.append(f"{name}: local_response_norm {size}, alpha {alpha:g}, beta {beta:g}, bias {bias:g}")
        return local_response_norm(x, size, alpha, beta, bias)

    def max_pool(self, x: Array, size: int, *, name: str, stride: int = 1, padding: Padding = "same") -> Array:
        self.log.append(f"{name}: max_pool {size}x{size}, stride {stride}" + f", {padding}" * (padding != "same"))
        return max_pool(x, size, stride, padding)

    def avg_pool(self, x: Array, size: int, *, name: str, stride: int = 1, padding: Padding = "same") -> Array:
        self.log.append(f"{name}: avg_pool {size}x{size}, stride {stride}" + f", {padding}" * (padding != "same"))
        return avg_pool(x, size, stride, padding)

    def subsample(self, x: Array, *, name: str) -> Array:
        self.log.append(f"{name}: subsample")
        return x[::2, ::2]

    def shift(self, x: Array, *, name: str) -> Array:
        self.log.append(f"{name}: shift")
        return np.pad(x, ((0, 1), (0, 1), (0, 0)))[1:, 1:]

    def pad(self, x: Array, rows: Pair, columns: Pair, *, name: str, channels: Pair = (0, 0)) -> Array:
        self.log.append(f"{name}: pad {rows} {columns} {channels}")
        return np.pad(x, (rows, columns, channels))

    def select(self, x: Array, start: int, stop: int, *, name: str) -> Array:
        self.log.append(f"{name}: select {start} to {stop}")
        return x[..., start:stop]

    def drop_path(self, x: Array, depth: float, *, name: str) -> Array:
        self.log.append(f"{name}: drop_path at {depth:g}")
        return x

    def dropout(self, x: Array, *, name: str) -> Array:
        self.log.append(f"{name}: dropout")
        return x

    def add(self, x: Array, y: Array, *, name: str) -> Array:
        assert x.shape == y.shape, name  # NumPy would broadcast
        self.log.append(f"{name}: add")
        return x + y

    def concat(self, xs: list[Array], *, name: str) -> Array:
        self.log.append(f"{name}: concat {len(xs)}")
        return np.concatenate(xs, 2)

    def global_avg_pool(self, x: Array, *, name: str) -> Array:
        self.log.append(f"{name}: global_avg_pool")
        return x.mean((0, 1))

    def dense(self, x: Array, units: int, *, name: str) -> Array:
        self.log.append(f"{name}: dense -> {units}")
        return dense(x, units, name)

    def rbf(self, x: Array, centers: tuple[tuple[int, ...], ...], *, name: str) -> Array:
        self.log.append(f"{name}: rbf {len(centers)}")
        return np.array([-((x - np.array(center)) ** 2).sum() for center in centers])
