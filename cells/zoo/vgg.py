"""VGG-16 (Simonyan, Zisserman 2014, arXiv 1409.1556): configuration D of its table 1."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, TypeVar

from cells.architecture import Outputs
from cells.primitives import Feature, Primitives
from cells.zoo.hand_made import HandMade, check_size, conv_relu

T = TypeVar("T")

BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
"""Convolutions of each block, and their channels."""
UNITS = 4096
"""Of both hidden layers."""


@dataclasses.dataclass(frozen=True)
class VGG16(HandMade):
    """An `Architecture`: five blocks of 3x3 convolutions and a 2x2 pooling, three fully connected layers.

    138,357,544 parameters at 224x224x3 with 1000 classes; of them 102,760,448 are the kernel of the first fully
    connected layer, which depends on the picture's size. A hidden layer's dropout is training's (the paper: 0.5).
    """

    image_shape: ClassVar[tuple[int, int, int]] = (224, 224, 3)
    published_classes: ClassVar[int] = 1000

    @property
    def kind(self) -> str:
        """See `HandMade.kind`."""
        return "vgg16"

    @property
    def parts(self) -> tuple[str, ...]:
        """See `Architecture.parts`."""
        return (*(f"block_{number}" for number in range(1, len(BLOCKS) + 1)), "fc_1", "fc_2", "head")

    def walk(self, p: Primitives[T], image: T, *, auxiliary: bool = False) -> Outputs[T]:
        """See `Architecture.walk`. Raises ValueError below 32x32 too: five poolings leave no pixel."""
        if auxiliary:
            raise ValueError("vgg16 has no auxiliary head")
        check_size("vgg16 needs", p.shape(image), 2 ** len(BLOCKS))
        x, endpoints = image, {}
        for number, (convolutions, channels) in enumerate(BLOCKS, 1):
            for layer in range(1, convolutions + 1):
                x = conv_relu(p, x, self.scaled(channels), 3, name=f"block_{number}.conv_{layer}")
            x = p.max_pool(x, 2, stride=2, padding="valid", name=f"block_{number}.pool")
            endpoints[f"block_{number}"] = Feature(x, self.scaled(channels), number)
        for part in ("fc_1", "fc_2"):
            x = p.dense(x, self.scaled(UNITS), name=f"{part}.dense")
            x = p.dropout(p.relu(x, name=f"{part}.relu"), name=f"{part}.dropout")
        return Outputs(p.dense(x, self.classes, name="head.dense"), (), endpoints)


NETWORKS = {"vgg16": VGG16}
"""`--model` name -> the network, given classes and width."""
