"""What TensorBoard shows of a search: scalars of its trials and its controller, and each new best network as a picture.

Trials are counted as they end, as in the report: step 20 is when 20 trials had ended. All of a step is one record, so
that a kill leaves a step whole or not at all, and a search that goes on writes what the records before it lack.
"""

from __future__ import annotations

import itertools
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any, Self

import tensorflow as tf

from cells.drawing import cell, chain
from cells.genotype.cell import CellGenotype
from cells.genotype.chain import ChainGenotype
from cells.spaces.space import Space
from controller.policy.figures import UpdateFigures
from controller.strategy import Trial
from nasnet.reports.tensorboard.picture import png
from nasnet.trials.journal import Journal

_FLUSHED_SECONDS = 2.0
_OF_UPDATES = ("entropy", "approx_kl", "clip_fraction", "baseline", "mean_reward", "loss")


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
        self._journal, self._space, self._update_trials = journal, space, update_trials
        self._best: Trial | None = None
        self._failed: Counter[str] = Counter()
        self._counted, self._there = 0, _last_step(folder)
        if self._there > len(journal.trials):
            shutil.rmtree(folder)
            self._there = 0
        with tf.Graph().as_default():  # for which there is a writer of whole records; files are read in order of names
            self._writer = tf.compat.v1.summary.FileWriter(str(folder), filename_suffix=f".{self._there:08d}")
        self._flushed = time.monotonic()

    def write(self) -> None:
        """Writes the trials that have ended since, at first those that the folder lacks."""
        trials = self._journal.trials
        new = [*itertools.islice(reversed(trials.values()), len(trials) - self._counted)]
        for trial in reversed(new):
            self._add(trial)
        if time.monotonic() - self._flushed > _FLUSHED_SECONDS:
            self._writer.flush()
            self._flushed = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.write()
        self._writer.close()

    def _add(self, trial: Trial) -> None:
        self._counted += 1
        values: dict[str, float] = {}
        better = False
        if trial.reward is None:
            self._failed[str(trial.outcome)] += 1
            values[f"failures/{trial.outcome}"] = self._failed[str(trial.outcome)]
        else:
            values["search/reward"] = trial.reward
            better = self._best is None or trial.rank < self._best.rank
            self._best = trial if better else self._best
        if self._best is not None and self._best.reward is not None:
            values["search/best"] = self._best.reward
        update, rest = divmod(self._counted, self._update_trials)
        if not rest and update <= len(self._journal.updates):
            values |= _of_update(self._journal.updates[update - 1])
        if self._counted > self._there:
            parts = [tf.compat.v1.Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
            self._writer.add_summary(
                tf.compat.v1.Summary(value=[*parts, *self._picture(trial)] if better else parts), self._counted
            )

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


def _of_update(figures: UpdateFigures) -> dict[str, float]:
    return {f"controller/{name}": getattr(figures, name) for name in _OF_UPDATES}


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
