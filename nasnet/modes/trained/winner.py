"""The winner of a search, trained for real and exported."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from cells.genotype.genotype import Genotype
from controller.strategy import Trial
from nasnet.data.dataset import DataSet
from nasnet.modes.flags import RunConfig
from nasnet.modes.inputs import spec_on
from nasnet.modes.tables.latency import winner_latency
from nasnet.modes.train import train_to
from nasnet.modes.trained.export import export_trained
from nasnet.networks.config import NetworkConfig
from nasnet.runtime.clock import clock, doing
from nasnet.runtime.console import say
from nasnet.runtime.files import read_json, write_json
from nasnet.runtime.schema import read_as
from nasnet.training.config import ReplicaConfig, TrainingConfig
from nasnet.trials.config import FinalConfig
from nasnet.trials.forecast import Forecast
from nasnet.trials.plan import final_of


def train_winner(
    genotype: Genotype,
    data: DataSet,
    config: RunConfig,
    workdir: Path,
    trial: Trial,
    forecast: Forecast | None = None,
    baselines: dict[str, Any] | None = None,
) -> None:
    """Trains and exports the winner, unless that was done; what is there of another winner is replaced.

    `baselines` is what it was held against, for `metrics.json`: also for one of an export that is there.
    """
    mark, of_it = workdir / "final" / "winner.json", {"version": 1, "trial_id": trial.proposal.trial_id}
    before = read_as("winner", mark, "delete it to train anew") if mark.exists() else None
    if mark.parent.exists() and before != of_it:  # none where it was killed in rmtree
        say("another network won than before: it is trained and exported in its place")
        shutil.rmtree(workdir / "tb" / "winner", ignore_errors=True)
        shutil.rmtree(mark.parent)
    network, recipe = final_of(config.group(FinalConfig), config.group(NetworkConfig), config.group(TrainingConfig))
    write_json(mark, of_it)
    after = 0.0 if forecast is None else forecast.fixed() / 2
    if forecast is not None:
        say(f"the winner is trial {trial.proposal.trial_id}; about {clock(forecast.of_winner(trial))} left")
    spec, options = spec_on(genotype, data, network, recipe), ReplicaConfig(valid_epochs=0)
    events = workdir / "tb" / "winner"
    spec, model = train_to(
        mark.parent, spec, data, recipe, config.seed, options=options, seconds_after=after, events=events
    )
    extra = {"trial_id": trial.proposal.trial_id, "reward": trial.reward, **winner_latency(config, workdir, spec)}
    if trial.earlier:
        extra["earlier_rewards"] = list(trial.earlier)
    say(f"exporting it to {workdir / 'best'}, and opening that in a fresh process; {clock(after)} left")
    with doing("exporting"):
        export_trained(spec, model, workdir / "best", config, extra, data, data.fingerprint)
    if baselines is not None:
        path = workdir / "best" / "metrics.json"
        write_json(path, {**read_json(path), "baselines": baselines})
