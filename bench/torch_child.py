"""The opponent of bench/step.py: the same walk, read with eager PyTorch modules and functions, channels_last.

As a careful user of PyTorch would write it: one ReLU a state, the optimizer's foreach form, gradients set to None, no
module around a function.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from cells.architecture import Architecture
from cells.count import Weight, count
from cells.primitives import Padding, Pair

EPSILON = 1e-5


class TorchChild:
    """A network with `weights`, as `nasnet.estimators.child.Child.named_weights` has them."""

    def __init__(
        self,
        architecture: Architecture,
        image_shape: tuple[int, int, int],
        weights: Mapping[str, np.ndarray],
        *,
        momentum: float,
    ) -> None:
        self.architecture, self.momentum = architecture, momentum
        self.weights: dict[str, torch.Tensor] = {}
        for weight in count(architecture, image_shape).weights:
            value = torch.from_numpy(torch_layout(weight, weights[weight.name]))
            if value.dim() == 4:
                value = value.contiguous(memory_format=torch.channels_last)
            self.weights[weight.name] = torch.nn.Parameter(value, requires_grad=weight.trainable)

    def __call__(self, images: torch.Tensor, *, training: bool = True) -> torch.Tensor:
        """`[B, channels, height, width]`, whitened, to `[B, classes]`; in training with the batch's statistics."""
        reading: Any = _Reading(self.weights, self.momentum, training)  # of the primitives that cells ask for
        return self.architecture.walk(reading, images).logits

    def parameters_of(self, role: str) -> list[torch.Tensor]:
        """Trainable weights that are kernels (`role="kernel"`), or all others."""
        return [
            w for name, w in self.weights.items() if w.requires_grad and (role == "kernel") == name.endswith("kernel")
        ]


def torch_layout(weight: Weight, value: np.ndarray) -> np.ndarray:
    """A weight as PyTorch's functions take it."""
    if weight.role != "kernel":
        return value.copy()
    if len(weight.shape) == 2:
        return np.ascontiguousarray(value.T)
    # Convolutions [height, width, in, out] to [out, in, height, width]; depthwise [.., channels, 1] to
    # [channels, 1, ..].
    depthwise = weight.shape[3] == 1 and weight.shape[2] > 1 and ".depthwise" in weight.primitive
    return np.ascontiguousarray(value.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1)))


def _same(size: int, kernel: int, stride: int) -> Pair:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class _Reading:
    """Implements `Primitives[torch.Tensor]`."""

    def __init__(self, weights: Mapping[str, torch.Tensor], momentum: float, training: bool) -> None:
        self._weights, self._momentum, self._training = weights, momentum, training
        self._rectified: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def _weight(self, name: str, role: str) -> torch.Tensor:
        return self._weights[f"{name}/{role}"]

    def _convolve(
        self, x: torch.Tensor, name: str, kernel: Pair, stride: Pair, dilation: int, groups: int, padding: Padding
    ) -> torch.Tensor:
        rows = columns = (0, 0)
        if padding == "same":
            rows = _same(x.shape[2], dilation * (kernel[0] - 1) + 1, stride[0])
            columns = _same(x.shape[3], dilation * (kernel[1] - 1) + 1, stride[1])
        if rows[0] != rows[1] or columns[0] != columns[1]:
            x, rows, columns = F.pad(x, (*columns, *rows)), (0, 0), (0, 0)
        return F.conv2d(x, self._weight(name, "kernel"), None, stride, (rows[0], columns[0]), dilation, groups)

    def conv(
        self,
        x: torch.Tensor,
        filters: int,
        kernel: Pair,
        *,
        name: str,
        stride: Pair = (1, 1),
        dilation: int = 1,
        padding: Padding = "same",
    ) -> torch.Tensor:
        del filters  # the weight has it
        return self._convolve(x, name, kernel, stride, dilation, 1, padding)

    def depthwise(self, x: torch.Tensor, kernel: int, *, name: str, stride: int = 1, dilation: int = 1) -> torch.Tensor:
        return self._convolve(x, name, (kernel, kernel), (stride, stride), dilation, x.shape[1], "same")

    def full_conv(self, x: torch.Tensor, filters: int, *, name: str) -> torch.Tensor:
        return self.conv(x, filters, (x.shape[2], x.shape[3]), name=name, padding="valid")

    def batch_norm(self, x: torch.Tensor, *, name: str) -> torch.Tensor:
        mean, variance = self._weight(name, "moving_mean"), self._weight(name, "moving_variance")
        gamma, beta = self._weight(name, "gamma"), self._weight(name, "beta")
        return F.batch_norm(x, mean, variance, gamma, beta, self._training, 1 - self._momentum, EPSILON)

    def relu(self, x: torch.Tensor, *, name: str) -> torch.Tensor:
        del name
        if id(x) not in self._rectified:
            self._rectified[id(x)] = (x, F.relu(x))
        return self._rectified[id(x)][1]

    def max_pool(self, x: torch.Tensor, size: int, *, name: str, stride: int = 1) -> torch.Tensor:
        del name
        rows, columns = _same(x.shape[2], size, stride), _same(x.shape[3], size, stride)
        if rows[0] != rows[1] or columns[0] != columns[1]:
            x, rows, columns = F.pad(x, (*columns, *rows), value=float("-inf")), (0, 0), (0, 0)
        return F.max_pool2d(x, size, stride, (rows[0], columns[0]))

    def avg_pool(
        self, x: torch.Tensor, size: int, *, name: str, stride: int = 1, padding: Padding = "same"
    ) -> torch.Tensor:
        del name
        if padding == "valid":
            return F.avg_pool2d(x, size, stride)
        rows, columns = _same(x.shape[2], size, stride), _same(x.shape[3], size, stride)
        if rows[0] == rows[1] and columns[0] == columns[1]:
            return F.avg_pool2d(x, size, stride, (rows[0], columns[0]), count_include_pad=False)
        # One pixel more at the end than at the start: ceil_mode's last window is over the pixels that exist.
        return F.avg_pool2d(x, size, stride, (rows[0], columns[0]), ceil_mode=True, count_include_pad=False)

    def subsample(self, x: torch.Tensor, *, name: str) -> torch.Tensor:
        del name
        return x[:, :, ::2, ::2]

    def shift(self, x: torch.Tensor, *, name: str) -> torch.Tensor:
        del name
        return F.pad(x[:, :, 1:, 1:], (0, 1, 0, 1))

    def drop_path(self, x: torch.Tensor, depth: float, *, name: str) -> torch.Tensor:
        del depth, name
        return x

    def dropout(self, x: torch.Tensor, *, name: str) -> torch.Tensor:
        del name
        return x

    def add(self, x: torch.Tensor, y: torch.Tensor, *, name: str) -> torch.Tensor:
        del name
        return x + y

    def concat(self, xs: list[torch.Tensor], *, name: str) -> torch.Tensor:
        del name
        return torch.cat(xs, 1)

    def global_avg_pool(self, x: torch.Tensor, *, name: str) -> torch.Tensor:
        del name
        return x.mean((2, 3))

    def dense(self, x: torch.Tensor, units: int, *, name: str) -> torch.Tensor:
        del units
        return F.linear(x.flatten(1), self._weight(name, "kernel"), self._weight(name, "bias"))
