"""DARTS' networks a second time, in PyTorch: by the rules of its own code (quark0/darts, cnn/), and by nothing of ours.

Cells are in DARTS' notation: pairs of (operation, state), two for each node, state 0 the older input. Strided
convolutions and poolings are padded on all sides, as there; where a size is odd, SAME is the same. A factorized
reduction of an odd size, which DARTS' code refuses, has zeros behind the last pixel.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import dataclasses

import numpy as np
import torch
import torch.nn.functional as F

SEPARABLE = {"sep_conv_3x3": 3, "sep_conv_5x5": 5, "sep_conv_7x7": 7}
DILATED = {"dil_conv_3x3": 3, "dil_conv_5x5": 5}


@dataclasses.dataclass(frozen=True)
class Genotype:
    """`normal` and `reduce` are the pairs of each cell; all nodes are concatenated."""

    normal: tuple[tuple[str, int], ...]
    reduce: tuple[tuple[str, int], ...]


class Network:
    """One network, at inference.

    Args:
        weights: by our names, kernels as `[height, width, in, out]`; `used` says which were asked for.
        layers: cells, the two reductions among them.
        imagenet: whether the stem is that of DARTS' NetworkImageNet.
    """

    def __init__(self, genotype: Genotype, weights: dict[str, np.ndarray], layers: int, imagenet: bool) -> None:
        self.genotype, self.layers, self.imagenet = genotype, layers, imagenet
        self._weights, self.used = weights, set()

    def __call__(self, pictures: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
        """Logits of `[B, height, width, channels]`, and what the auxiliary head reads."""
        x = torch.tensor(pictures).permute(0, 3, 1, 2)
        if self.imagenet:
            s0 = self._bn(self._conv(x, "stem.conv_1", 2, 1), "stem.bn_1")
            s0 = self._bn(self._conv(F.relu(s0), "stem.conv_2", 2, 1), "stem.bn_2")
            s1 = self._bn(self._conv(F.relu(s0), "stem.conv_3", 2, 1), "stem.bn_3")
        else:
            s0 = s1 = self._bn(self._conv(x, "stem.conv", 1, 1), "stem.bn")
        reductions = [self.layers // 3, 2 * self.layers // 3]
        after_reduction, normal, read_by_auxiliary = self.imagenet, 0, s1
        for layer in range(self.layers):
            reduces = layer in reductions
            name = f"reduction_{reductions.index(layer)}" if reduces else f"cell_{normal}"
            normal += not reduces
            s0, s1 = s1, self._cell(s0, s1, name, reduces, after_reduction)
            after_reduction = reduces
            if layer == reductions[1]:
                read_by_auxiliary = s1
        return self._dense(s1.mean((2, 3)), "head.dense").numpy(), read_by_auxiliary

    def auxiliary(self, x: torch.Tensor) -> np.ndarray:
        """The logits of the auxiliary head for CIFAR-10."""
        x = F.avg_pool2d(F.relu(x), 5, stride=3)
        x = F.relu(self._bn(self._conv(x, "auxiliary.conv_1"), "auxiliary.bn_1"))
        x = F.relu(self._bn(self._conv(x, "auxiliary.conv_2"), "auxiliary.bn_2"))
        return self._dense(x.flatten(1), "auxiliary.dense").numpy()

    def _cell(self, s0: torch.Tensor, s1: torch.Tensor, name: str, reduces: bool, after: bool) -> torch.Tensor:
        older = self._halved(s0, f"{name}.previous") if after else self._fitted(s0, f"{name}.previous")
        states = [older, self._fitted(s1, f"{name}.input")]
        pairs = self.genotype.reduce if reduces else self.genotype.normal
        for node in range(len(pairs) // 2):
            parts = []
            for side, (operation, state) in zip(("left", "right"), pairs[2 * node : 2 * node + 2], strict=True):
                stride = 2 if reduces and state < 2 else 1
                parts.append(self._operation(operation, states[state], stride, f"{name}.block_{node}.{side}"))
            states.append(parts[0] + parts[1])
        return torch.cat(states[2:], dim=1)

    def _operation(self, operation: str, x: torch.Tensor, stride: int, name: str) -> torch.Tensor:
        if operation == "skip_connect":
            return x if stride == 1 else self._halved(x, name)
        if operation == "max_pool_3x3":
            return F.max_pool2d(x, 3, stride, 1)
        if operation == "avg_pool_3x3":
            return F.avg_pool2d(x, 3, stride, 1, count_include_pad=False)
        if operation in SEPARABLE:
            size = SEPARABLE[operation]
            for number, step in ((1, stride), (2, 1)):
                x = self._depthwise(F.relu(x), f"{name}.depthwise_{number}", step, size // 2, 1)
                x = self._bn(self._conv(x, f"{name}.pointwise_{number}"), f"{name}.bn_{number}")
            return x
        x = self._depthwise(F.relu(x), f"{name}.depthwise", stride, DILATED[operation] - 1, 2)
        return self._bn(self._conv(x, f"{name}.pointwise"), f"{name}.bn")

    def _halved(self, x: torch.Tensor, name: str) -> torch.Tensor:
        x = F.relu(x)
        moved = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        halves = [self._conv(x, f"{name}.path_1", 2), self._conv(moved, f"{name}.path_2", 2)]
        return self._bn(torch.cat(halves, dim=1), f"{name}.bn")

    def _fitted(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return self._bn(self._conv(F.relu(x), f"{name}.conv"), f"{name}.bn")

    def _weight(self, name: str) -> torch.Tensor:
        self.used.add(name)
        return torch.tensor(self._weights[name])

    def _conv(self, x: torch.Tensor, name: str, stride: int = 1, padding: int = 0) -> torch.Tensor:
        return F.conv2d(x, self._weight(f"{name}/kernel").permute(3, 2, 0, 1), None, stride, padding)

    def _depthwise(self, x: torch.Tensor, name: str, stride: int, padding: int, dilation: int) -> torch.Tensor:
        kernel = self._weight(f"{name}/kernel").permute(2, 3, 0, 1)
        return F.conv2d(x, kernel, None, stride, padding, dilation, groups=x.shape[1])

    def _bn(self, x: torch.Tensor, name: str) -> torch.Tensor:
        roles = ("moving_mean", "moving_variance", "gamma", "beta")
        return F.batch_norm(x, *(self._weight(f"{name}/{role}") for role in roles), eps=1e-5)

    def _dense(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ self._weight(f"{name}/kernel") + self._weight(f"{name}/bias")
