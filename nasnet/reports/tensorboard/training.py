"""What TensorBoard shows of a training: scalars, in a folder of events."""

from __future__ import annotations

import time
from pathlib import Path

import tensorflow as tf

from nasnet.training.progress import Progress

_WRITTEN_SECONDS = 10.0


class TrainingScalars:
    """Loss, accuracy, rate and speed of a training, each over its steps."""

    def __init__(self, folder: Path) -> None:
        """`folder` is that of the events; what `tensorboard --logdir` takes."""
        self._writer = tf.summary.create_file_writer(str(folder))
        self._written = time.monotonic()

    def write(self, progress: Progress) -> None:
        """Writes where it stands, at the end of each epoch and every few seconds meanwhile."""
        if not progress.ended and time.monotonic() - self._written <= _WRITTEN_SECONDS:
            return
        values = {
            "train/loss": progress.loss,
            "train/accuracy": progress.accuracy,
            "train/learning_rate": progress.learning_rate,
        }
        if progress.images_per_second is not None:
            values["train/images_per_second"] = progress.images_per_second
        if progress.valid:
            values |= {"valid/loss": progress.valid.loss, "valid/accuracy": progress.valid.accuracy}
        with self._writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=progress.step)
        self._writer.flush()
        self._written = time.monotonic()
