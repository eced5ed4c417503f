"""One network trained as mode train does it, and scored: what compare runs."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nasnet.data.config import DataConfig
from nasnet.estimators.estimator import Estimate, Timing, TrainedChild
from nasnet.networks.spec import NetworkSpec
from nasnet.training.config import ReplicaConfig, TrainingConfig
from nasnet.training.progress import Progress

if TYPE_CHECKING:
    import keras

    from nasnet.training.loop import Training

_CHECKPOINTS = 10  # of a training, beside those at the ends of epochs
_MEASURED_SECONDS = 0.5  # that pictures go through the network for
_LEAST_ROUNDS = 3


@dataclasses.dataclass(frozen=True)
class WholeTraining:
    """Trains in a worker process, from its newest checkpoint if there is one; the reward is the accuracy on valid.

    The child that comes with it is the trained network. Its figures are `loss` (on valid, nats), `train_seconds` (its
    steps at the rate that they ran at, without what comes before the second; missing where there was no step left to
    take), `pictures_per_second` (inference, `batch_size` at a time) and `pictures` of the valid split.

    Attributes:
        spec: the network.
        data: what it is trained on.
        training: the recipe.
        seed: of the training: with the same one, networks see the same pictures in the same order, augmented alike.
        checkpoints: folder from which an interrupted training goes on.
        batch_size: pictures that go through the trained network at a time when its speed is measured.
    """

    spec: NetworkSpec
    data: DataConfig
    training: TrainingConfig
    seed: int
    checkpoints: Path
    batch_size: int

    def estimate(self, scored: None, name: str) -> Estimate:
        """See `Estimator.estimate`. It needs no argument: what is trained stands in `spec`."""
        del scored, name
        from nasnet.data.dataset import open_configured
        from nasnet.networks.keras_model import named_weights
        from nasnet.training.loop import Training
        from nasnet.training.metrics import evaluate

        start = time.monotonic()
        data = open_configured(self.data)
        training = Training(self.spec, data, self.training, seed=self.seed)
        shown: list[Progress] = []
        options = ReplicaConfig(
            valid_epochs=0, keep_checkpoints=1, checkpoint_steps=-(-training.total_steps // _CHECKPOINTS)
        )
        training.run(self.checkpoints, shown.append, options)
        seconds = step_seconds(training, shown)
        model = training.inference_model()
        score = evaluate(model, data.valid).checked()
        speed = pictures_per_second(model, data.valid.images, self.batch_size)
        figures = {"loss": score.loss, "pictures": score.pictures, "pictures_per_second": speed}
        if seconds is not None:
            figures["train_seconds"] = seconds
        steps = seconds or 0.0
        child = TrainedChild(
            self.spec.to_json(), {name: np.asarray(value) for name, value in named_weights(model).items()}
        )
        timing = Timing(steps=steps, other=max(0.0, time.monotonic() - start - steps))
        return Estimate(score.accuracy, timing, child, figures)


def step_seconds(training: Training, shown: Sequence[Progress]) -> float | None:
    """What the steps of a training take at the rate that was shown last; None where fewer than two were left to take.

    The rate leaves out the first step, which is traced, and what comes before it.
    """
    rate = shown[-1].images_per_second if shown else None
    return None if rate is None else training.total_steps * training.batch_size / rate


def pictures_per_second(model: keras.Model, images: np.ndarray, batch_size: int) -> float:
    """How many pictures a second an inference model takes, from raw pixels to logits, in batches of a size.

    The median over batches, for half a second; the first two, one of which is traced, do not count.

    Args:
        model: the network.
        images: uint8 `[N, height, width, channels]`; where there are fewer than a batch, they are repeated.
        batch_size: pictures a batch.
    """
    import tensorflow as tf

    step = tf.function(lambda batch: model(tf.cast(batch, tf.float32), training=False), autograph=False)
    batch = tf.constant(images[np.arange(batch_size) % len(images)])
    seconds: list[float] = []
    for _ in range(2):
        step(batch).numpy()
    while len(seconds) < _LEAST_ROUNDS or sum(seconds) < _MEASURED_SECONDS:
        start = time.perf_counter()
        step(batch).numpy()
        seconds.append(time.perf_counter() - start)
    return batch_size / float(np.median(seconds))
