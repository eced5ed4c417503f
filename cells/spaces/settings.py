"""Settings of a known network as a space: three choices for each of its filters, filter counts and poolings."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from cells.architecture import BadField
from cells.genotype.chain import ChainGenotype, ConvLayer, Pool
from cells.genotype.genotype import Genotype
from cells.spaces.space import Decision, Tokens, check_tokens

CHOICES = 3
"""Options of each decision, the published one among them."""
Setting = Literal["size", "filters", "pool"]
"""What a decision decides of a layer: its filter's height and width, how many filters, the pooling after it."""
Value = int | tuple[Literal["max", "average"], int]
"""A number, or for a pooling its kind and its window."""


@dataclasses.dataclass(frozen=True)
class KnownNetwork:
    """A published network of convolutions and poolings, then dense layers.

    Attributes:
        side: height and width of the pictures that it was drawn for, in pixels.
        layers: its convolutions, square, each with the pooling after it.
        dense: units of its hidden dense layers.
    """

    side: int
    layers: tuple[ConvLayer, ...]
    dense: tuple[int, ...]


def _chain(*layers: ConvLayer) -> tuple[ConvLayer, ...]:
    return tuple(dataclasses.replace(layer, inputs=tuple(range(index))[-1:]) for index, layer in enumerate(layers))


def _vgg(*stages: tuple[int, int]) -> tuple[ConvLayer, ...]:
    return _chain(
        *(
            ConvLayer(3, 3, filters=filters, pool=Pool("max", 2, 2) if index + 1 == layers else None)
            for layers, filters in stages
            for index in range(layers)
        )
    )


