"""AlexNet: on two GPUs (Krizhevsky, Sutskever, Hinton 2012), and the one tower of torchvision (Krizhevsky 2014)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, TypeVar

from cells.architecture import Outputs
from cells.primitives import Feature, Primitives
from cells.zoo.hand_made import HandMade, check_size, conv_relu

T = TypeVar("T")

UNITS = 4096
"""Of both hidden fully connected layers."""
PARTS = (*(f"conv_{number}" for number in range(1, 6)), "fc_1", "fc_2", "head")


@dataclasses.dataclass(frozen=True)
class AlexNet(HandMade):
    """An `Architecture`: five convolutions, three overlapping poolings, three fully connected layers.

    61,100,840 parameters at 224x224x3 with 1000 classes, as torchvision's `alexnet` (arXiv 1404.5997, one column). The
    kernel of the first fully connected layer depends on the picture's size. The dropouts are training's (0.5 there).
    """

    # Differs from torchvision, which averages to 6x6 pixels before that layer. At 224x224 they are 6x6.

    image_shape: ClassVar[tuple[int, int, int]] = (224, 224, 3)
    published_classes: ClassVar[int] = 1000

    @property
    def kind(self) -> str:
        """See `HandMade.kind`."""
        return "alexnet"

    @property
    def parts(self) -> tuple[str, ...]:
        """See `Architecture.parts`."""
        return PARTS

    def walk(self, p: Primitives[T], image: T, *, auxiliary: bool = False) -> Outputs[T]:
        """See `Architecture.walk`. Raises ValueError below 63x63 too, as torchvision's."""
        if auxiliary:
            raise ValueError("alexnet has no auxiliary head")
        check_size("alexnet, whose conv_5 is followed by the third pooling, needs", p.shape(image), 63)
        x = p.pad(image, (2, 2), (2, 2), name="conv_1.pad")
        x = p.conv(x, self.scaled(64), (11, 11), stride=(4, 4), padding="valid", bias=True, name="conv_1")
        x = _pool(p, p.relu(x, name="conv_1.relu"), "conv_1")
        endpoints = {"conv_1": Feature(x, self.scaled(64), 1)}
        for number, (channels, size) in enumerate(((192, 5), (384, 3), (256, 3), (256, 3)), 2):
            name = f"conv_{number}"
            x = conv_relu(p, x, self.scaled(channels), size, name=name)
            x = _pool(p, x, name) if number in (2, 5) else x
            endpoints[name] = Feature(x, self.scaled(channels), 1 + (number > 1) + (number > 4))
        for part in ("fc_1", "fc_2"):
            x = p.dense(p.dropout(x, name=f"{part}.dropout"), self.scaled(UNITS), name=f"{part}.dense")
            x = p.relu(x, name=f"{part}.relu")
        return Outputs(p.dense(x, self.classes, name="head.dense"), (), endpoints)


@dataclasses.dataclass(frozen=True)
class AlexNetOf2012(HandMade):
    """An `Architecture`: the published one, whose convolutions are halved between two towers, one a GPU.

    60,965,224 parameters at 227x227x3 with 1000 classes. The paper says 224x224, by which its first layer would not
    have its 55x55 pixels; 227 is what fits, and what Caffe's bvlc_alexnet takes. The kernel of the first fully
    connected layer depends on the picture's size. The dropouts are training's (the paper: 0.5). `width` scales each
    tower.
    """

    # Differs from the paper: all biases begin at 0, where those of layers 2, 4, 5 and the hidden ones began at 1.

    image_shape: ClassVar[tuple[int, int, int]] = (227, 227, 3)
    published_classes: ClassVar[int] = 1000

    @property
    def kind(self) -> str:
        """See `HandMade.kind`."""
        return "alexnet_2012"

    @property
    def parts(self) -> tuple[str, ...]:
        """See `Architecture.parts`."""
        return PARTS

    def walk(self, p: Primitives[T], image: T, *, auxiliary: bool = False) -> Outputs[T]:
        """See `Architecture.walk`. Raises ValueError below 67x67 too."""
        if auxiliary:
            raise ValueError("alexnet_2012 has no auxiliary head")
        check_size("alexnet_2012, whose conv_5 is followed by the third pooling, needs", p.shape(image), 67)
        x = self._towers(p, image, 48, 11, "conv_1", stride=4)
        x = _pool(p, _local_response_norm(p, x, "conv_1"), "conv_1")
        endpoints = {"conv_1": Feature(x, 2 * self.scaled(48), 1)}
        x = self._towers(p, x, 128, 5, "conv_2", halved=True)
        x = _pool(p, _local_response_norm(p, x, "conv_2"), "conv_2")
        endpoints["conv_2"] = Feature(x, 2 * self.scaled(128), 2)
        for name, channels in (("conv_3", 192), ("conv_4", 192), ("conv_5", 128)):
            x = self._towers(p, x, channels, 3, name, halved=name != "conv_3")
            x = _pool(p, x, name) if name == "conv_5" else x
            endpoints[name] = Feature(x, 2 * self.scaled(channels), 2 + (name == "conv_5"))
        for part in ("fc_1", "fc_2"):
            x = p.relu(p.dense(x, self.scaled(UNITS), name=f"{part}.dense"), name=f"{part}.relu")
            x = p.dropout(x, name=f"{part}.dropout")
        return Outputs(p.dense(x, self.classes, name="head.dense"), (), endpoints)

    def _towers(
        self, p: Primitives[T], x: T, channels: int, size: int, name: str, *, stride: int = 1, halved: bool = False
    ) -> T:
        """A convolution of both towers. `halved`: each reads its own half; otherwise both read all that there is."""
        wide = p.shape(x)[2]
        made: list[T] = []
        for tower, (start, stop) in enumerate(((0, wide // 2), (wide // 2, wide)), 1):
            read = p.select(x, start, stop, name=f"{name}.half_{tower}") if halved else x
            options = {"padding": "valid", "stride": (stride, stride)} if stride > 1 else {}
            y = p.conv(read, self.scaled(channels), (size, size), bias=True, name=f"{name}.tower_{tower}", **options)
            made.append(y)
        return p.relu(p.concat(made, name=f"{name}.concat"), name=f"{name}.relu")


def _pool(p: Primitives[T], x: T, name: str) -> T:
    return p.max_pool(x, 3, stride=2, padding="valid", name=f"{name}.pool")


def _local_response_norm(p: Primitives[T], x: T, name: str) -> T:
    """Section 3.3, over the maps of both towers."""
    return p.local_response_norm(x, size=5, alpha=1e-4, beta=0.75, bias=2.0, name=f"{name}.norm")


NETWORKS = {"alexnet": AlexNet, "alexnet_2012": AlexNetOf2012}
"""`--model` name -> the network, given classes and width."""
