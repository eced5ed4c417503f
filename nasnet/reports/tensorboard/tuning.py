"""What TensorBoard shows of a tuning: each trial's hyperparameters beside its accuracy, under HParams."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf
from tensorboard.plugins.hparams import api


def write_tuned(folder: Path, values: Mapping[str, float], epochs: int, accuracy: float | None) -> None:
    """Writes the events of one trial that ended; those that are there already go.

    Args:
        folder: of the trial's events, its alone.
        values: its hyperparameters.
        epochs: for which it trained: the step of its accuracy.
        accuracy: on valid; None of a trial that failed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        api.hparams({**values, "epochs": epochs}, trial_id=folder.name)
        if accuracy is not None:
            tf.summary.scalar("valid/accuracy", accuracy, step=epochs)
    writer.close()
