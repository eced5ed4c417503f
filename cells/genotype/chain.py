"""A chain as a value: convolutions one after the other, each with the layers that it reads. JSON in and out."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from cells.genotype.genotype import VERSION, kind_of
from cells.primitives import Padding

CHAIN = "chain"
"""What the JSON of a chain says that it is."""


@dataclasses.dataclass(frozen=True)
class Pool:
    """Pooling by square windows.

    Attributes:
        kind: of each window the largest pixel, or the average of those that exist.
        size: pixels of a window's side.
        stride: pixels from one window to the next.
        padding: "same" pools a picture of n pixels a side to `ceil(n / stride)`, "valid" takes whole windows alone.
    """

    kind: Literal["max", "average"] = "max"
    size: int = 2
    stride: int = 2
    padding: Padding = "same"

    def __post_init__(self) -> None:
        if self.kind not in ("max", "average"):
            raise ValueError(f"a pooling's kind is {self.kind!r}; expected max or average")
        _check_whole("a pooling's size", self.size, 1)
        _check_whole("a pooling's stride", self.stride, 1)
        if self.padding not in ("same", "valid"):
            raise ValueError(f"a pooling's padding is {self.padding!r}; expected same or valid")


@dataclasses.dataclass(frozen=True)
class ConvLayer:
    """One convolution, what it reads, and the pooling after it.

    Attributes:
        height, width: of the filter, in pixels.
        stride_height, stride_width: in pixels.
        filters: channels that come out.
        pool: what follows it; what reads the layer reads the pooled one.
        inputs: the layers that it reads, by number and in order; `()` is the image.
        padding: "same" makes a picture of n pixels a side one of `ceil(n / stride)`; a number writes so many zeros
            around it and then takes whole windows alone.
    """

    height: int
    width: int
    stride_height: int = 1
    stride_width: int = 1
    filters: int = 24
    pool: Pool | None = None
    inputs: tuple[int, ...] = ()
    padding: Literal["same"] | int = "same"

    def __post_init__(self) -> None:
        for name in ("height", "width", "stride_height", "stride_width", "filters"):
            _check_whole(f"a layer's {name}", getattr(self, name), 1)
        for layer in self.inputs:
            _check_whole("a layer that a layer reads", layer, 0)
        if sorted(set(self.inputs)) != list(self.inputs):
            raise ValueError(f"a layer's inputs are different layers in ascending order, got {self.inputs}")
        if self.padding != "same":
            _check_whole('a layer\'s padding, where it is not "same",', self.padding, 0)


@dataclasses.dataclass(frozen=True)
class ChainGenotype:
    """Layers, numbered from 0, and what makes classes of them (Zoph & Le 2017, arXiv 1611.01578, section 3).

    Attributes:
        layers: each reads the image or earlier layers. Those that no layer reads go to the classifier.
        dense: units of fully connected layers before the classifier, each with ReLU.
        flatten: whether the classifier reads all pixels instead of their average; with `dense` it does.
        batch_norm: whether each convolution has batch norm; otherwise it has a bias.
    """

    layers: tuple[ConvLayer, ...]
    dense: tuple[int, ...] = ()
    flatten: bool = False
    batch_norm: bool = True

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("a chain needs at least one layer")
        for index, layer in enumerate(self.layers):
            if layer.inputs and layer.inputs[-1] >= index:
                rule = f"the image or layers 0 to {index - 1}" if index else "the image alone"
                raise ValueError(f"layer {index} can read {rule}, got layer {layer.inputs[-1]}")
        for units in self.dense:
            _check_whole("units of a dense layer", units, 1)
        if self.dense and not self.flatten:
            raise ValueError(f"dense layers {self.dense} read all pixels: expected flatten true, got {self.flatten!r}")
        for name in ("flatten", "batch_norm"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"a chain's {name} is {getattr(self, name)!r}; expected true or false")

    @property
    def kind(self) -> str:
        """See `Genotype.kind`."""
        return CHAIN

    @property
    def loose(self) -> tuple[int, ...]:
        """The layers that no layer reads: what goes to the classifier (section 3.3). Never empty."""
        read = {layer for reader in self.layers for layer in reader.inputs}
        return tuple(layer for layer in range(len(self.layers)) if layer not in read)

    def canonical(self) -> ChainGenotype:
        """The one of its twins that stands for all of them.

        Twins are the same network but for the names and the order of its weights: layers that do not read one another
        may be numbered otherwise. That moves channels where they are concatenated, and what reads those has weights of
        its own for each.
        """
        order = _canonical_order(self.layers)
        number = {old: new for new, old in enumerate(order)}
        layers = tuple(
            dataclasses.replace(
                self.layers[old], inputs=tuple(sorted(number[layer] for layer in self.layers[old].inputs))
            )
            for old in order
        )
        return dataclasses.replace(self, layers=layers)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` reads them back."""
        return {
            "version": VERSION,
            "kind": CHAIN,
            "layers": [{**dataclasses.asdict(layer), "inputs": list(layer.inputs)} for layer in self.layers],
            "dense": list(self.dense),
            "flatten": self.flatten,
            "batch_norm": self.batch_norm,
        }

    @classmethod
    def from_json(cls, value: Any) -> ChainGenotype:  # noqa: ANN401 - whatever a JSON file held
        """Reads what `to_json` wrote. Other keys beside it are left alone. Raises ValueError for anything else."""
        if (kind := kind_of(value)) != CHAIN:
            raise ValueError(f'a genotype of "kind": {kind!r}; expected {CHAIN!r}')
        for name in ("layers", "dense"):
            if not isinstance(value.get(name), list):
                raise ValueError(f"the chain genotype's {name} are {value.get(name)!r}; expected a list")
        layers = tuple(_layer_from_json(index, layer) for index, layer in enumerate(value["layers"]))
        try:
            return cls(layers, tuple(value["dense"]), value["flatten"], value["batch_norm"])
        except KeyError as error:
            raise ValueError(f"the chain genotype has no {error}") from error
        except ValueError as error:
            raise ValueError(f"the chain genotype is malformed: {error}") from error


