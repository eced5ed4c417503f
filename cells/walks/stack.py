"""A network of cells: stem, Normal Cells, reductions, heads."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, TypeVar

from cells.architecture import Outputs
from cells.genotype import Cell, CellGenotype
from cells.primitives import Feature, Primitives
from cells.walks.cell import fold

T = TypeVar("T")
Stem = Literal["cifar", "imagenet"]


@dataclasses.dataclass(frozen=True)
class CellNetwork:
    """An `Architecture` of cells. `repeats` and `filters` are N and F of the paper (section 4).

    Attributes:
        genotype: its cells.
        repeats: Normal Cells in each of the three stages.
        filters: channels of the first cell's operations; doubled at each reduction. The paper's N@P notation has
            P = 24 * filters for NASNet-A: 4 @ 1056 is 44.
        classes: size of the logits.
        stem: "cifar" is one 3x3 convolution; "imagenet" one of stride 2, VALID, and two Reduction Cells.
        stem_multiplier: the stem convolution has `filters * stem_multiplier` (cifar) or `32 * stem_multiplier`
            (imagenet) channels. None means slim's 3.0 and 1.0. NASNet-A large has 3.0.
        skip_reduction_input: the cell after a reduction takes as h[i-1] the output before the reduction's input instead
            of that input (slim's `skip_reduction_layer_input`: on in NASNet-A large).
    """

    genotype: CellGenotype
    repeats: int
    filters: int
    classes: int
    stem: Stem = "cifar"
    stem_multiplier: float | None = None
    skip_reduction_input: bool = False

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ValueError(f"repeats must be 1 or more, got {self.repeats}")
        if self.classes < 2:
            raise ValueError(f"classes must be 2 or more, got {self.classes}")
        if self.stem not in ("cifar", "imagenet"):
            raise ValueError(f'stem must be "cifar" or "imagenet", got {self.stem!r}')
        least = 2 if self.stem == "cifar" else 8
        if self.filters < least or (self.stem == "imagenet" and self.filters % 4):
            rule = "2 or more" if self.stem == "cifar" else "a multiple of 4, 8 or more (its stem cells have a quarter)"
            raise ValueError(f"filters must be {rule} with the {self.stem} stem, got {self.filters}")
        if self.stem_filters < 1:
            raise ValueError(f"stem_multiplier leaves the stem no channels, got {self.stem_multiplier}")

    @property
    def stem_filters(self) -> int:
        """Channels of the stem convolution."""
        if self.stem == "cifar":
            return int(self.filters * (3.0 if self.stem_multiplier is None else self.stem_multiplier))
        return int(32 * (1.0 if self.stem_multiplier is None else self.stem_multiplier))

    @property
    def parts(self) -> tuple[str, ...]:
        """See `Architecture.parts`."""
        return ("stem", *(position.name for position in positions(self)), "head")

    @property
    def batch_norm(self) -> tuple[float, float]:
        """See `Architecture.batch_norm`: slim's for CIFAR and for ImageNet."""
        return (0.9, 1e-5) if self.stem == "cifar" else (0.9997, 1e-3)

    def describe(self) -> str:
        """See `Architecture.describe`: in the paper's letters."""
        return f"N={self.repeats} F={self.filters}"

    def walk(self, p: Primitives[T], image: T, *, auxiliary: bool = False) -> Outputs[T]:
        """See `Architecture.walk`.

        Cells whose output reaches no head are left out, as dead states are left out of a cell: all readings see the
        same weights, and each weight has a gradient.
        """
        cells = positions(self)
        auxiliary_at = next(i for i, cell in enumerate(cells) if cell.name == f"cell_{2 * self.repeats - 1}")
        heads = {len(cells)} | ({auxiliary_at + 1} if auxiliary else set())
        live = _live_features(self.genotype, cells, heads)

        features = {0: _stem(self, p, image)}
        for index, position in enumerate(cells):
            if index + 1 in live:
                read = _reads(self.genotype, position)
                features[index + 1] = fold(
                    _cell_at(self.genotype, position),
                    p,
                    (
                        features[position.current] if 0 in read else None,
                        features[position.previous] if 1 in read else None,
                    ),
                    filters=position.filters,
                    stride=2 if position.kind == "reduction" else 1,
                    level=position.level,
                    first=index == 0,
                    depth=(index + 1) / len(cells),
                    name=position.name,
                )
        auxiliary_logits = (_auxiliary_head(self.classes, p, features[auxiliary_at + 1]),) if auxiliary else ()
        x = p.relu(features[len(cells)].value, name="head.relu")
        x = p.global_avg_pool(x, name="head.pool")
        x = p.dropout(x, name="head.dropout")
        logits = p.dense(x, self.classes, name="head.dense")
        names = ["stem", *(position.name for position in cells)]
        return Outputs(logits, auxiliary_logits, {names[index]: feature for index, feature in features.items()})

    def to_json(self) -> dict[str, Any]:
        """See `Architecture.to_json`. Readers know the classes from elsewhere: by their names."""
        return {**self.genotype.to_json(), "network": {name: getattr(self, name) for name in SIZES}}

    @classmethod
    def from_json(cls, value: dict[str, Any], classes: int) -> CellNetwork:
        """Reads what `to_json` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        sizes = value["network"]
        return cls(
            CellGenotype.from_json(value), classes=classes, **{name: sizes[name] for name in SIZES if name in sizes}
        )


SIZES = ("repeats", "filters", "stem", "stem_multiplier", "skip_reduction_input")
"""What a network's JSON holds beside its cells."""


@dataclasses.dataclass(frozen=True)
class Position:
    """One cell's place. Features are numbered: 0 is the stem convolution, position p makes feature p + 1.

    Attributes:
        current: the feature that is h[i].
        previous: the feature that is h[i-1]; in the first cell, where there is none, `current` again.
        level: how often h[i] has been halved since the stem.
    """

    name: str
    kind: Literal["normal", "reduction"]
    filters: int
    current: int
    previous: int
    level: int


def positions(network: CellNetwork) -> tuple[Position, ...]:
    """The cells in the order of the walk, with what each reads (slim's `_build_nasnet_base`)."""
    cells: list[Position] = []

    def append(name: str, kind: Literal["normal", "reduction"], filters: int, previous: int) -> None:
        level = sum(cell.kind == "reduction" for cell in cells)
        cells.append(Position(name, kind, filters, len(cells), previous, level))

    def before_newest() -> int:
        return max(0, len(cells) - 1)

    if network.stem == "imagenet":
        append("stem_0", "reduction", network.filters // 4, before_newest())
        append("stem_1", "reduction", network.filters // 2, before_newest())
    filters = network.filters
    for index in range(3 * network.repeats):
        previous = before_newest()
        if index in (network.repeats, 2 * network.repeats):
            filters *= 2
            append(f"reduction_{index // network.repeats - 1}", "reduction", filters, previous)
            if not network.skip_reduction_input:
                previous = before_newest()
        append(f"cell_{index}", "normal", filters, previous)
    return tuple(cells)


def _cell_at(genotype: CellGenotype, position: Position) -> Cell:
    return genotype.normal if position.kind == "normal" else genotype.reduction


def _reads(genotype: CellGenotype, position: Position) -> dict[int, int]:
    """The cell's live inputs: state 0 or 1 -> feature."""
    cell = _cell_at(genotype, position)
    return {state: (position.current, position.previous)[state] for state in (0, 1) if state in cell.live}


def _live_features(genotype: CellGenotype, cells: tuple[Position, ...], heads: set[int]) -> set[int]:
    live = set(heads)
    for index in reversed(range(len(cells))):
        if index + 1 in live:
            live |= set(_reads(genotype, cells[index]).values())
    return live


def _stem(network: CellNetwork, p: Primitives[T], image: T) -> Feature[T]:
    # No ReLU before or after; VALID in the ImageNet stem (slim).
    if network.stem == "cifar":
        x = p.conv(image, network.stem_filters, (3, 3), name="stem.conv")
    else:
        x = p.conv(image, network.stem_filters, (3, 3), stride=(2, 2), padding="valid", name="stem.conv")
    return Feature(p.batch_norm(x, name="stem.bn"), network.stem_filters, 0)


def _auxiliary_head(classes: int, p: Primitives[T], feature: Feature[T]) -> T:
    """The second classifier at two thirds of the depth (appendix A.7; sizes from slim's `_build_aux_head`).

    Its second convolution is as large as what the pooling leaves, so these weights, and no others, depend on the
    resolution; they are used in training only.
    """
    x = p.relu(feature.value, name="auxiliary.relu")
    x = p.avg_pool(x, 5, stride=3, padding="valid", name="auxiliary.pool")
    x = p.conv(x, 128, (1, 1), name="auxiliary.conv_1")
    x = p.batch_norm(x, name="auxiliary.bn_1")
    x = p.relu(x, name="auxiliary.relu_1")
    x = p.full_conv(x, 768, name="auxiliary.conv_2")
    x = p.batch_norm(x, name="auxiliary.bn_2")
    x = p.relu(x, name="auxiliary.relu_2")
    return p.dense(x, classes, name="auxiliary.dense")
