"""Where a training stands, step by step: what is shown of it, and when it is given up."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from nasnet.runtime.errors import DivergedError
from nasnet.training.metrics import Score

SHOWN_SECONDS = 1.0
"""How often a running epoch is reported."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where a training stands; loss and accuracy are means over the training batches of the epoch so far.

    `ended` tells whether the epoch has ended, and `valid` the scores on the valid split if they were taken then.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    learning_rate: float
    images_per_second: float
    seconds_left: float
    ended: bool
    valid: Score | None = None


class Meter:
    """Adds up what the steps of an epoch tell, and reports it. Asks a device for numbers only when they are shown."""

    def __init__(
        self,
        report: Callable[[Progress], None],
        *,
        step: int,
        steps: int,
        steps_per_epoch: int,
        batch_size: int,
        learning_rate: Callable[[int], float],
    ) -> None:
        """Begins after `step` of `steps`; `learning_rate` is that of a step, counted from 0."""
        self._report, self._learning_rate = report, learning_rate
        self._steps, self._steps_per_epoch, self._batch_size = steps, steps_per_epoch, batch_size
        self._step, self._timed = step, 0
        self._start = self._shown = time.monotonic()
        self._clear()

    @property
    def epoch(self) -> int:
        """Of the last step, counted from 1."""
        return (self._step - 1) // self._steps_per_epoch + 1

    def add(self, loss: tf.Tensor, hits: tf.Tensor) -> None:
        """Notes a step."""
        if not self._timed:
            self._first_seconds, self._start = time.monotonic() - self._start, time.monotonic()
        self._step, self._timed = self._step + 1, self._timed + 1
        self._losses.append(loss)
        self._hits.append(hits)

    def check(self) -> None:
        """Raises DivergedError if the mean loss is not finite: nothing of it may be saved."""
        loss = float(np.mean(self._losses))
        if not math.isfinite(loss):
            raise DivergedError(f"the training loss was {loss} in epoch {self.epoch}; try a smaller learning rate")

    def show(self) -> None:
        """Reports a running epoch, now and then."""
        if self._timed > 1 and time.monotonic() - self._shown >= SHOWN_SECONDS:
            self._tell(ended=False, valid=None)

    def end(self, valid: Score | None) -> None:
        """Reports an epoch's end."""
        self._tell(ended=True, valid=valid)
        self._clear()

    def _clear(self) -> None:
        self._losses: list[tf.Tensor] = []
        self._hits: list[tf.Tensor] = []

    def _tell(self, *, ended: bool, valid: Score | None) -> None:
        loss, hits = float(np.mean(self._losses)), float(np.sum(self._hits))
        now = self._shown = time.monotonic()
        # The first step is traced, which says nothing of the others.
        rate = (self._timed - 1) / (now - self._start) if self._timed > 1 else 1 / self._first_seconds
        self._report(
            Progress(
                epoch=self.epoch,
                epochs=math.ceil(self._steps / self._steps_per_epoch),
                step=self._step,
                steps=self._steps,
                loss=loss,
                accuracy=hits / (len(self._hits) * self._batch_size),
                learning_rate=self._learning_rate(self._step - 1),
                images_per_second=rate * self._batch_size,
                seconds_left=(self._steps - self._step) / rate,
                ended=ended,
                valid=valid,
            )
        )
