"""A fine-tuning, scored: what tune tries."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from cells.genotype import CellGenotype
from nasnet.data.config import DataConfig
from nasnet.estimators.estimator import Estimate
from nasnet.training.config import TrainingConfig, TransferConfig


@dataclasses.dataclass(frozen=True)
class FineTuning:
    """Fine-tunes in a worker process; the reward is the accuracy on the valid split.

    Attributes:
        source, weights: those of a `FromConfig`.
        data: what is trained on.
        training, transfer: the recipe.
        seed: of the training.
        checkpoints: folder from which an interrupted trial goes on.
    """

    source: str
    weights: str | None
    data: DataConfig
    training: TrainingConfig
    transfer: TransferConfig
    seed: int
    checkpoints: Path

    def estimate(self, genotype: CellGenotype, name: str) -> Estimate:
        """See `Estimator.estimate`. It needs neither argument: what is fine-tuned stands in `source`."""
        del genotype, name
        from nasnet.data.dataset import open_configured
        from nasnet.networks.saved import load_source
        from nasnet.networks.spec import transferred
        from nasnet.training.loop import Training

        spec, source = load_source(self.source, self.weights)
        data = open_configured(self.data)
        spec = transferred(spec, data, self.training.bn_momentum)
        training = Training(spec, data, self.training, seed=self.seed, transfer=self.transfer, source=source)
        training.run(self.checkpoints)
        return Estimate(training.evaluate(data.valid).accuracy)
