"""A network of bench/torch_child.py from several starts at once: `[B, starts * channels, height, width]`.

Each start has its own weights and its own pictures. A network of 70 thousand parameters is hundreds of kernels of a
microsecond: with eight starts in each they cost about as much as one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F

from bench.torch_child import Reading, same
from cells.primitives import Padding, Pair

Depthwise = Callable[..., torch.Tensor]


class Rectified:
    """A ReLU that whoever reads it may take into its own kernel."""

    def __init__(self, before: torch.Tensor) -> None:
        self.before, self._value = before, None

    def value(self) -> torch.Tensor:
        if self._value is None:
            self._value = F.relu(self.before)
        return self._value


def _value(x: Any) -> torch.Tensor:  # noqa: ANN401
    return x.value() if isinstance(x, Rectified) else x


class StartsReading(Reading):
    """Implements `Primitives` for what `weights` holds: the starts' values of a weight along a new first axis.

    `fast_depthwise` is bench/triton_depthwise.py's; None: PyTorch's.
    """

    def __init__(
        self,
        weights: Mapping[str, torch.Tensor],
        momentum: float,
        training: bool,
        starts: int,
        fast_depthwise: Depthwise | None,
    ) -> None:
        super().__init__(weights, momentum, training)
        self._starts, self._fast_depthwise = starts, fast_depthwise
        self._rectified_by: dict[int, Rectified] = {}

    def _weight(self, name: str, role: str) -> torch.Tensor:
        return super()._weight(name, role).flatten(0, 1)  # the starts' channels are one another's neighbours

    def _apart(self, x: torch.Tensor) -> torch.Tensor:
        """`[B, starts, channels, ...]`."""
        return x.unflatten(1, (self._starts, -1))

    def conv(
        self,
        x: Any,  # noqa: ANN401
        filters: int,
        kernel: Pair,
        *,
        name: str,
        stride: Pair = (1, 1),
        dilation: int = 1,
        padding: Padding = "same",
    ) -> torch.Tensor:
        x = _value(x)
        if kernel != (1, 1):
            return self._convolve(x, name, kernel, stride, dilation, self._starts, padding)
        x = x[:, :, :: stride[0], :: stride[1]]
        weight = super()._weight(name, "kernel").flatten(2)
        return (weight @ self._apart(x).flatten(3)).unflatten(3, x.shape[2:]).flatten(1, 2)

    def depthwise(self, x: Any, kernel: int, *, name: str, stride: int = 1, dilation: int = 1) -> torch.Tensor:  # noqa: ANN401
        if self._fast_depthwise is None:
            x = _value(x)
            return self._convolve(x, name, (kernel, kernel), (stride, stride), dilation, x.shape[1], "same")
        rectified = isinstance(x, Rectified)
        x, reach = x.before if rectified else x, dilation * (kernel - 1) + 1
        padding = same(x.shape[2], reach, stride), same(x.shape[3], reach, stride)
        weight = self._weight(name, "kernel")
        return self._fast_depthwise(x, weight, stride=stride, dilation=dilation, padding=padding, relu=rectified)

    def relu(self, x: torch.Tensor, *, name: str) -> Any:  # noqa: ANN401
        del name
        return self._rectified_by.setdefault(id(x), Rectified(x))

    def concat(self, xs: list[torch.Tensor], *, name: str) -> torch.Tensor:
        del name
        return torch.cat([self._apart(x) for x in xs], 2).flatten(1, 2)

    def subsample(self, x: Any, *, name: str) -> torch.Tensor:  # noqa: ANN401
        return super().subsample(_value(x), name=name)

    def shift(self, x: Any, *, name: str) -> torch.Tensor:  # noqa: ANN401
        return super().shift(_value(x), name=name)

    def global_avg_pool(self, x: Any, *, name: str) -> torch.Tensor:  # noqa: ANN401
        return super().global_avg_pool(_value(x), name=name)

    def dense(self, x: torch.Tensor, units: int, *, name: str) -> torch.Tensor:
        """`[starts, B, units]`."""
        del units
        weight, bias = super()._weight(name, "kernel"), super()._weight(name, "bias")
        return torch.baddbmm(bias[:, None], self._apart(x).transpose(0, 1), weight.mT)
