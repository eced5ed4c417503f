"""All that a network needs to be built again, as a value. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from cells.architecture import Architecture, BadField
from cells.genotype.cell import CellGenotype
from cells.genotype.chain import CHAIN, ChainGenotype
from cells.genotype.genotype import KIND, Genotype, kind_of
from cells.walks.chain import ChainNetwork
from cells.walks.stack import CellNetwork
from cells.zoo.networks import NETWORKS, hand_made_from_json
from nasnet.data.dataset import DataSet
from nasnet.data.likeness import Like
from nasnet.data.pictures import DEFAULT_PREPARATION, MOST_PIXELS, Preparation
from nasnet.networks.config import NetworkConfig
from nasnet.networks.matching import TOLERANCE, matched
from nasnet.runtime.errors import shortened

Shape = tuple[int, int, int]
Border = Literal["same", "zero"]

READERS: dict[str, Callable[[dict[str, Any], int], Architecture]] = {
    KIND: CellNetwork.from_json,
    CHAIN: ChainNetwork.from_json,
    **dict.fromkeys(NETWORKS, hand_made_from_json),
}
"""The "kind" of an architecture's JSON -> what reads it, given the number of classes."""


@dataclasses.dataclass(frozen=True)
class NetworkSpec:
    """An architecture, and what it is for. `genotype.json` of a run or an export holds one.

    Attributes:
        architecture: the network.
        classes: names of the classes, in the order of the logits.
        image_shape: `(height, width, channels)`. It decides the first convolution's input channels and the auxiliary
            head's size, and no other weight.
        mean, std: what the model takes from raw pixels (0 to 255) and divides by, one number a channel.
        border: what strided pooling sees beyond the picture: "same" is TensorFlow's SAME (nothing), "zero" zeros, as in
            keras.applications, whose weights were trained with them.
        bn_momentum, bn_epsilon: of batch norm; None means those that the architecture was published with.
        preparation: how files became the pictures that it was trained on; an older genotype.json, without it, means the
            default.
    """

    architecture: Architecture
    classes: tuple[str, ...]
    image_shape: Shape
    mean: tuple[float, ...]
    std: tuple[float, ...]
    border: Border = "same"
    bn_momentum: float | None = None
    bn_epsilon: float | None = None
    preparation: Preparation = DEFAULT_PREPARATION

    def __post_init__(self) -> None:
        height, width, channels = self.image_shape
        if min(height, width, channels) < 1:
            raise ValueError(f"image_shape must be three sizes of 1 or more, got {self.image_shape}")
        if not len(self.mean) == len(self.std) == channels or min(self.std) <= 0:
            raise ValueError(f"mean and std (above 0) are one number for each of {channels} channels, got {self.std}")
        if self.border not in ("same", "zero"):
            raise ValueError(f'border must be "same" or "zero", got {self.border!r}')
        if self.architecture.classes != len(self.classes):
            raise ValueError(f"{len(self.classes)} classes for a network of {self.architecture.classes}")

    @classmethod
    def on(
        cls,
        data: DataSet,
        architecture: Architecture,
        *,
        bn_momentum: float | None = None,
        bn_epsilon: float | None = None,
    ) -> NetworkSpec:
        """A network for a data set, whitening by the statistics of its training split."""
        mean, std = data.statistics
        return cls(
            architecture,
            classes=data.classes,
            image_shape=data.image_shape,
            mean=mean,
            std=std,
            bn_momentum=bn_momentum,
            bn_epsilon=bn_epsilon,
            preparation=data.preparation,
        )

    @property
    def like(self) -> Like:
        """What pictures are made to fit to be this network's: an argument of `open_dataset`."""
        return Like(self.classes, self.image_shape, self.preparation)

    @property
    def batch_norm(self) -> tuple[float, float]:
        """Momentum and epsilon of batch norm."""
        momentum, epsilon = self.architecture.batch_norm
        return (
            momentum if self.bn_momentum is None else self.bn_momentum,
            epsilon if self.bn_epsilon is None else self.bn_epsilon,
        )

    def to_json(self) -> dict[str, Any]:
        """The architecture's JSON, with the rest beside its sizes under "network"."""
        architecture = self.architecture.to_json()
        rest = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "architecture"
        }
        rest["preparation"] = dataclasses.asdict(self.preparation)
        return {**architecture, "network": {**architecture["network"], **rest}}

    @classmethod
    def from_json(cls, value: Any) -> NetworkSpec:  # noqa: ANN401 - whatever a JSON file held
        """Reads what `to_json` wrote, also before it said its "kind". Raises ValueError for anything else."""
        if (kind := kind_of(value)) not in READERS:
            raise ValueError(f'"kind" is {kind!r}; expected {", ".join(READERS)}')
        try:
            classes = tuple(value["network"]["classes"])
            architecture = READERS[kind](value, len(classes))
            rest: dict[str, Any] = {
                key: tuple(item) if isinstance(item, list) else item
                for key, item in value["network"].items()
                if key not in architecture.to_json()["network"]
            }
            _check_shape(rest["image_shape"])
            if "preparation" in rest:
                rest["preparation"] = Preparation(**rest["preparation"])
            return cls(architecture, **rest)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'its "network" is missing or malformed ({error})') from error


