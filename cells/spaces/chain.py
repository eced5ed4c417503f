"""The space of Zoph & Le (2017): a network layer by layer, with skip connections by anchor points."""

from __future__ import annotations

import dataclasses
import functools
import math

from cells.architecture import BadField
from cells.genotype.chain import ChainGenotype, ConvLayer, Pool
from cells.genotype.genotype import Genotype
from cells.spaces.space import Decision, Tokens, check_tokens

SIZES = (1, 3, 5, 7)
"""Heights and widths of a filter (section 4.1)."""
FILTERS = (24, 36, 48, 64)
"""How many of them (section 4.1); a space multiplies these by its scale."""
STRIDES = (1, 2, 3)
"""A filter's strides, where they are predicted (section 4.1)."""
POOL = Pool("max", 2, 2)
"""What pools at the depths of a space. The paper says maximum (table 1); the sizes are a choice."""


@dataclasses.dataclass(frozen=True)
class ChainSpace:
    """Chains of up to `layers` convolutions (arXiv 1611.01578, sections 3 and 4.1).

    Layer i takes, in this order: with `skips` i decisions, whether it reads layer 0, 1, ..., i - 1; the filter's height
    and width; with `strides` the stride down and across; the number of filters. At 15 layers that is 180 decisions with
    skips and strides, 150 with skips, 75 with strides, 45 with neither. Without `skips` each layer reads the one
    before; with them one that reads none reads the image.

    Attributes:
        layers: the most that a network has.
        strides: whether strides are decisions; otherwise they are 1.
        skips: whether skip connections are.
        scale: factor of the numbers of filters, for small pictures; they are rounded.
        pool_at: after how many layers the picture is pooled, by a maximum of 2x2 pixels with stride 2: (13, 24) in the
            paper's third network of 39 (table 1).
        start_layers: what the first trials have (section 4.1: 6). With `layers` or more the space does not grow.
        grow_layers: so many more (section 4.1: 2)...
        grow_every: ...after every so many trials (section 4.1: 1,600).
    """

    layers: int = 15
    strides: bool = False
    skips: bool = True
    scale: float = 1.0
    pool_at: tuple[int, ...] = ()
    start_layers: int = 6
    grow_layers: int = 2
    grow_every: int = 1600

    def __post_init__(self) -> None:
        for name, least in (("layers", 1), ("start_layers", 1), ("grow_layers", 0), ("grow_every", 1)):
            if getattr(self, name) < least:
                raise BadField(name, getattr(self, name), f"must be {least} or more")
        if not self.grow_layers and self.start_layers < self.layers:
            rule = f"must be 1 or more to come to networks of {self.layers} layers from those of {self.start_layers}"
            raise BadField("grow_layers", self.grow_layers, rule)
        if not 0 < self.scale < math.inf or len(set(self.filters)) < len(FILTERS):
            rule = f"must leave {len(FILTERS)} different numbers of filters of {', '.join(map(str, FILTERS))}"
            raise BadField("scale", self.scale, rule)
        if any(not 1 <= depth <= self.layers for depth in self.pool_at) or len(set(self.pool_at)) < len(self.pool_at):
            raise BadField("pool_at", self.pool_at, f"must be different depths from 1 to {self.layers}")

    @property
    def filters(self) -> tuple[int, ...]:
        """The numbers of filters that a layer chooses from."""
        return tuple(max(1, round(filters * self.scale)) for filters in FILTERS)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Those of the deepest network, layer by layer."""
        return _chain_decisions(self.layers, self.strides, self.skips)

    def depth(self, trial_id: int) -> int:
        """How many layers trial `trial_id` has."""
        return min(self.layers, self.start_layers + self.grow_layers * (trial_id // self.grow_every))

    def length(self, trial_id: int) -> int:
        """See `Space.length`."""
        return self._place(self.depth(trial_id))

    def decode(self, tokens: Tokens) -> ChainGenotype:
        """See `Space.decode`. Takes the tokens of the first layers alone, too: of as many as they are whole for."""
        depths = {self._place(depth): depth for depth in range(1, self.layers + 1)}
        if len(tokens) not in depths:
            raise ValueError(
                f"a chain of 1 to {self.layers} whole layers takes {', '.join(map(str, depths))} tokens, "
                f"got {len(tokens)}"
            )
        check_tokens(self.decisions[: len(tokens)], tokens)
        layers: list[ConvLayer] = []
        for index in range(depths[len(tokens)]):
            mine = tokens[self._place(index) : self._place(index + 1)]
            linked, sizes = (mine[:index], mine[index:]) if self.skips else ((), mine)
            inputs = tuple(j for j, yes in enumerate(linked) if yes) if self.skips else tuple(range(index))[-1:]
            height, width, *strides, filters = sizes
            layers.append(
                ConvLayer(
                    SIZES[height],
                    SIZES[width],
                    *([STRIDES[stride] for stride in strides] or (1, 1)),
                    filters=self.filters[filters],
                    pool=self._pool(index),
                    inputs=inputs,
                )
            )
        return ChainGenotype(tuple(layers))

    def encode(self, genotype: Genotype) -> Tokens:
        """See `Space.encode`. A network of fewer than `layers` has fewer tokens."""
        if not isinstance(genotype, ChainGenotype):
            raise ValueError(f"the space holds chains, got a genotype of kind {genotype.kind!r}")
        if genotype != ChainGenotype(genotype.layers):
            raise ValueError("the space holds chains with batch norm, an average over all pixels and no dense layers")
        if len(genotype.layers) > self.layers:
            raise ValueError(f"the space has at most {self.layers} layers, the chain has {len(genotype.layers)}")
        return tuple(token for index, layer in enumerate(genotype.layers) for token in self._tokens(index, layer))

    def features(self, tokens: Tokens) -> tuple[float, ...]:
        """Of the network that tokens name, of as many layers as they are whole for: what it is made of, and its graph.

        How many layers have each height of `SIZES`, each width of it, with `strides` each stride down and across of
        `STRIDES`, and each number of filters, from the smallest; how many layers there are, how many times one reads
        another, how many read the image, how many nobody reads; and the layers of the longest way through them.
        """
        layers = self.decode(tokens).layers
        kinds = [("height", SIZES), ("width", SIZES), ("filters", self.filters)]
        kinds[2:2] = [("stride_height", STRIDES), ("stride_width", STRIDES)] if self.strides else []
        counted = [sum(getattr(layer, name) == value for layer in layers) for name, values in kinds for value in values]
        depths: list[int] = []
        for layer in layers:
            depths.append(1 + max((depths[read] for read in layer.inputs), default=0))
        reads = [read for layer in layers for read in layer.inputs]
        of_image = sum(not layer.inputs for layer in layers)
        graph = (len(layers), len(reads), of_image, len(layers) - len(set(reads)), max(depths))
        return tuple(map(float, (*counted, *graph)))

    def _tokens(self, index: int, layer: ConvLayer) -> list[int]:
        if layer.padding != "same":
            raise ValueError(f"the space holds layers whose padding is same, layer {index} has {layer.padding!r}")
        if layer.pool != self._pool(index):
            raise ValueError(f"the space has {self._pool(index)} after layer {index}, the chain has {layer.pool}")
        if self.skips:
            tokens = [int(read in layer.inputs) for read in range(index)]
        elif layer.inputs == tuple(range(index))[-1:]:
            tokens = []
        else:
            raise ValueError(f"the space has no skips; layer {index} reads {layer.inputs or 'the image'}")
        known = [("height", SIZES), ("width", SIZES), ("stride_height", STRIDES), ("stride_width", STRIDES)]
        for name, choices in (*known, ("filters", self.filters)):
            value, fixed = getattr(layer, name), name.startswith("stride") and not self.strides
            if value not in (choices[:1] if fixed else choices):
                expected = ", ".join(map(str, choices[:1] if fixed else choices))
                raise ValueError(f"{name} {value} of layer {index} is not in the space; expected {expected}")
            tokens += [] if fixed else [choices.index(value)]
        return tokens

    def _pool(self, index: int) -> Pool | None:
        return POOL if index + 1 in self.pool_at else None

    def _place(self, index: int) -> int:
        """Where layer `index` begins in the decisions, and where those before it end."""
        return index * (5 if self.strides else 3) + (index * (index - 1) // 2 if self.skips else 0)


@functools.cache
def _chain_decisions(layers: int, strides: bool, skips: bool) -> tuple[Decision, ...]:
    decisions: list[Decision] = []
    stands_for: list[int] = []  # layer -> the place of its anchor: its first skip decision; layer 0's first decision
    for index in range(layers):
        name = f"layer_{index}"
        stands_for.append(len(decisions))
        if skips:
            decisions += [Decision(f"{name}.skip_{j}", 2, stands_for[j]) for j in range(index)]
        decisions += [Decision(f"{name}.height", len(SIZES)), Decision(f"{name}.width", len(SIZES))]
        if strides:
            decisions += [Decision(f"{name}.{side}", len(STRIDES)) for side in ("stride_height", "stride_width")]
        decisions.append(Decision(f"{name}.filters", len(FILTERS)))
    return tuple(decisions)
