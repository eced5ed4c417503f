"""A network of cells: stem, Normal Cells, reductions, heads."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, TypeVar

from cells.architecture import BadField, Fan, Outputs
from cells.genotype.cell import Cell, CellGenotype
from cells.primitives import Feature, Primitives
from cells.walks.cell import fold
from cells.walks.rules import RULES, Rules

T = TypeVar("T")
Stem = Literal["cifar", "imagenet"]


@dataclasses.dataclass(frozen=True)
class CellNetwork:
    """An `Architecture` of cells. `repeats` and `filters` are N and F of the paper (section 4).

    Attributes:
        genotype: its cells, which say by whose rules they are put together.
        repeats: Normal Cells in each of the three stages. By PNASNet's rules the first cell of the last two halves the
            size; by all others a Reduction Cell stands before it. DARTS' L layers are 3N + 2.
        filters: channels of the first cell's operations; doubled at each reduction. The paper's N@P notation has
            P = 24 * filters for NASNet-A: 4 @ 1056 is 44.
        classes: size of the logits.
        stem: "cifar" is one 3x3 convolution; "imagenet" one of stride 2, VALID, and two Reduction Cells; by DARTS'
            rules three convolutions of stride 2.
        stem_multiplier: the stem convolution has `filters * stem_multiplier` (cifar) or `32 * stem_multiplier`
            (imagenet) channels. None means slim's 3.0 and 1.0. NASNet-A large has 3.0. DARTS' three have
            `filters * stem_multiplier`, the first of them half; None means 1.0.
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
            raise BadField("repeats", self.repeats, "must be 1 or more")
        if self.classes < 2:
            raise BadField("classes", self.classes, "must be 2 or more")
        if self.stem not in ("cifar", "imagenet"):
            raise BadField("stem", self.stem, 'must be "cifar" or "imagenet"')
        least = 8 if self.stem == "imagenet" and self.rules.stem_cells else 2
        if self.filters < least:
            why = " (its first cell has a quarter)" if least == 8 else ""
            raise BadField("filters", self.filters, f"must be {least} or more with the {self.stem} stem{why}")
        least = 1 + (self.stem == "imagenet" and not self.rules.stem_cells)
        if self.stem_filters < least:
            rule = f"must leave the stem {least} channel(s) or more; it leaves {self.stem_filters}"
            raise BadField("stem_multiplier", self.stem_multiplier, rule)

    @property
    def rules(self) -> Rules:
        """By what rules its cells are put together."""
        return RULES[self.genotype.rules]

    @property
    def stem_filters(self) -> int:
        """Channels of the stem's convolution; of the last one, where it has more."""
        multiplier = self.stem_multiplier
        if self.stem == "cifar":
            return int(self.filters * (3.0 if multiplier is None else multiplier))
        width = 32 if self.rules.stem_cells else self.filters
        return int(width * (1.0 if multiplier is None else multiplier))

    @property
    def parts(self) -> tuple[str, ...]:
        """See `Architecture.parts`."""
        return ("stem", *(position.name for position in positions(self)), "head")

    @property
    def batch_norm(self) -> tuple[float, float]:
        """See `Architecture.batch_norm`: by its rules, for CIFAR and for ImageNet."""
        return self.rules.cifar if self.stem == "cifar" else self.rules.imagenet

    @property
    def fan(self) -> Fan:
        """See `Architecture.fan`: slim's for all kernels."""
        return "fan_out"

    def describe(self) -> str:
        """See `Architecture.describe`: in the paper's letters, with the stem's channels where they are not slim's."""
        stem = "" if self.stem_multiplier is None else f" stem_multiplier={self.stem_multiplier:g}"
        return f"N={self.repeats} F={self.filters}{stem}"

    def walk(self, p: Primitives[T], image: T, *, auxiliary: bool = False) -> Outputs[T]:
        """See `Architecture.walk`.

        Cells whose output reaches no head are left out, as dead states are left out of a cell: all readings see the
        same weights, and each weight has a gradient.
        """
        cells, rules = positions(self), self.rules
        names = (*_stem_names(self), *(cell.name for cell in cells))
        last, auxiliary_at = len(names) - 1, names.index(_read_by_auxiliary(self))
        live = _live_features(self.genotype, cells, {last} | ({auxiliary_at} if auxiliary else set()))

        features = dict(enumerate(_stem(self, p, image)))
        for index, position in enumerate(cells):
            if position.number in live:
                read = _reads(self.genotype, position)
                features[position.number] = fold(
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
                    rules=rules,
                )
        auxiliary_logits = (_auxiliary_head(self, p, features[auxiliary_at]),) if auxiliary else ()
        x = features[last].value
        if rules.relu:
            x = p.relu(x, name="head.relu")
        x = p.global_avg_pool(x, name="head.pool")
        x = p.dropout(x, name="head.dropout")
        logits = p.dense(x, self.classes, name="head.dense")
        return Outputs(logits, auxiliary_logits, {names[number]: feature for number, feature in features.items()})

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
    """One cell's place. Features are numbered: first the stem's, one or two, then one for each cell.

    Attributes:
        number: of the feature that it makes.
        current: the feature that is h[i].
        previous: the feature that is h[i-1]; in the first cell, where there is none, `current` again.
        level: how often h[i] has been halved since the stem's first feature.
    """

    name: str
    kind: Literal["normal", "reduction"]
    filters: int
    number: int
    current: int
    previous: int
    level: int


