"""VGG-16, GoogLeNet and residual networks in PyTorch, from the papers and by nothing of ours.

Written as one writes them there: modules, NCHW, its own padding, pooling, normalisation and batch norm. Dropout is left
out. `load` says which of our weights is which module's.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as f

CONFIGURATION_D = (64, 64, "pool", 128, 128, "pool", *(256,) * 3, "pool", *(512,) * 3, "pool", *(512,) * 3, "pool")


class VGG(nn.Module):
    """Configuration D; every count of channels or units divided by `share`."""

    def __init__(self, classes, pixels, share=1) -> None:
        super().__init__()
        layers, channels = [], 3
        for entry in CONFIGURATION_D:
            if entry == "pool":
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, entry // share, 3, padding=1), nn.ReLU()]
                channels = entry // share
        self.features = nn.Sequential(*layers)
        inputs, units = channels * (pixels // 32) ** 2, 4096 // share
        self.classifier = nn.Sequential(
            nn.Linear(inputs, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU(), nn.Linear(units, classes)
        )

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))

    def ours(self):
        """Module -> the name that we have for it."""
        names = {}
        convolutions = [module for module in self.features if isinstance(module, nn.Conv2d)]
        blocks = [(block, layer) for block, layers in enumerate((2, 2, 3, 3, 3), 1) for layer in range(1, layers + 1)]
        for module, (block, layer) in zip(convolutions, blocks, strict=True):
            names[module] = f"block_{block}.conv_{layer}"
        for at, name in ((0, "fc_1.dense"), (2, "fc_2.dense"), (4, "head.dense")):
            names[self.classifier[at]] = name
        return names


# Rows of table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj.
TABLE_1 = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class Inception(nn.Module):
    def __init__(self, inputs, one, reduce3, three, reduce5, five, projection) -> None:
        super().__init__()
        self.one = nn.Conv2d(inputs, one, 1)
        self.reduce3, self.three = nn.Conv2d(inputs, reduce3, 1), nn.Conv2d(reduce3, three, 3, padding=1)
        self.reduce5, self.five = nn.Conv2d(inputs, reduce5, 1), nn.Conv2d(reduce5, five, 5, padding=2)
        self.projection = nn.Conv2d(inputs, projection, 1)

    def forward(self, x):
        ways = (
            self.one(x),
            self.three(self.reduce3(x).relu()),
            self.five(self.reduce5(x).relu()),
            self.projection(f.max_pool2d(x, 3, 1, 1)),
        )
        return torch.cat(ways, 1).relu()


OURS = {
    "one": "conv_1x1",
    "reduce3": "reduce_3x3",
    "three": "conv_3x3",
    "reduce5": "reduce_5x5",
    "five": "conv_5x5",
    "projection": "conv_pool",
}


class Head(nn.Module):
    """Section 5: 5x5 average pooling of stride 3, 128 1x1 filters, 1024 units."""

    def __init__(self, inputs, pooled, classes, share) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, 128 // share, 1)
        self.dense_1 = nn.Linear(128 // share * pooled**2, 1024 // share)
        self.dense_2 = nn.Linear(1024 // share, classes)

    def forward(self, x):
        x = self.conv(f.avg_pool2d(x, 5, 3)).relu().flatten(1)
        return self.dense_2(self.dense_1(x).relu())


class GoogLeNet(nn.Module):
    def __init__(self, classes, pixels, share=1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64 // share, 7, 2, 3)
        self.conv2 = nn.Conv2d(64 // share, 64 // share, 1)
        self.conv3 = nn.Conv2d(64 // share, 192 // share, 3, padding=1)
        self.modules_by_row, self.heads = nn.ModuleDict(), nn.ModuleDict()
        channels = 192 // share
        for row, counts in TABLE_1.items():
            made = [count // share for count in counts]
            self.modules_by_row[row] = Inception(channels, *made)
            channels = made[0] + made[2] + made[4] + made[5]
            if row in ("4a", "4d"):
                self.heads[row] = Head(channels, (pixels // 16 - 5) // 3 + 1, classes, share)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        """Logits, and those of both heads."""
        pool = lambda x: f.max_pool2d(x, 3, 2, ceil_mode=True)  # noqa: E731
        norm = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)
        x = norm(pool(self.conv1(x).relu()))
        x = pool(norm(self.conv3(self.conv2(x).relu()).relu()))
        heads = []
        for row, module in self.modules_by_row.items():
            x = module(pool(x) if row in ("4a", "5a") else x)
            if row in self.heads:
                heads.append(self.heads[row](x))
        return self.fc(x.mean((2, 3))), *heads

    def ours(self):
        names = {getattr(self, f"conv{number}"): f"stem.conv_{number}" for number in (1, 2, 3)}
        for row, module in self.modules_by_row.items():
            names |= {getattr(module, name): f"inception_{row}.{ours}" for name, ours in OURS.items()}
        for row, head in self.heads.items():
            names |= {getattr(head, name): f"auxiliary.{row}.{name}" for name in ("conv", "dense_1", "dense_2")}
        return {**names, self.fc: "head.dense"}


class Block(nn.Module):
    """Two 3x3 convolutions, or a bottleneck with the stride on its 3x3; `shortcut` is any module."""

    def __init__(self, inputs, planes, stride, *, bottleneck, shortcut) -> None:
        super().__init__()
        if bottleneck:
            shapes = [(inputs, planes, 1, 1), (planes, planes, 3, stride), (planes, 4 * planes, 1, 1)]
        else:
            shapes = [(inputs, planes, 3, stride), (planes, planes, 3, 1)]
        self.convs = nn.ModuleList(nn.Conv2d(i, o, k, s, k // 2, bias=False) for i, o, k, s in shapes)
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for _, o, _, _ in shapes)
        self.shortcut: Any = shortcut

    def forward(self, x):
        y = x
        for number, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            y = norm(conv(y if number == 0 else y.relu()))
        return (y + self.shortcut(x)).relu()


class OptionA(nn.Module):
    """Identity with zeros for the new channels."""

    def __init__(self, more) -> None:
        super().__init__()
        self.more = more

    def forward(self, x):
        return f.pad(f.avg_pool2d(x, 1, 2), (0, 0, 0, 0, 0, self.more))


def projection(inputs, outputs, stride):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    """`stages` are numbers of blocks: four for ImageNet, three for CIFAR."""

    def __init__(self, classes, stages, *, bottleneck=False, share=1) -> None:
        super().__init__()
        self.large = len(stages) == 4
        channels = (64 if self.large else 16) // share
        self.conv = (
            nn.Conv2d(3, channels, 7, 2, 3, bias=False) if self.large else nn.Conv2d(3, channels, 3, 1, 1, bias=False)
        )
        self.norm = nn.BatchNorm2d(channels)
        self.blocks: Any = nn.ModuleList()
        planes = channels
        for stage, blocks in enumerate(stages):
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                outputs = planes * (4 if bottleneck else 1)
                shortcut = nn.Identity()
                if stride == 2 or channels != outputs:
                    shortcut = projection(channels, outputs, stride) if self.large else OptionA(outputs - channels)
                self.blocks.append(Block(channels, planes, stride, bottleneck=bottleneck, shortcut=shortcut))
                channels = outputs
            planes *= 2
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = self.norm(self.conv(x)).relu()
        if self.large:
            x = f.max_pool2d(x, 3, 2, 1)
        for block in self.blocks:
            x = block(x)
        return self.fc(x.mean((2, 3)))

    def ours(self):
        names = {self.conv: "stem.conv", self.norm: "stem.bn", self.fc: "head.dense"}
        for number, block in enumerate(self.blocks, 1):
            for at, (conv, norm) in enumerate(zip(block.convs, block.norms, strict=True), 1):
                names |= {conv: f"block_{number}.conv_{at}", norm: f"block_{number}.bn_{at}"}
            if isinstance(block.shortcut, nn.Sequential):
                conv, norm = block.shortcut[0], block.shortcut[1]
                names |= {conv: f"block_{number}.shortcut.conv", norm: f"block_{number}.shortcut.bn"}
        return names


def load(module, weights):
    """Our weights, by name, into a network of the above, in float64; every one of either has its place in the other."""
    module.double().eval()
    used, filled = set(), set()

    def fill(tensor, name, value):
        used.add(name)
        filled.add(id(tensor))
        with torch.no_grad():
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(value)))

    before = None  # channels of the picture that a dense layer flattens
    for layer, name in module.ours().items():
        if isinstance(layer, nn.Conv2d):
            fill(layer.weight, f"{name}/kernel", weights[f"{name}/kernel"].transpose(3, 2, 0, 1))
            before = layer.out_channels
        elif isinstance(layer, nn.Linear):
            kernel = weights[f"{name}/kernel"]
            if name in FLATTENS:  # rows, columns, channels here; channels, rows, columns there
                side = round((kernel.shape[0] // before) ** 0.5)
                kernel = kernel.reshape(side, side, before, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
            fill(layer.weight, f"{name}/kernel", kernel.T)
        else:
            for ours, theirs in NORM.items():
                fill(getattr(layer, theirs), f"{name}/{ours}", weights[f"{name}/{ours}"])
        if getattr(layer, "bias", None) is not None and not isinstance(layer, nn.BatchNorm2d):
            fill(layer.bias, f"{name}/bias", weights[f"{name}/bias"])
    assert used == weights.keys()
    assert {id(tensor) for tensor in module.state_dict(keep_vars=True).values() if tensor.ndim} == filled
    return module


FLATTENS = ("fc_1.dense", "auxiliary.4a.dense_1", "auxiliary.4d.dense_1")
NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