def _layer_from_json(index: int, value: Any) -> ConvLayer:  # noqa: ANN401 - whatever a JSON file held
    try:
        if missing := [field.name for field in dataclasses.fields(ConvLayer) if field.name not in value]:
            raise TypeError(f"it has no {missing[0]}")
        pool = None if value["pool"] is None else Pool(**value["pool"])
        if not isinstance(value["inputs"], list):
            raise TypeError(f"inputs are {value['inputs']!r}; expected a list of layers")
        return ConvLayer(**{**value, "pool": pool, "inputs": tuple(value["inputs"])})
    except (TypeError, ValueError) as error:
        words = str(error).replace("ConvLayer.__init__() ", "").replace("Pool.__init__() ", "")
        raise ValueError(f"layer {index} of the chain genotype is malformed: {words}") from error


def _check_whole(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} is {value!r}; expected a whole number, {least} or more")


def _canonical_order(layers: tuple[ConvLayer, ...]) -> list[int]:
    """The layers, each after those that it reads, in an order that is the same for all twins.

    The lowest rank that is ready comes next, and the rest is ranked anew, as in a cell (cells/genotype.py).
    """
    order: list[int] = []
    while len(order) < len(layers):
        rank = _ranks(layers, order)
        ready = [i for i in range(len(layers)) if i not in order and set(layers[i].inputs) <= set(order)]
        order.append(min(ready, key=rank.__getitem__))
    return order


def _ranks(layers: tuple[ConvLayer, ...], order: list[int]) -> list[int]:
    """A rank for each layer, the same for all twins; the places of those in `order` are given.

    It is refined by what a layer reads and who reads it until nothing more can be told apart (Weisfeiler, Leman).
    """
    own = [repr(dataclasses.replace(layer, inputs=())) for layer in layers]
    readers = [[i for i, reader in enumerate(layers) if layer in reader.inputs] for layer in range(len(layers))]
    rank = [order.index(i) if i in order else len(layers) for i in range(len(layers))]
    while True:
        seen = [
            (rank[i], own[i], sorted(rank[j] for j in layer.inputs), sorted(rank[j] for j in readers[i]))
            for i, layer in enumerate(layers)
        ]
        distinct = sorted(seen)
        refined = [distinct.index(value) for value in seen]
        if len(set(refined)) == len(set(rank)):
            return refined
        rank = refined
