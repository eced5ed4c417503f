"""A network of convolutions one after the other, with skip connections that concatenate (Zoph & Le 2017)."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from cells.architecture import BadField, Fan, Outputs
from cells.genotype.chain import ChainGenotype, ConvLayer
from cells.primitives import Feature, Padding, Pair, Primitives

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class ChainNetwork:
    """An `Architecture` of a chain (arXiv 1611.01578, section 3.3).

    The paper's three repairs: a layer that reads no layer reads the image; layers that nobody reads are concatenated
    for the classifier; what is concatenated is zero-padded to the largest height and the largest width among it. It
    does not say where the zeros go: here they go around, the odd row below and the odd column to the right, as SAME
    does. Nor does it say in which order a layer's parts come: here convolution, batch norm, ReLU (the order of Ioffe
    and Szegedy 2015), then the pooling; nor what the classifier is: here the average over all pixels and one dense
    layer, or with `genotype.flatten` dense layers on all pixels.

    Attributes:
        genotype: its layers.
        classes: size of the logits.
    """

    genotype: ChainGenotype
    classes: int

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise BadField("classes", self.classes, "must be 2 or more")

    @property
    def parts(self) -> tuple[str, ...]:
        """See `Architecture.parts`: "layer_0", ..., "dense_0", ..., "head"."""
        layers = (f"layer_{index}" for index in range(len(self.genotype.layers)))
        dense = (f"dense_{index}" for index in range(len(self.genotype.dense)))
        return (*layers, *dense, "head")

    @property
    def batch_norm(self) -> tuple[float, float]:
        """See `Architecture.batch_norm`. The paper names none; these are those of a network of cells for CIFAR."""
        return 0.9, 1e-5

    @property
    def fan(self) -> Fan:
        """See `Architecture.fan`: with batch norm as a network of cells, without it as those drawn by hand."""
        return "fan_out" if self.genotype.batch_norm else "fan_in"

    def describe(self) -> str:
        """See `Architecture.describe`."""
        layers = self.genotype.layers
        skips = sum(read < index - 1 for index, layer in enumerate(layers) for read in layer.inputs)
        filters = sorted({layer.filters for layer in layers})
        sizes = f"{filters[0]}" + (f" to {filters[-1]}" if len(filters) > 1 else "")
        return f"{len(layers)} layers of {sizes} filters, {skips} skip connections"

    def walk(self, p: Primitives[T], image: T, *, auxiliary: bool = False) -> Outputs[T]:
        """See `Architecture.walk`. Endpoints are the layers, as they come out of their pooling."""
        if auxiliary:
            raise ValueError("a chain has no auxiliary classifier")
        made: list[T] = []
        for index, layer in enumerate(self.genotype.layers):
            name = f"layer_{index}"
            x = _join(p, [made[read] for read in layer.inputs], layer.inputs, name) if layer.inputs else image
            made.append(_layer(p, x, layer, self.genotype.batch_norm, name))
        loose = self.genotype.loose
        x = _join(p, [made[read] for read in loose], loose, "head")
        if not self.genotype.flatten:
            x = p.global_avg_pool(x, name="head.pool")
        for index, units in enumerate(self.genotype.dense):
            x = p.relu(p.dense(x, units, name=f"dense_{index}.dense"), name=f"dense_{index}.relu")
            if index + 1 < len(self.genotype.dense):
                x = p.dropout(x, name=f"dense_{index}.dropout")
        x = p.dropout(x, name="head.dropout")
        logits = p.dense(x, self.classes, name="head.dense")
        features = {
            # A chain's layers have strides of their own for rows and for columns: they have no level.
            f"layer_{index}": Feature(value, layer.filters, 0)
            for index, (value, layer) in enumerate(zip(made, self.genotype.layers, strict=True))
        }
        return Outputs(logits, (), features)

    def to_json(self) -> dict[str, Any]:
        """See `Architecture.to_json`. A chain's sizes are in its genotype; readers know the classes from elsewhere."""
        return {**self.genotype.to_json(), "network": {}}

    @classmethod
    def from_json(cls, value: dict[str, Any], classes: int) -> ChainNetwork:
        """Reads what `to_json` wrote. Raises ValueError for anything else."""
        return cls(ChainGenotype.from_json(value), classes)


def centred(size: int, largest: int) -> Pair:
    """So many zeros before and after make `largest` pixels of `size`: the odd one comes after."""
    before = (largest - size) // 2
    return before, largest - size - before


def _join(p: Primitives[T], xs: list[T], layers: tuple[int, ...], name: str) -> T:
    """What layers made, concatenated in their order; the smaller ones with zeros around."""
    shapes = [p.shape(x) for x in xs]
    height, width = max(shape[0] for shape in shapes), max(shape[1] for shape in shapes)
    padded: list[T] = []
    for x, shape, layer in zip(xs, shapes, layers, strict=True):
        rows, columns = centred(shape[0], height), centred(shape[1], width)
        around = any(rows + columns)
        padded.append(p.pad(x, rows, columns, name=f"{name}.pad_{layer}") if around else x)
    return padded[0] if len(padded) == 1 else p.concat(padded, name=f"{name}.input")


def _layer(p: Primitives[T], x: T, layer: ConvLayer, batch_norm: bool, name: str) -> T:
    kernel, stride = (layer.height, layer.width), (layer.stride_height, layer.stride_width)
    padding: Padding = "same"
    if layer.padding != "same":
        padding, around = "valid", (layer.padding, layer.padding)
        x = p.pad(x, around, around, name=f"{name}.pad") if layer.padding else x
    x = p.conv(x, layer.filters, kernel, name=f"{name}.conv", stride=stride, padding=padding, bias=not batch_norm)
    if batch_norm:
        x = p.batch_norm(x, name=f"{name}.bn")
    x = p.relu(x, name=f"{name}.relu")
    if layer.pool is None:
        return x
    pool = p.max_pool if layer.pool.kind == "max" else p.avg_pool
    return pool(x, layer.pool.size, stride=layer.pool.stride, padding=layer.pool.padding, name=f"{name}.pool")
