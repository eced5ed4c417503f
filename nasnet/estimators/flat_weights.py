"""A child's weights as two flat vectors: where each lies, what they begin as, what they are by name. No TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from cells.architecture import Fan
from cells.count import Counts, Weight

_CUT_DEVIATION = 0.87962566103423978  # of a normal cut off at two deviations, in units of the whole one's


class Layout:
    """Where each weight lies: trainable ones in one vector, moving statistics in another, both in the walk's order."""

    def __init__(self, counts: Counts, fan: Fan = "fan_out") -> None:
        """`fan` is the network's: what the variance of a kernel's first numbers is 2 over."""
        self._fan: Fan = fan
        self.trainable = tuple(weight for weight in counts.weights if weight.trainable)
        self.statistics = tuple(weight for weight in counts.weights if not weight.trainable)

    def fresh(self, seed: int, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
        """Initial vectors of weights and statistics, drawn as the Keras reading draws: variance scaling."""
        # One draw for all: normal, what lies beyond two deviations drawn again.
        rng = np.random.default_rng(seed)
        draws = rng.standard_normal(sum(weight.size for weight in self.trainable))
        while (far := np.abs(draws) > 2).any():
            draws[far] = rng.standard_normal(int(far.sum()))
        weights = draws * _each(self.trainable, self._deviation) + _each(self.trainable, _gamma)
        statistics = _each(self.statistics, lambda weight: float(weight.role == "moving_variance"))
        return weights.astype(dtype), statistics.astype(dtype)

    def _deviation(self, weight: Weight) -> float:
        if weight.role != "kernel":
            return 0.0
        # A depthwise kernel [size, size, channels, 1] has size * size both ways, as in slim and Keras' FAN_OUT; one of
        # a single filter, which looks like it, is taken for one in both readings.
        if self._fan == "fan_in" and weight.shape[-1] > 1:
            numbers = math.prod(weight.shape[:-1])
        else:
            numbers = math.prod(weight.shape[:-2]) * weight.shape[-1]
        return math.sqrt(2.0 / numbers) / _CUT_DEVIATION

    def decay_roots(self, weight_decay: float) -> np.ndarray:
        """The root of `weight_decay` for the numbers of the trainable vector that lie in kernels, 0 for the others."""
        root = math.sqrt(weight_decay)
        return _each(self.trainable, lambda weight: root if weight.role == "kernel" else 0.0)

    def named(self, weights: np.ndarray, statistics: np.ndarray) -> dict[str, np.ndarray]:
        """The vectors cut into the arrays that they hold, by name, as `keras_model.named_weights` has them."""
        parts: dict[str, np.ndarray] = {}
        for group, vector in ((self.trainable, weights), (self.statistics, statistics)):
            ends = np.cumsum([weight.size for weight in group])
            for weight, end in zip(group, ends, strict=True):
                parts[weight.name] = vector[end - weight.size : end].reshape(weight.shape)
        return parts

    def flat(self, values: Mapping[str, np.ndarray], dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
        """The two vectors of arrays by name: what `named` cuts. Raises ValueError for another network's."""
        shapes = {weight.name: tuple(weight.shape) for weight in self.trainable + self.statistics}
        if (found := {name: value.shape for name, value in values.items()}) != shapes:
            names = sorted(name for name in {**shapes, **found} if shapes.get(name) != found.get(name))
            raise ValueError(f"not the weights of this network: {names[0]} is {found.get(names[0], 'missing')}")
        trainable, statistics = (
            np.concatenate([np.zeros(0), *(values[weight.name].ravel() for weight in group)])
            for group in (self.trainable, self.statistics)
        )
        return trainable.astype(dtype), statistics.astype(dtype)


def shape_in_functions(weight: Weight) -> tuple[int, ...]:
    """The shape that `networks/readings/functions.py` takes a weight in: 1x1 kernels are matrices."""
    pointwise = weight.role == "kernel" and len(weight.shape) == 4 and weight.shape[:2] == (1, 1)
    return weight.shape[2:] if pointwise else weight.shape


def _each(weights: tuple[Weight, ...], value: Callable[[Weight], float]) -> np.ndarray:
    """A value of each weight, repeated for each of its numbers."""
    values, sizes = [value(weight) for weight in weights], [weight.size for weight in weights]
    return np.repeat(np.array(values, float), np.array(sizes, int))  # types that they keep where there are none


def _gamma(weight: Weight) -> float:
    return 1.0 if weight.role == "gamma" else 0.0
