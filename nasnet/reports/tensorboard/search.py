"""What TensorBoard shows of a search: scalars of its trials and its controller, and each new best network as a picture.

Trials are counted as they end, as in the report: step 20 is when 20 trials had ended. All of a step is one record, so
that a kill leaves a step whole or not at all, and a search that goes on writes what the records before it lack.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any, Self

import tensorflow as tf

from cells.drawing import cell, chain
from cells.genotype.cell import CellGenotype
from cells.genotype.chain import ChainGenotype
from cells.spaces.space import Space
from controller.strategy import Trial
from nasnet.reports.tensorboard.picture import png
from nasnet.reports.tensorboard.scalars import SearchScalars, Step
from nasnet.trials.journal import Journal

_FLUSHED_SECONDS = 2.0


class SearchEvents:
    """The events of a search, up to where its journal was at the last `write`, or when it was left without an error."""

    def __init__(self, folder: Path, journal: Journal, space: Space, update_trials: int) -> None:
        """Writes nothing yet.

        Args:
            folder: of the events, this search's alone.
            journal: of the search. Events of more trials than it has are another's, and go.
            space: what tokens are decoded by, to be drawn.
            update_trials: trials of an update of the controller, where there is one.
        """
        self._space, self._scalars = space, SearchScalars(journal, update_trials)
        self._there = _last_step(folder)
        if self._there > len(journal.trials):
            shutil.rmtree(folder)
            self._there = 0
        with tf.Graph().as_default():  # for which there is a writer of whole records; files are read in order of names
            self._writer = tf.compat.v1.summary.FileWriter(str(folder), filename_suffix=f".{self._there:08d}")
        self._flushed = time.monotonic()

    def write(self) -> None:
        """Writes the trials that have ended since, at first those that the folder lacks."""
        for step in self._scalars.new():
            if step.number > self._there:
                self._add(step)
        if time.monotonic() - self._flushed > _FLUSHED_SECONDS:
            self._writer.flush()
            self._flushed = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.write()
        self._writer.close()

    def _add(self, step: Step) -> None:
        parts = [tf.compat.v1.Summary.Value(tag=name, simple_value=value) for name, value in step.values.items()]
        parts += self._picture(step.trial) if step.better else []
        self._writer.add_summary(tf.compat.v1.Summary(value=parts), step.number)

    def _picture(self, trial: Trial) -> list[Any]:
        """The network of a trial; nothing, of a space that has no drawing."""
        genotype = self._space.decode(trial.proposal.tokens)
        title = f"trial {trial.proposal.trial_id}, reward {trial.reward:.4f}"
        if isinstance(genotype, CellGenotype):
            drawn = cell.draw(genotype, title=title)
        elif isinstance(genotype, ChainGenotype):
            drawn = chain.draw(genotype, title=title)
        else:
            return []
        encoded = png(drawn)
        width, height = (int.from_bytes(encoded[at : at + 4], "big") for at in (16, 20))  # of a PNG's header
        image = tf.compat.v1.Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=encoded)
        return [tf.compat.v1.Summary.Value(tag="search/best_network", image=image)]


def _last_step(folder: Path) -> int:
    """The last step that a folder's events have; 0 for none. What a kill tore is not there."""
    last = 0
    for path in folder.glob("events.out.tfevents.*"):
        try:
            for record in tf.data.TFRecordDataset(str(path)):
                last = max(last, tf.compat.v1.Event.FromString(record.numpy()).step)
        except tf.errors.DataLossError:
            continue
    return last
