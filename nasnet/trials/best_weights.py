"""The weights of the best children, and of no others: a search must not fill the disk."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from controller.strategy import Trial
from nasnet.estimators.estimator import TrainedChild
from nasnet.networks.saved import save_weights
from nasnet.runtime.errors import RunError, UserError
from nasnet.runtime.files import replaced


@dataclasses.dataclass
class BestWeights:
    """A folder `trial_<id>/{genotype.json, weights.npz}` for each of the best `count` children, by reward.

    `genotype.json` holds the network that the weights are of; `nasnet.networks.saved` opens such a folder. `rewards`
    has the trials that have one, by number.
    """

    folder: Path
    count: int
    rewards: dict[int, float] = dataclasses.field(default_factory=dict, init=False)

    def resume(self, trials: list[Trial]) -> None:
        """Takes in what an earlier run left; what is not of its best is deleted."""
        known = {self._path(t.proposal.trial_id): t for t in trials}
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            trial = known.get(path)
            if trial is not None and trial.reward is not None and (path / "weights.npz").exists():
                self.rewards[trial.proposal.trial_id] = trial.reward
            else:
                shutil.rmtree(path, ignore_errors=True)  # half written, or its trial never came into the journal
        self._forget_surplus()

    @property
    def above(self) -> float | None:
        """The reward that a child must exceed to be kept; None if none is kept."""
        if self.count == 0:
            return None
        return min(self.rewards.values()) if len(self.rewards) >= self.count else float("-inf")

    def offer(self, trial_id: int, reward: float, child: TrainedChild) -> None:
        """Keeps a child if it is among the best so far. Raises RunError where the disk does not take it."""
        if self.above is None or reward <= self.above:
            return
        path = self._path(trial_id)
        try:
            with replaced(path) as beside:
                beside.mkdir(parents=True)
                save_weights(beside, child.spec, child.weights)
                shutil.rmtree(path, ignore_errors=True)  # a folder does not take the place of one
        except (OSError, UserError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise RunError(f"{path}: cannot be written ({reason}); make room, and go on") from error
        self.rewards[trial_id] = reward
        self._forget_surplus()

    def _forget_surplus(self) -> None:
        # Of equals the earlier stays.
        best_first = sorted(self.rewards, key=lambda trial_id: (-self.rewards[trial_id], trial_id))
        for trial_id in best_first[self.count :]:
            del self.rewards[trial_id]
            shutil.rmtree(self._path(trial_id), ignore_errors=True)

    def _path(self, trial_id: int) -> Path:
        return self.folder / f"trial_{trial_id}"
