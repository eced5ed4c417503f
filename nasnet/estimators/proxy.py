"""How good is a network? An estimate that costs less than training it for real.

TensorFlow is imported when the first estimate is made: an estimator travels to worker processes, where threads and GPUs
must be set before.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Literal

import numpy as np

from cells.architecture import Architecture
from cells.genotype.genotype import Genotype
from nasnet.data.dataset import DataSet
from nasnet.estimators.config import REESTIMATED_ON, ChildConfig
from nasnet.estimators.estimator import Estimate, Timing, TrainedChild
from nasnet.networks.config import NetworkConfig
from nasnet.networks.spec import NetworkSpec, architecture_of
from nasnet.runtime.seeds import name_seed
from nasnet.training.config import TrainingConfig
from nasnet.training.progress import Progress


@dataclasses.dataclass(frozen=True)
class ProxyEstimator:
    """Trains a child, a small network of the genotype, for a few steps; its reward is the accuracy on the valid split.

    NASNet, appendix A.1. With `reward="best_of_last_5"` the best accuracy at the end of the last five epochs (Zoph & Le
    2017, which also cubes it; here the strategy scales rewards), and the weights of then. Batch norm is that of the
    winner on the same stem.

    With `statistics="reestimated"` a child is scored with batch norm's statistics of a batch of training pictures for
    the weights that it ends with. Differs from the paper, whose children train so long that the moving ones have
    settled: after tens of steps they are those of weights that are gone.
    """

    data: DataSet
    network: NetworkConfig
    training: TrainingConfig
    seed: int
    child: Literal["functions", "keras"] = "functions"
    reward: Literal["last", "best_of_last_5"] = "last"
    statistics: Literal["moving", "reestimated"] = "moving"

    def estimate(self, genotype: Genotype, name: str) -> Estimate:
        """See `Estimator.estimate`."""
        architecture = architecture_of(genotype, self.network, len(self.data.classes), self.data.image_shape)
        return self.train(architecture, name_seed(self.seed, name))

    def train(self, architecture: Architecture, seed: int) -> Estimate:
        """Scores any network as it scores a genotype's, from this seed.

        Raises:
            DivergedError: if the training's loss is no longer finite.
        """
        spec = NetworkSpec.on(self.data, architecture, bn_momentum=self.training.bn_momentum)
        return self._keras(spec, seed) if self.child == "keras" else self.child_of(spec, seed)

    def child_of(self, spec: NetworkSpec, seed: int, begin: Mapping[str, np.ndarray] | None = None) -> Estimate:
        """Trains and scores a child of functions, from weights by name or, where there are none, fresh ones.

        Raises:
            DivergedError: if the training's loss is no longer finite.
        """
        from nasnet.estimators.child import Child

        child = Child(spec, self.data, ChildConfig.of(self.training, self.data), seed=seed)
        if begin is not None:
            child.begin(begin)
        result = child.run(self._scored_epochs, reestimated=self.statistics == "reestimated")
        return Estimate(
            max(score.accuracy for score in result.scores),
            Timing(result.seconds_tracing, result.seconds_training, result.seconds_scoring),
            TrainedChild(spec.to_json(), child.named_weights()),
        )

    @property
    def _scored_epochs(self) -> int:
        return 5 if self.reward == "best_of_last_5" else 1

    def _keras(self, spec: NetworkSpec, seed: int) -> Estimate:
        from nasnet.networks.keras_model import named_weights
        from nasnet.training.config import ReplicaConfig
        from nasnet.training.loop import Training
        from nasnet.training.metrics import evaluate
        from nasnet.training.statistics import reestimate

        start = time.monotonic()
        training = Training(spec, self.data, self.training, seed=seed)
        built, scoring = time.monotonic(), 0.0
        best: tuple[float, dict[str, np.ndarray]] | None = None

        def score(progress: Progress) -> None:
            """At the epochs' ends at which a child of functions is scored, and by the same rule for the best."""
            nonlocal best, scoring
            epochs_left = (training.total_steps - progress.step) / training.steps_per_epoch
            if not progress.ended or epochs_left > self._scored_epochs - 1:
                return
            before = time.monotonic()
            model = training.inference_model()
            if self.statistics == "reestimated":
                reestimate(model, self.data.train.images, batch_size=REESTIMATED_ON, most=REESTIMATED_ON)
            accuracy = evaluate(model, self.data.valid).checked().accuracy
            if best is None or accuracy >= best[0]:
                best = accuracy, {name: variable.numpy() for name, variable in named_weights(model).items()}
            scoring += time.monotonic() - before

        training.run(report=score, options=ReplicaConfig(valid_epochs=0))
        assert best is not None
        steps = time.monotonic() - built - scoring
        return Estimate(best[0], Timing(built - start, steps, scoring), TrainedChild(spec.to_json(), best[1]))


@dataclasses.dataclass(frozen=True)
class BaselineEstimator:
    """Trains a whole network as `proxy` trains its children, always from the same seed.

    So networks of one such estimator begin alike, and see the same pictures in the same order, augmented alike.
    """

    proxy: ProxyEstimator
    seed: int

    def estimate(self, architecture: Architecture, name: str) -> Estimate:
        """See `Estimator.estimate`. The name says nothing to it."""
        del name
        return self.proxy.train(architecture, self.seed)


@dataclasses.dataclass(frozen=True)
class RungEstimator:
    """Trains a child on, from its weights and moving statistics, for the steps that `proxy` says, and scores it anew.

    It is a training of its own: its learning rate falls by a cosine from the first of these steps to the last, without
    a warm-up, which is for fresh weights; velocities begin at zero; pictures come in an order of its own.
    """

    proxy: ProxyEstimator

    def estimate(self, child: TrainedChild, name: str) -> Estimate:
        """See `Estimator.estimate`."""
        training = dataclasses.replace(self.proxy.training, warmup_epochs=0.0)
        proxy = dataclasses.replace(self.proxy, training=training)
        return proxy.child_of(NetworkSpec.from_json(child.spec), name_seed(proxy.seed, name), child.weights)
