"""Which genotypes are too large or too slow to be tried, and what a latency makes of a reward. No TensorFlow.

Both are found from the genotype, before anything is built.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from cells.architecture import Architecture
from cells.count import Counts, count
from cells.genotype.genotype import Genotype
from nasnet.execution.memory import weights_memory
from nasnet.trials.config import LatencyConfig, LimitConfig


@dataclasses.dataclass(frozen=True)
class Latency:
    """What is asked of a child's latency, and what tells it: milliseconds of one picture, of a genotype."""

    config: LatencyConfig
    milliseconds: Callable[[Genotype], float]

    def factor(self, genotype: Genotype) -> float:
        """What a child's accuracy is multiplied by, to be its reward."""
        return self.config.factor(self.milliseconds(genotype))

    def worth(self, genotype: Genotype, accuracy: float) -> tuple[float, Mapping[str, float]]:
        """The reward of a child of this accuracy, and what lies behind it: that, and its latency in milliseconds."""
        milliseconds = self.milliseconds(genotype)
        figures = {"accuracy": accuracy, "latency_ms": milliseconds}
        return accuracy * self.config.factor(milliseconds), figures

    def why_invalid(self, genotype: Genotype) -> str | None:
        """See `Limits.why_invalid`."""
        if not self.config.is_hard:
            return None
        assert self.config.latency_ms is not None
        milliseconds, most = self.milliseconds(genotype), self.config.latency_ms
        if milliseconds <= most:
            return None
        # As many digits as it takes to be seen to be over it; with 17 a number is itself.
        shown = next(text for digits in range(3, 18) if float(text := f"{milliseconds:.{digits}g}") > most)
        return f"{shown} ms a picture, over latency_ms={most:g}"


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a child may be.

    Attributes:
        config: the limits.
        network: a child's network, which they are counted for; raises ValueError for one of no such size.
        image_shape: of the pictures.
        batch_size: of a child's training.
        latency: what tells its latency, where one is asked for.
        exported: the network that it would be exported as, which has to be one, too.
    """

    config: LimitConfig
    network: Callable[[Genotype], Architecture]
    image_shape: tuple[int, int, int]
    batch_size: int
    latency: Latency | None = None
    exported: Callable[[Genotype], object] = lambda _: None

    def memory(self, genotype: Genotype) -> int:
        """Bytes of a training step, counted; 0 for what cannot be built."""
        try:
            return self._memory(count(self.network(genotype), self.image_shape))
        except ValueError:
            return 0

    def has_statistics(self, genotype: Genotype) -> bool:
        """Whether the network has batch norm, whose moving statistics have to settle; False if it cannot be built."""
        try:
            return not all(weight.trainable for weight in count(self.network(genotype), self.image_shape).weights)
        except ValueError:
            return False

    def costs(self, genotype: Genotype) -> dict[str, int]:
        """The child's trainable parameters and the mult-adds of a picture; nothing of what cannot be built."""
        try:
            counts = count(self.network(genotype), self.image_shape)
        except ValueError:
            return {}
        return {"parameters": counts.parameters, "mult_adds": counts.mult_adds}

    def _memory(self, counts: Counts) -> int:
        # Weights, their gradients and their momentum, and what the backward pass needs of every picture.
        return weights_memory(counts.parameters) + self.batch_size * counts.activation_bytes

    def why_invalid(self, genotype: Genotype) -> str | None:
        """One line that says which limit the child is over and by how much; None if it may be tried."""
        return self._too_large(genotype) or (None if self.latency is None else self.latency.why_invalid(genotype))

    def _too_large(self, genotype: Genotype) -> str | None:
        config = self.config
        limited = any(limit is not None for limit in (config.max_params, config.max_mult_adds, config.max_memory))
        try:
            network = self.network(genotype)
            self.exported(genotype)
            if not limited:
                return None
            counts = count(network, self.image_shape)
        except ValueError as error:
            return str(error)
        memory = self._memory(counts) / 2**20
        for name, what, value in (
            ("max_params", "parameters", counts.parameters),
            ("max_mult_adds", "mult-adds a picture", counts.mult_adds),
            ("max_memory", "MiB in a training step", memory),
        ):
            limit = getattr(config, name)
            if limit is not None and value > limit:
                return f"{value:,.0f} {what}, over {name}={limit}"
        return None
