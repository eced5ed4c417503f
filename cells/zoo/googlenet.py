"""GoogLeNet (Szegedy et al. 2014, arXiv 1409.4842): its table 1, with 5x5 convolutions and biases as it has them.

torchvision's has batch norm in place of the biases and 3x3 in place of 5x5 (pytorch/vision#906).
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, TypeVar

from cells.architecture import Outputs
from cells.primitives import Feature, Primitives
from cells.zoo.hand_made import HandMade, check_size, conv_relu, padded_conv

T = TypeVar("T")

MODULES = {
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
"""Channels of each Inception module: 1x1; 3x3 reduce, 3x3; 5x5 reduce, 5x5; behind the pooling."""
AUXILIARY = ("4a", "4d")
"""The modules whose outputs the auxiliary heads read (section 5)."""
LEAST_WITH_HEADS = 65
"""Pixels a side that leave 5x5 to the auxiliary heads' pooling."""


@dataclasses.dataclass(frozen=True)
class GoogLeNet(HandMade):
    """An `Architecture`: a stem, nine Inception modules, one linear layer; two auxiliary heads that training alone has.

    6,998,552 parameters with 1000 classes, 13,378,280 with both heads at 224x224. At another size the last pooling is
    over what there is. Dropouts are training's, all with one rate (the paper: 0.4, and 0.7 in the auxiliary heads).

    Local response normalisation stands where figure 3 has it; its numbers, which the paper leaves out, are those of
    Caffe's bvlc_googlenet: 5 channels, alpha 1e-4 over the 5, beta 0.75. Poolings of stride 2 are SAME: where a side is
    even, as all are at 224, the same as Caffe's.
    """

    image_shape: ClassVar[tuple[int, int, int]] = (224, 224, 3)
    published_classes: ClassVar[int] = 1000

    @property
    def kind(self) -> str:
        """See `HandMade.kind`."""
        return "googlenet"

    @property
    def parts(self) -> tuple[str, ...]:
        """See `Architecture.parts`."""
        return ("stem", *(f"inception_{module}" for module in MODULES), "head")

    def walk(self, p: Primitives[T], image: T, *, auxiliary: bool = False) -> Outputs[T]:
        """See `Architecture.walk`. The auxiliary heads need 65x65 or more."""
        if auxiliary:
            check_size("googlenet's auxiliary heads need", p.shape(image), LEAST_WITH_HEADS)
        x = self._stem(p, image)
        endpoints = {"stem": Feature(x, self.scaled(192), 0)}
        level = 0
        for module, channels in MODULES.items():
            name = f"inception_{module}"
            if module in ("4a", "5a"):
                x = p.max_pool(x, 3, stride=2, name=f"{name}.reduction")
                level += 1
            x = self._inception(p, x, channels, name)
            wide = sum(self.scaled(channels[place]) for place in (0, 2, 4, 5))
            endpoints[name] = Feature(x, wide, level)
        heads = [self._auxiliary_head(p, endpoints[f"inception_{at}"].value, at) for at in AUXILIARY if auxiliary]
        x = p.dropout(p.global_avg_pool(x, name="head.pool"), name="head.dropout")
        return Outputs(p.dense(x, self.classes, name="head.dense"), tuple(heads), endpoints)

    def _stem(self, p: Primitives[T], image: T) -> T:
        x = padded_conv(p, image, self.scaled(64), 7, stride=2, bias=True, name="stem.conv_1")
        x = p.max_pool(p.relu(x, name="stem.conv_1.relu"), 3, stride=2, name="stem.pool_1")
        x = _local_response_norm(p, x, "stem.norm_1")
        x = conv_relu(p, x, self.scaled(64), 1, name="stem.conv_2")
        x = conv_relu(p, x, self.scaled(192), 3, name="stem.conv_3")
        x = _local_response_norm(p, x, "stem.norm_2")
        return p.max_pool(x, 3, stride=2, name="stem.pool_2")

    def _inception(self, p: Primitives[T], x: T, channels: tuple[int, ...], name: str) -> T:
        """Figure 2b: four ways side by side."""
        one, before_three, three, before_five, five, pooled = map(self.scaled, channels)
        y_1 = conv_relu(p, x, one, 1, name=f"{name}.conv_1x1")
        y_3 = conv_relu(p, x, before_three, 1, name=f"{name}.reduce_3x3")
        y_3 = conv_relu(p, y_3, three, 3, name=f"{name}.conv_3x3")
        y_5 = conv_relu(p, x, before_five, 1, name=f"{name}.reduce_5x5")
        y_5 = conv_relu(p, y_5, five, 5, name=f"{name}.conv_5x5")
        y_pool = conv_relu(p, p.max_pool(x, 3, name=f"{name}.pool"), pooled, 1, name=f"{name}.conv_pool")
        return p.concat([y_1, y_3, y_5, y_pool], name=f"{name}.concat")

    def _auxiliary_head(self, p: Primitives[T], x: T, module: str) -> T:
        name = f"auxiliary.{module}"
        x = p.avg_pool(x, 5, stride=3, padding="valid", name=f"{name}.pool")
        x = conv_relu(p, x, self.scaled(128), 1, name=f"{name}.conv")
        x = p.relu(p.dense(x, self.scaled(1024), name=f"{name}.dense_1"), name=f"{name}.dense_1.relu")
        return p.dense(p.dropout(x, name=f"{name}.dropout"), self.classes, name=f"{name}.dense_2")


def _local_response_norm(p: Primitives[T], x: T, name: str) -> T:
    return p.local_response_norm(x, size=5, alpha=1e-4 / 5, beta=0.75, bias=1.0, name=name)


NETWORKS = {"googlenet": GoogLeNet}
"""`--model` name -> the network, given classes and width."""
