"""The weights of the best children, and of no others: a search must not fill the disk."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from controller.strategy import Trial
from nasnet.estimators.estimator import TrainedChild
from nasnet.runtime.errors import RunError, UserError
from nasnet.runtime.files import replaced


@dataclasses.dataclass
class BestWeights:
    """A folder `trial_<id>/{genotype.json, weights.npz}` for each of the best `count` children (`Trial.rank`).

    `genotype.json` holds the network that the weights are of; `nasnet.networks.saved` opens such a folder. `trials` has
    those that have one, by number.
    """

    folder: Path
    count: int
    trials: dict[int, Trial] = dataclasses.field(default_factory=dict, init=False)

    def resume(self, trials: list[Trial]) -> None:
        """Takes in what an earlier run left; what is not of its best is deleted."""
        known = {self._path(t.proposal.trial_id): t for t in trials}
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            trial = known.get(path)
            if trial is not None and trial.reward is not None and (path / "weights.npz").exists():
                self.trials[trial.proposal.trial_id] = trial
            else:
                shutil.rmtree(path, ignore_errors=True)  # half written, or its trial never came into the journal
        self._forget_surplus()

    @property
    def above(self) -> float | None:
        """The reward that a child must exceed to be kept, where there are no rungs; None if none is kept."""
        if self.count == 0:
            return None
        rewards = [trial.reward for trial in self.trials.values() if trial.reward is not None]
        return min(rewards) if len(rewards) >= self.count else float("-inf")

    def offer(self, trial: Trial, child: TrainedChild) -> None:
        """Keeps a child, whose trial ended or stands so by now, if it is among the best so far.

        Raises:
            RunError: where the disk does not take it.
        """
        trial_id = trial.proposal.trial_id
        others = [other for number, other in self.trials.items() if number != trial_id]
        # Of equals the first that came stays.
        if self.count == 0 or sum(other.rank[:2] <= trial.rank[:2] for other in others) >= self.count:
            return
        write_child(self._path(trial_id), child)
        self.trials[trial_id] = trial
        self._forget_surplus()

    def forget(self, trial: Trial) -> None:
        """Deletes what a trial had that came to fail after all."""
        if self.trials.pop(trial.proposal.trial_id, None) is not None:
            shutil.rmtree(self._path(trial.proposal.trial_id), ignore_errors=True)

    def _forget_surplus(self) -> None:
        # Of equals the earlier stays.
        best_first = sorted(self.trials, key=lambda trial_id: self.trials[trial_id].rank)
        for trial_id in best_first[self.count :]:
            del self.trials[trial_id]
            shutil.rmtree(self._path(trial_id), ignore_errors=True)

    def _path(self, trial_id: int) -> Path:
        return self.folder / f"trial_{trial_id}"


def write_child(path: Path, child: TrainedChild) -> None:
    """Writes a child beside a folder and renames it into its place. Raises RunError where the disk does not take it."""
    try:
        with replaced(path) as beside:
            beside.mkdir(parents=True)
            child.save(beside)
            shutil.rmtree(path, ignore_errors=True)  # a folder does not take the place of one
    except (OSError, UserError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RunError(f"{path}: cannot be written ({reason}); make room, and go on") from error