def per_channel(value: float | Sequence[float], channels: int) -> tuple[float, ...]:
    """One number for each channel, of one for all or of so many; Python's, NumPy's or an array's."""
    numbers = np.ravel(np.asarray(value, float)).tolist()
    return tuple(numbers * channels if np.ndim(value) == 0 else numbers)


@runtime_checkable
class SaysItsNetwork(Protocol):
    """A genotype of a program's own: it says which network it is, and no setting but `parameters` has a part in it."""

    def architecture(self, classes: int, image_shape: Shape) -> Architecture:
        """The network for so many classes and pictures of a shape. Raises ValueError where it cannot be."""
        ...


def _check_shape(shape: Any) -> None:  # noqa: ANN401 - whatever a JSON file held
    """Raises ValueError for what is no shape of pictures that could be decoded."""
    whole = isinstance(shape, tuple) and len(shape) == 3 and all(type(side) is int for side in shape)
    if not whole or max(shape) > MOST_PIXELS or abs(shape[0] * shape[1]) > MOST_PIXELS:
        rule = f"expected height, width and channels, of at most {MOST_PIXELS} pixels"
        raise ValueError(f"image_shape is {shortened(shape)}; {rule}")


def architecture_of(genotype: Genotype, network: NetworkConfig, classes: int, image_shape: Shape) -> Architecture:
    """The network of this genotype that a config describes, for pictures of a shape.

    Raises:
        ValueError: for sizes that cannot be built, and as `of_size`.
    """
    if isinstance(genotype, CellGenotype):
        filters = network.filters if network.parameters is None else _LOOKED_FOR_FROM
        sizes = network.repeats, filters, classes, network.stem, network.stem_multiplier, network.skip_reduction_input
        return of_size(CellNetwork(genotype, *sizes), network, image_shape)
    if isinstance(genotype, ChainGenotype):
        return of_size(ChainNetwork(genotype, classes), network, image_shape)
    if isinstance(genotype, SaysItsNetwork):
        return of_size(genotype.architecture(classes, image_shape), network, image_shape)
    raise ValueError(f"no network is known for a genotype of kind {genotype.kind!r}")


_LOOKED_FOR_FROM = 16
"""Filters that a network of some parameters is looked for from: it does not hang on them."""


def of_size(architecture: Architecture, network: NetworkConfig, image_shape: Shape) -> Architecture:
    """The network with as many trainable parameters as the config asks for; as it is where it asks for none.

    Its filters decide, and where they come in too coarse steps and the config says none the stem's channels; of a chain
    or a network made by hand its width does. Its repeats stay.

    Raises:
        BadField: if it cannot come within `matching.TOLERANCE`.
        ValueError: if it cannot be for such pictures.
    """
    if network.parameters is None:
        return architecture
    changing = ("filters", "stem_multiplier") if network.stem_multiplier is None else ("filters",)
    match = matched(architecture, image_shape, network.parameters, "params", changing)
    if not match.within:
        by = [f"{name} {value:g}" for name, value in match.changed.items()]
        how = ", ".join([f"{abs(match.off):.1%} {'above' if match.off > 0 else 'below'}", *by])
        of_it = f"of a size that this network can have; the nearest is {match.size:,} ({how})"
        raise BadField("parameters", network.parameters, f"must be within {TOLERANCE:.0%} {of_it}")
    return match.architecture


def transferred(source: NetworkSpec, data: DataSet, bn_momentum: float) -> NetworkSpec:
    """The network that goes on from `source` on other pictures.

    It whitens as `source` does where that is possible: its weights have seen no other pictures.
    """
    mean, std = source.mean, source.std
    channels = data.image_shape[2]
    if channels != len(mean):
        alike = len(set(mean)) == len(set(std)) == 1
        mean, std = (mean[:1] * channels, std[:1] * channels) if alike else data.statistics
    return dataclasses.replace(
        source,
        architecture=dataclasses.replace(source.architecture, classes=len(data.classes)),
        classes=data.classes,
        image_shape=data.image_shape,
        mean=mean,
        std=std,
        bn_momentum=bn_momentum,
        preparation=data.preparation,
    )
