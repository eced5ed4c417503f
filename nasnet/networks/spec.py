"""All that a network needs to be built again, as a value. No TensorFlow."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from cells.genotype import CellGenotype
from cells.walks.stack import Stack, Stem
from nasnet.data.dataset import DataSet, channel_statistics
from nasnet.networks.config import NetworkConfig

Shape = tuple[int, int, int]
Border = Literal["same", "zero"]


@dataclasses.dataclass(frozen=True)
class NetworkSpec:
    """All that a network needs to be built again, as a value. `genotype.json` of a run or an export holds one.

    Attributes:
        genotype: the cells.
        classes: names of the classes, in the order of the logits.
        image_shape: `(height, width, channels)`.
        mean, std: what the model takes from raw pixels (0 to 255) and divides by, one number a channel.
        repeats, filters, stem, stem_multiplier, skip_reduction_input: see `cells.walks.stack.Stack`.
        border, bn_momentum, bn_epsilon: see `network`.
    """

    genotype: CellGenotype
    classes: tuple[str, ...]
    image_shape: Shape
    mean: tuple[float, ...]
    std: tuple[float, ...]
    repeats: int
    filters: int
    stem: Stem = "cifar"
    stem_multiplier: float | None = None
    skip_reduction_input: bool = False
    border: Border = "same"
    bn_momentum: float | None = None
    bn_epsilon: float | None = None

    def __post_init__(self) -> None:
        height, width, channels = self.image_shape
        if min(height, width, channels) < 1:
            raise ValueError(f"image_shape must be three sizes of 1 or more, got {self.image_shape}")
        if not len(self.mean) == len(self.std) == channels or min(self.std) <= 0:
            raise ValueError(f"mean and std (above 0) are one number for each of {channels} channels, got {self.std}")
        if self.border not in ("same", "zero"):
            raise ValueError(f'border must be "same" or "zero", got {self.border!r}')
        _ = self.stack  # checks the rest

    @property
    def stack(self) -> Stack:
        """How its cells are stacked."""
        return Stack(
            self.repeats, self.filters, len(self.classes), self.stem, self.stem_multiplier, self.skip_reduction_input
        )

    def to_json(self) -> dict[str, Any]:
        """A genotype's JSON with the rest under "network"."""
        rest = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "genotype"}
        return {**self.genotype.to_json(), "network": rest}

    @classmethod
    def from_json(cls, value: Any) -> NetworkSpec:  # noqa: ANN401 - whatever a JSON file held
        """Reads what `to_json` wrote. Raises ValueError for anything else."""
        genotype = CellGenotype.from_json(value)
        try:
            rest: dict[str, Any] = {
                key: tuple(item) if isinstance(item, list) else item for key, item in value["network"].items()
            }
            return cls(genotype, **rest)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'its "network" is missing or malformed ({error})') from error


def spec_of(genotype: CellGenotype, data: DataSet, network: NetworkConfig, bn_momentum: float) -> NetworkSpec:
    """The network that a config describes, whitening by the statistics of the training split."""
    mean, std = channel_statistics(data.train)
    return NetworkSpec(
        genotype,
        classes=data.classes,
        image_shape=data.image_shape,
        mean=mean,
        std=std,
        repeats=network.repeats,
        filters=network.filters,
        stem=network.stem,
        bn_momentum=bn_momentum,
    )


def transferred(source: NetworkSpec, data: DataSet, bn_momentum: float) -> NetworkSpec:
    """The network that goes on from `source` on other pictures.

    It whitens as `source` does where that is possible: its weights have seen no other pictures.
    """
    mean, std = source.mean, source.std
    channels = data.image_shape[2]
    if channels != len(mean):
        alike = len(set(mean)) == len(set(std)) == 1
        mean, std = (mean[:1] * channels, std[:1] * channels) if alike else channel_statistics(data.train)
    return dataclasses.replace(
        source,
        classes=data.classes,
        image_shape=data.image_shape,
        mean=mean,
        std=std,
        bn_momentum=bn_momentum,
    )
