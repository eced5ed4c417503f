"""A fine-tuning, scored: what tune tries."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from nasnet.data.config import DataConfig
from nasnet.estimators.estimator import Estimate, Timing
from nasnet.estimators.training import step_seconds
from nasnet.training.config import TrainingConfig, TransferConfig
from nasnet.training.progress import Progress


@dataclasses.dataclass(frozen=True)
class FineTuning:
    """Fine-tunes in a worker process; the reward is the accuracy on the valid split, with re-estimated statistics.

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

    def estimate(self, scored: None, name: str) -> Estimate:
        """See `Estimator.estimate`. It needs no argument: what is fine-tuned stands in `source`."""
        del scored, name
        from nasnet.data.dataset import open_configured
        from nasnet.networks.saved import load_source
        from nasnet.networks.spec import transferred
        from nasnet.training.loop import Training
        from nasnet.training.metrics import evaluate

        start = time.monotonic()
        spec, source = load_source(self.source, self.weights, fresh_head=True)
        data = open_configured(self.data)
        spec = transferred(spec, data, self.training.bn_momentum)
        training = Training(spec, data, self.training, seed=self.seed, transfer=self.transfer, source=source)
        shown: list[Progress] = []
        training.run(self.checkpoints, shown.append)
        steps = step_seconds(training, shown) or 0.0
        # A trial may be too short for its moving statistics to come after its weights; those of the end are made anew.
        accuracy = evaluate(training.inference_model(reestimated=True), data.valid).checked().accuracy
        return Estimate(accuracy, Timing(steps=steps, other=max(0.0, time.monotonic() - start - steps)))
