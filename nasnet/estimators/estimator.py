"""How good is an architecture? What an answer is, and what gives one. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from cells.genotype import CellGenotype


@dataclasses.dataclass(frozen=True)
class TrainedChild:
    """A child after its training: `NetworkSpec.to_json()`, and its weights by name (`network.named_weights`)."""

    spec: Mapping[str, Any]
    weights: Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A reward, higher is better; what its seconds went to; and the child, where there is one to keep."""

    reward: float
    seconds: Mapping[str, float]
    child: TrainedChild | None = None


class Estimator(Protocol):
    """Scores genotypes."""

    def estimate(self, genotype: CellGenotype, name: str) -> Estimate:
        """Scores a genotype; `name` tells its random numbers apart. The same arguments give the same reward.

        Raises:
            DivergedError: if the training's loss is no longer finite.
        """
        ...
