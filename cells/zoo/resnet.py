"""Residual networks (He et al. 2015, arXiv 1512.03385): for ImageNet, table 1, and for CIFAR, section 4.2."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import ClassVar, Literal, TypeVar

from cells.architecture import Outputs
from cells.primitives import Feature, Primitives
from cells.zoo.hand_made import HandMade, padded_conv

T = TypeVar("T")
StrideOn = Literal["3x3", "1x1"]

STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Depth -> blocks of each of the four stages; from 50 on they are bottlenecks."""
_OF_2015 = "_2015"
EXPANSION = 4
"""How many times wider than its 3x3 convolution the end of a bottleneck is."""


@dataclasses.dataclass(frozen=True)
class ResNet(HandMade):
    """An `Architecture`: ResNet-18 to 152, with projections where the shape changes (option B), in torchvision's form.

    11,689,512, 21,797,672, 25,557,032, 44,549,160 and 60,192,808 parameters with 1000 classes, at any size.

    Attributes:
        depth: layers with weights: 18, 34, 50, 101 or 152.
        stride_on: which convolution of a bottleneck halves: "3x3" in torchvision; "1x1", the first, in the networks of
            2015 and keras.applications, whose names here end with 2015. The weights are the same, mult-adds are fewer.
    """

    depth: int = 50
    stride_on: StrideOn = "3x3"
    image_shape: ClassVar[tuple[int, int, int]] = (224, 224, 3)
    published_classes: ClassVar[int] = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth not in STAGES:
            raise ValueError(f"depth must be one of {', '.join(map(str, STAGES))}, got {self.depth}")
        if self.stride_on not in ("3x3", "1x1") or (self.stride_on == "1x1" and not self.bottleneck):
            rule = '"3x3" or "1x1"' if self.bottleneck else f'"3x3" without bottlenecks (depth {self.depth})'
            raise ValueError(f"stride_on must be {rule}, got {self.stride_on!r}")

    @property
    def kind(self) -> str:
        """See `HandMade.kind`."""
        return f"resnet{self.depth}{_OF_2015 if self.stride_on == '1x1' else ''}"

    @property
    def bottleneck(self) -> bool:
        """Whether a block has three convolutions, 1x1, 3x3 and 1x1, and not two of 3x3."""
        return self.depth >= 50

    @property
    def parts(self) -> tuple[str, ...]:
        """See `Architecture.parts`."""
        return _parts(sum(STAGES[self.depth]))

    def walk(self, p: Primitives[T], image: T, *, auxiliary: bool = False) -> Outputs[T]:
        """See `Architecture.walk`."""
        _no_auxiliary(self.kind, auxiliary)
        channels = self.scaled(64)
        x = padded_conv(p, image, channels, 7, stride=2, name="stem.conv")
        x = p.relu(p.batch_norm(x, name="stem.bn"), name="stem.relu")
        # Nothing is below zero here: zeros around are as good as nothing around.
        x = p.pad(x, (1, 1), (1, 1), name="stem.pool.pad")
        x = p.max_pool(x, 3, stride=2, padding="valid", name="stem.pool")
        feature = Feature(x, channels, 0)
        endpoints = {"stem": feature}
        for stage, blocks in enumerate(STAGES[self.depth]):
            for block in range(blocks):
                name, stride = f"block_{len(endpoints)}", 2 if stage and not block else 1
                share = len(endpoints) / sum(STAGES[self.depth])
                feature = self._block(p, feature, self.scaled(64 * 2**stage), stride, share, name)
                endpoints[name] = feature
        return Outputs(_head(p, feature.value, self.classes), (), endpoints)

    def _block(
        self, p: Primitives[T], feature: Feature[T], channels: int, stride: int, depth: float, name: str
    ) -> Feature[T]:
        if self.bottleneck:
            at_first = stride if self.stride_on == "1x1" else 1
            layers = [(channels, 1, at_first), (channels, 3, stride // at_first), (EXPANSION * channels, 1, 1)]
        else:
            layers = [(channels, 3, stride), (channels, 3, 1)]
        x = _residual(p, feature.value, layers, name)
        out, shortcut = layers[-1][0], feature.value
        if stride > 1 or out != feature.channels:
            shortcut = padded_conv(p, shortcut, out, 1, stride=stride, name=f"{name}.shortcut.conv")
            shortcut = p.batch_norm(shortcut, name=f"{name}.shortcut.bn")
        return Feature(_joined(p, x, shortcut, depth, name), out, feature.level + stride - 1)


@dataclasses.dataclass(frozen=True)
class CifarResNet(HandMade):
    """An `Architecture` for small pictures: a 3x3 convolution and three stages of n blocks, 6n + 2 layers in all.

    269,722, 853,018 and 1,727,962 parameters with 10 classes for 20, 56 and 110 layers, at any size. Shortcuts have no
    weights (option A): where the shape changes they take every second pixel, and channels of zeros follow.
    """

    depth: int = 20
    image_shape: ClassVar[tuple[int, int, int]] = (32, 32, 3)
    published_classes: ClassVar[int] = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth < 8 or (self.depth - 2) % 6:
            raise ValueError(f"depth must be 6n + 2 (8, 14, 20, ...), got {self.depth}")

    @property
    def kind(self) -> str:
        """See `HandMade.kind`."""
        return f"resnet{self.depth}"

    @property
    def parts(self) -> tuple[str, ...]:
        """See `Architecture.parts`."""
        return _parts((self.depth - 2) // 2)

    def walk(self, p: Primitives[T], image: T, *, auxiliary: bool = False) -> Outputs[T]:
        """See `Architecture.walk`."""
        _no_auxiliary(self.kind, auxiliary)
        channels, blocks = self.scaled(16), (self.depth - 2) // 6
        x = p.conv(image, channels, (3, 3), name="stem.conv")
        feature = Feature(p.relu(p.batch_norm(x, name="stem.bn"), name="stem.relu"), channels, 0)
        endpoints = {"stem": feature}
        for number in range(3 * blocks):
            stage, name = number // blocks, f"block_{number + 1}"
            stride, channels = 2 if stage and not number % blocks else 1, self.scaled(16 * 2**stage)
            x = _residual(p, feature.value, [(channels, 3, stride), (channels, 3, 1)], name)
            shortcut = feature.value
            if stride > 1:
                shortcut = p.subsample(shortcut, name=f"{name}.shortcut.subsample")
            if channels > feature.channels:
                more = (0, channels - feature.channels)
                shortcut = p.pad(shortcut, (0, 0), (0, 0), channels=more, name=f"{name}.shortcut.pad")
            x = _joined(p, x, shortcut, (number + 1) / (3 * blocks), name)
            feature = endpoints[name] = Feature(x, channels, stage)
        return Outputs(_head(p, feature.value, self.classes), (), endpoints)


def _parts(blocks: int) -> tuple[str, ...]:
    return ("stem", *(f"block_{number}" for number in range(1, blocks + 1)), "head")


def _no_auxiliary(kind: str, auxiliary: bool) -> None:
    if auxiliary:
        raise ValueError(f"{kind} has no auxiliary head")


def _residual(p: Primitives[T], x: T, layers: list[tuple[int, int, int]], name: str) -> T:
    """Convolutions (channels, size, stride), each with batch norm, ReLU between them."""
    for number, (channels, size, stride) in enumerate(layers, 1):
        if number > 1:
            x = p.relu(x, name=f"{name}.relu_{number - 1}")
        x = padded_conv(p, x, channels, size, stride=stride, name=f"{name}.conv_{number}")
        x = p.batch_norm(x, name=f"{name}.bn_{number}")
    return x


def _joined(p: Primitives[T], x: T, shortcut: T, depth: float, name: str) -> T:
    # Training may drop a block's convolutions, deeper ones more often (stochastic depth, arXiv 1603.09382).
    x = p.drop_path(x, depth, name=f"{name}.drop_path")
    return p.relu(p.add(x, shortcut, name=f"{name}.add"), name=f"{name}.relu")


def _head(p: Primitives[T], x: T, classes: int) -> T:
    x = p.dropout(p.global_avg_pool(x, name="head.pool"), name="head.dropout")
    return p.dense(x, classes, name="head.dense")


NETWORKS: dict[str, Callable[..., ResNet | CifarResNet]] = {
    **{f"resnet{depth}": functools.partial(ResNet, depth=depth) for depth in STAGES},
    **{f"resnet{depth}{_OF_2015}": functools.partial(ResNet, depth=depth, stride_on="1x1") for depth in (50, 101, 152)},
    **{f"resnet{depth}": functools.partial(CifarResNet, depth=depth) for depth in (20, 32, 44, 56, 110)},
}
"""`--model` name -> the network, given classes and width."""