def positions(network: CellNetwork) -> tuple[Position, ...]:
    """The cells in the order of the walk, with what each reads (slim's `_build_nasnet_base`)."""
    cells: list[Position] = []
    stem = len(_stem_names(network))

    def append(name: str, kind: Literal["normal", "reduction"], filters: int, previous: int) -> None:
        level = stem - 1 + sum(cell.kind == "reduction" for cell in cells)
        number = stem + len(cells)
        cells.append(Position(name, kind, filters, number, number - 1, previous, level))

    def before_newest() -> int:
        return max(0, stem + len(cells) - 2)

    if network.stem == "imagenet" and network.rules.stem_cells:
        append("stem_0", "reduction", network.filters // 4, before_newest())
        append("stem_1", "reduction", network.filters // 2, before_newest())
    filters = network.filters
    for index in range(3 * network.repeats):
        previous, reduces = before_newest(), index in (network.repeats, 2 * network.repeats)
        if reduces:
            filters *= 2
        if reduces and network.rules.between:
            append(f"reduction_{index // network.repeats - 1}", "reduction", filters, previous)
            if not network.skip_reduction_input:
                previous = before_newest()
        append(f"cell_{index}", "reduction" if reduces and not network.rules.between else "normal", filters, previous)
    return tuple(cells)


def _stem_names(network: CellNetwork) -> tuple[str, ...]:
    """What the stem gives, by name, the newest last."""
    return ("stem",) if network.stem == "cifar" or network.rules.stem_cells else ("stem_half", "stem")


def _read_by_auxiliary(network: CellNetwork) -> str:
    if network.rules.auxiliary == "reduction":
        return "reduction_1"
    return f"cell_{2 * network.repeats - (network.rules.auxiliary == 'before')}"


def _cell_at(genotype: CellGenotype, position: Position) -> Cell:
    return genotype.normal if position.kind == "normal" else genotype.reduction


def _reads(genotype: CellGenotype, position: Position) -> dict[int, int]:
    """The cell's live inputs: state 0 or 1 -> feature."""
    cell = _cell_at(genotype, position)
    return {state: (position.current, position.previous)[state] for state in (0, 1) if state in cell.live}


def _live_features(genotype: CellGenotype, cells: tuple[Position, ...], heads: set[int]) -> set[int]:
    live = set(heads)
    for index in reversed(range(len(cells))):
        if cells[index].number in live:
            live |= set(_reads(genotype, cells[index]).values())
    return live


def _stem(network: CellNetwork, p: Primitives[T], image: T) -> tuple[Feature[T], ...]:
    # No ReLU before or after; VALID in the ImageNet stem (slim).
    filters = network.stem_filters
    if network.stem == "cifar":
        x = p.conv(image, filters, (3, 3), name="stem.conv")
    elif network.rules.stem_cells:
        x = p.conv(image, filters, (3, 3), stride=(2, 2), padding="valid", name="stem.conv")
    else:
        return _three_convolutions(p, image, filters)
    return (Feature(p.batch_norm(x, name="stem.bn"), filters, 0),)


def _three_convolutions(p: Primitives[T], image: T, filters: int) -> tuple[Feature[T], ...]:
    """DARTS' ImageNet stem: an eighth of the size; the last two are the first cell's inputs (cnn/model.py)."""
    x, made = image, []
    for index, width in enumerate((filters // 2, filters, filters)):
        if index:
            x = p.relu(x, name=f"stem.relu_{index}")
        x = p.conv(x, width, (3, 3), stride=(2, 2), name=f"stem.conv_{index + 1}")
        x = p.batch_norm(x, name=f"stem.bn_{index + 1}")
        made.append(x)
    return Feature(made[1], filters, 0), Feature(made[2], filters, 1)


def _auxiliary_head(network: CellNetwork, p: Primitives[T], feature: Feature[T]) -> T:
    """The second classifier at two thirds of the depth (appendix A.7; sizes from slim's `_build_aux_head`).

    Its second convolution is as large as what the pooling leaves, so these weights, and no others, depend on the
    resolution; they are used in training only. DARTS has the same, behind a narrower stride on ImageNet, where a batch
    norm that its authors left out by mistake is here.
    """
    x = p.relu(feature.value, name="auxiliary.relu")
    stride = 2 if network.stem == "imagenet" and not network.rules.stem_cells else 3
    x = p.avg_pool(x, 5, stride=stride, padding="valid", name="auxiliary.pool")
    x = p.conv(x, 128, (1, 1), name="auxiliary.conv_1")
    x = p.batch_norm(x, name="auxiliary.bn_1")
    x = p.relu(x, name="auxiliary.relu_1")
    x = p.full_conv(x, 768, name="auxiliary.conv_2")
    x = p.batch_norm(x, name="auxiliary.bn_2")
    x = p.relu(x, name="auxiliary.relu_2")
    return p.dense(x, network.classes, name="auxiliary.dense")
