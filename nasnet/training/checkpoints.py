"""Checkpoints of a training, written beside and renamed by TensorFlow; the chief's serve all processes.

TensorFlow finds a value in a checkpoint by its way through the objects that hold it (`model/...`, `optimizers/0/...`):
what a training passes to `resume`, and under which names, is the format of its files.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import tensorflow as tf

from nasnet.runtime.errors import RunError, UserError, first_line
from nasnet.training.replicas import Replicas

Save = Callable[[int], None]
_DAMAGED = (tf.errors.OpError, ValueError, AssertionError, LookupError, TypeError, AttributeError, RuntimeError)
"""What TensorFlow raises of a damaged checkpoint."""


def resume(folder: Path | None, keep: int, replicas: Replicas, *, step: tf.Variable, **tracked: Any) -> Save:  # noqa: ANN401
    """Goes to the newest checkpoint, if there is one.

    Args:
        folder: that they are in; None restores and saves nothing. The processes of several machines must all see it.
        keep: how many stay there.
        replicas: whose processes must all go on from the same step. The chief alone writes, for all hold the same.
        step: the number of the last step.
        tracked: what else is restored and saved, as in `tf.train.Checkpoint`.

    Returns:
        What writes a checkpoint; it is given the number of the step, which the file is named after, and raises RunError
        if it cannot.

    Raises:
        UserError: if the newest checkpoint cannot be read, or the processes see different ones.
    """
    if folder is None:
        return lambda _: None
    checkpoint = tf.train.Checkpoint(step=step, **tracked)
    try:
        manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=keep)
    except _DAMAGED as error:
        raise UserError(
            f"{folder / 'checkpoint'}: not the list of this run's checkpoints ({first_line(error)}); delete the folder"
        ) from error
    if manager.latest_checkpoint:
        # Consumed: each value in the file has its place here, and each variable here its value. Everything is built
        # before, so none may be left to wait for its variable.
        try:
            checkpoint.restore(manager.latest_checkpoint).assert_consumed()
        except _DAMAGED as error:
            raise UserError(
                f"{manager.latest_checkpoint}: {_why_not(manager.latest_checkpoint, tracked, error)}"
            ) from error
    # A folder that only some of the machines see would give some of them another start.
    replicas.must_agree("the step of their newest checkpoint", str(int(step.numpy())))

    def save(at_step: int) -> None:
        # The chief alone: the others would write the same into the same files. A kill while it writes leaves the one
        # before as the newest, for the file that names it is renamed last.
        if replicas.chief:
            try:
                manager.save(at_step)
            except (tf.errors.OpError, OSError) as error:
                raise RunError(f"{folder}: a checkpoint cannot be written ({first_line(error)})") from error

    return save


def _why_not(checkpoint: str, tracked: Collection[str], error: Exception) -> str:
    with contextlib.suppress(*_DAMAGED):
        saved = {name.split("/")[0] for name, _ in tf.train.list_variables(checkpoint)}
        if "momentum" in tracked and "optimizers" in saved:
            return (
                "of a training begun when its momentum had another form (each gradient kept the rate of its own step), "
                "which can't go on rightly; delete the folder of checkpoints, and the same command trains anew"
            )
    return f"not a checkpoint of this run ({first_line(error)}); delete it"
