"""Where a training stands, step by step: what is shown of it, and when it is given up. No TensorFlow."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from nasnet.runtime.errors import DivergedError
from nasnet.training.score import Score

Scalar = Any  # a tensor of one number, still on its device

SHOWN_SECONDS = 1.0
"""How often a running epoch is reported."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where a training stands; loss and accuracy are means over the training batches of the epoch so far.

    The loss is the cross-entropy, labels smoothed as they are trained on, without weight decay and auxiliary head.
    `images_per_second` and `seconds_left` are None while only the first step since the start has been taken: it is
    traced, which takes as long as hundreds of others. `ended` tells whether the epoch has ended, and `valid` the scores
    on the valid split if they were taken then.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    learning_rate: float
    images_per_second: float | None
    seconds_left: float | None
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
        self._step, self._timed_steps = step, 0
        self._start = self._shown = time.monotonic()
        self._clear()

    @property
    def epoch(self) -> int:
        """Of the last step, counted from 1."""
        return (self._step - 1) // self._steps_per_epoch + 1

    def add(self, loss: Scalar, correct: Scalar) -> None:
        """Notes a step: its mean loss, and how many pictures of its batch were classified right."""
        if not self._timed_steps:
            self._start = time.monotonic()
        self._step, self._timed_steps = self._step + 1, self._timed_steps + 1
        self._losses.append(loss)
        self._correct.append(correct)

    def check(self) -> None:
        """Raises DivergedError if the mean loss is not finite: nothing of it may be saved."""
        loss = float(np.mean(self._losses))
        if not math.isfinite(loss):
            raise DivergedError(f"the training loss was {loss} in epoch {self.epoch}; try a smaller learning rate")

    def show(self) -> None:
        """Reports a running epoch, now and then."""
        if self._timed_steps > 1 and time.monotonic() - self._shown >= SHOWN_SECONDS:
            self._send(ended=False, valid=None)

    def end(self, valid: Score | None) -> None:
        """Reports an epoch's end."""
        self._send(ended=True, valid=valid)
        self._clear()

    def _clear(self) -> None:
        self._losses: list[Scalar] = []
        self._correct: list[Scalar] = []

    def _send(self, *, ended: bool, valid: Score | None) -> None:
        loss, correct = float(np.mean(self._losses)), float(np.sum(self._correct))
        now = self._shown = time.monotonic()
        # The first step is traced, which says nothing of the others: the clock starts after it.
        rate = (self._timed_steps - 1) / (now - self._start) if self._timed_steps > 1 else None
        self._report(
            Progress(
                epoch=self.epoch,
                epochs=math.ceil(self._steps / self._steps_per_epoch),
                step=self._step,
                steps=self._steps,
                loss=loss,
                accuracy=correct / (len(self._correct) * self._batch_size),
                learning_rate=self._learning_rate(self._step - 1),
                images_per_second=None if rate is None else rate * self._batch_size,
                seconds_left=None if rate is None else (self._steps - self._step) / rate,
                ended=ended,
                valid=valid,
            )
        )