_LENET_POOL, _ALEXNET_POOL = Pool("average", 2, 2), Pool("max", 3, 2, "valid")
NETWORKS: dict[str, KnownNetwork] = {
    # LeCun et al. 1998, as it is drawn today: every second layer's filter reads every map, C5 is a dense layer.
    "lenet5": KnownNetwork(
        32,
        _chain(
            ConvLayer(5, 5, filters=6, pool=_LENET_POOL, padding=0),
            ConvLayer(5, 5, filters=16, pool=_LENET_POOL, padding=0),
        ),
        (120, 84),
    ),
    # Krizhevsky 2014, the one column of torchvision's alexnet, but for dropout: there before the hidden layers.
    "alexnet": KnownNetwork(
        224,
        _chain(
            ConvLayer(11, 11, 4, 4, 64, _ALEXNET_POOL, padding=2),
            ConvLayer(5, 5, filters=192, pool=_ALEXNET_POOL),
            ConvLayer(3, 3, filters=384),
            ConvLayer(3, 3, filters=256),
            ConvLayer(3, 3, filters=256, pool=_ALEXNET_POOL),
        ),
        (4096, 4096),
    ),
    # Simonyan and Zisserman 2014, configuration D.
    "vgg16": KnownNetwork(224, _vgg((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), (4096, 4096)),
}
"""What `SettingsSpace` knows the settings of."""


@dataclasses.dataclass(frozen=True)
class SettingsSpace:
    """The 3^n networks around a published one: each free decision has three options, the rest is as published.

    The decisions come convolution by convolution: first its filter's height and width (2 pixels less, as published, 2
    more), then its number of filters (half, as published, half as many again). After all of them come the poolings: the
    maximum of 2x2 pixels, the maximum of 3x3, the average of the published window. The published option is always one
    of the three. `free` takes so many decisions from the first.

    A picture whose shorter side is less than the published one is smaller than the network was drawn for. Then
    convolutions and poolings are SAME, and as often as the published side is twice the picture's, or twice that again,
    one halving is left out, from the image on: a stride of 4 becomes 2 or 1, a pooling keeps its window and gets stride
    1. So the last picture is about as large as the published one, and never larger where there is a halving left.

    Attributes:
        network: one of `NETWORKS`.
        image_shape: `(height, width, channels)` of the pictures.
        free: how many decisions; None means all that the network has.
        width: multiplies every number of filters and of hidden units, rounded, at least 1. 1.0 is as published.
    """

    network: str
    image_shape: tuple[int, int, int]
    free: int | None = None
    width: float = 1.0

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise BadField("network", self.network, f"must be one of {', '.join(NETWORKS)}")
        if len(self.image_shape) != 3 or min(self.image_shape) < 1:
            raise BadField("image_shape", self.image_shape, "must be three sizes of 1 or more")
        if not 0 < self.width < math.inf:
            raise BadField("width", self.width, "must be above 0")
        for index, layer in enumerate(self._known.layers):
            options = self._options(index, "filters")
            if len(set(options)) < CHOICES:
                rule = f"must leave {CHOICES} different numbers of filters around the {layer.filters} of layer {index}"
                raise BadField("width", self.width, f"{rule}; it leaves {', '.join(map(str, options))}")
        most = len(_settings(self._known))
        if self.free is not None and not 1 <= self.free <= most:
            raise BadField("free", self.free, f"must be 1 to {most}, for {self.network} has {most} settings")

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The first `free` of the network's settings."""
        return tuple(Decision(f"layer_{index}.{setting}", CHOICES) for index, setting in self._free)

    @property
    def size(self) -> int:
        """How many networks it holds, no two of them alike: `3 ** len(decisions)`."""
        return CHOICES ** len(self._free)

    @property
    def published(self) -> Tokens:
        """The tokens that name the published network."""
        return tuple(
            self._options(index, setting).index(_value(self._published_layer(index), setting))
            for index, setting in self._free
        )

    def length(self, trial_id: int) -> int:  # noqa: ARG002 - it does not grow
        """See `Space.length`."""
        return len(self._free)

    def decode(self, tokens: Tokens) -> ChainGenotype:
        """See `Space.decode`."""
        check_tokens(self.decisions, tokens)
        layers = [self._published_layer(index) for index in range(len(self._known.layers))]
        for (index, setting), token in zip(self._free, tokens, strict=True):
            layers[index] = _changed(layers[index], setting, self._options(index, setting)[token])
        shorter = min(self.image_shape[:2])
        if shorter < self._known.side:
            layers = _shrunk(layers, (self._known.side // shorter).bit_length() - 1)  # log2, rounded down
        dense = tuple(self._scaled(units) for units in self._known.dense)
        return ChainGenotype(tuple(layers), dense, flatten=True, batch_norm=False)

    def encode(self, genotype: Genotype) -> Tokens:
        """See `Space.encode`."""
        if not isinstance(genotype, ChainGenotype):
            raise ValueError(f"the space holds chains, got a genotype of kind {genotype.kind!r}")
        if len(genotype.layers) != len(self._known.layers):
            raise ValueError(
                f"{self.network} has {len(self._known.layers)} layers, the chain has {len(genotype.layers)}"
            )
        tokens: list[int] = []
        for index, setting in self._free:
            value, options = _value(genotype.layers[index], setting), self._options(index, setting)
            if value not in options:
                raise ValueError(f"{setting} {value} of layer {index} is not in the space; expected one of {options}")
            tokens.append(options.index(value))
        if self.decode(tuple(tokens)) != genotype:
            raise ValueError(f"the chain differs from {self.network} in what is no decision of this space")
        return tuple(tokens)

    @property
    def _known(self) -> KnownNetwork:
        return NETWORKS[self.network]

    @property
    def _free(self) -> tuple[tuple[int, Setting], ...]:
        return _settings(self._known)[: self.free]

    def _published_layer(self, index: int) -> ConvLayer:
        layer = self._known.layers[index]
        return dataclasses.replace(layer, filters=self._scaled(layer.filters))

    def _scaled(self, number: float) -> int:
        return max(1, round(self.width * number))

    def _options(self, index: int, setting: Setting) -> tuple[Value, ...]:
        layer = self._known.layers[index]
        if setting == "size":
            return layer.height - 2, layer.height, layer.height + 2
        if setting == "filters":
            return tuple(self._scaled(share * layer.filters) for share in (0.5, 1.0, 1.5))
        assert layer.pool is not None
        return ("max", 2), ("max", 3), ("average", layer.pool.size)


def _settings(known: KnownNetwork) -> tuple[tuple[int, Setting], ...]:
    """All that can be set, as (layer, setting), in the order of the decisions."""
    layers = range(len(known.layers))
    filters: list[tuple[int, Setting]] = [(index, setting) for index in layers for setting in ("size", "filters")]
    pools: list[tuple[int, Setting]] = [(index, "pool") for index in layers if known.layers[index].pool is not None]
    return (*filters, *pools)


def _value(layer: ConvLayer, setting: Setting) -> Value | None:
    if setting == "size":
        return layer.height
    if setting == "filters":
        return layer.filters
    return None if layer.pool is None else (layer.pool.kind, layer.pool.size)


def _changed(layer: ConvLayer, setting: Setting, value: Value) -> ConvLayer:
    if isinstance(value, tuple):
        assert layer.pool is not None
        kind, size = value
        return dataclasses.replace(layer, pool=dataclasses.replace(layer.pool, kind=kind, size=size))
    if setting == "filters":
        return dataclasses.replace(layer, filters=value)
    padding = layer.padding
    if padding != "same" and padding > 0:  # so many zeros more or less as the filter is larger: the same size comes out
        padding += (value - layer.height) // 2
    return dataclasses.replace(layer, height=value, width=value, padding=padding)


def _shrunk(layers: list[ConvLayer], halvings: int) -> list[ConvLayer]:
    """The layers for a picture that is smaller by `halvings` than the published one: see `SettingsSpace`."""
    shrunk: list[ConvLayer] = []
    for layer in layers:
        stride, pool = layer.stride_height, layer.pool
        while halvings and stride > 1:
            stride, halvings = stride // 2, halvings - 1
        if pool is not None:
            left_out = min(halvings, 1)
            pool = dataclasses.replace(pool, stride=1 if left_out else pool.stride, padding="same")
            halvings -= left_out
        shrunk.append(dataclasses.replace(layer, stride_height=stride, stride_width=stride, padding="same", pool=pool))
    return shrunk
