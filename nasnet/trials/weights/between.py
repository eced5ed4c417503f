"""The weights of children between two rungs, from which a search that was killed goes on. No TensorFlow."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Collection
from pathlib import Path

from controller.strategy import Trial
from nasnet.estimators.estimator import TrainedChild
from nasnet.runtime.errors import UserError
from nasnet.trials.weights.best import write_child


@dataclasses.dataclass(frozen=True)
class RungWeights:
    """A folder `trial_<id>_<rung>/{genotype.json, weights.npz}` for each trial that ended a rung and may go on."""

    folder: Path

    def resume(self, waiting: Collection[Trial]) -> None:
        """Deletes what an earlier run left but for the weights of these trials as they stand."""
        if self.folder.is_dir():
            kept = {self._path(trial) for trial in waiting}
            for path in set(self.folder.iterdir()) - kept:
                shutil.rmtree(path, ignore_errors=True)
            self._remove_empty()

    def keep(self, trial: Trial, child: TrainedChild) -> None:
        """Keeps a child that ended a rung, its trial as it stands. Raises RunError where the disk does not take it."""
        write_child(self._path(trial), child)

    def checked(self, trial: Trial) -> Path:
        """The folder of a trial as it stands, whose files are whole.

        Raises:
            UserError: naming the file that is missing or damaged: without it there is no way to the same numbers.
        """
        path = self._path(trial)
        try:
            TrainedChild.load(path)
        except UserError as error:
            raise UserError(f"{error}; trial {trial.proposal.trial_id} goes on from it: use another workdir") from error
        return path

    def forget(self, trial: Trial) -> None:
        """Deletes what there is of a trial that ended; the folder too where it was the last."""
        for path in self.folder.glob(f"trial_{trial.proposal.trial_id}_*"):
            shutil.rmtree(path, ignore_errors=True)
        self._remove_empty()

    def _remove_empty(self) -> None:
        with contextlib.suppress(OSError):  # what still waits is in it, or it is not there
            self.folder.rmdir()

    def _path(self, trial: Trial) -> Path:
        return self.folder / f"trial_{trial.proposal.trial_id}_{trial.rung}"
