"""Any space with any strategy and any way to build children: four trials each, real ones, the last two after a stop.

What cannot go together is one line, and the list of that is short: `REFUSED`, and docs/networks.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.strategy import Outcome, Trial
from nasnet.data.dataset import DataSet, open_dataset
from nasnet.execution.engine import InProcess
from nasnet.modes.flags import RunConfig, resolve
from nasnet.modes.inputs import check_inputs
from nasnet.modes.searched.made import check, estimators, strategy_of
from nasnet.networks.config import NetworkConfig
from nasnet.networks.models import model_of_genotype
from nasnet.runtime.errors import UserError
from nasnet.runtime.signals import Stopping
from nasnet.trials.config import ChainConfig, SearchConfig
from nasnet.trials.journal import Journal
from nasnet.trials.retries import RetryingEngine
from nasnet.trials.search import Search
from nasnet.trials.spaces import make_space, trials_of
from tests.support.slow import some_now

TINY: dict[str, Any] = {
    "steps": 2,
    "batch_size": 8,
    "trials": 4,
    "update_trials": 2,
    "workers": 0,
    "finalists": 0,
    "evolution_population": 2,
    "evolution_sample": 1,
    "uniform_trials": 2,
    "refit_trials": 2,
    "imagined_steps": 1,
    "imagined_samples": 2,
}
SPACES: dict[str, dict[str, Any]] = {
    "nasnet": {"blocks": 1, "repeats": 1, "filters": 2},
    "darts": {"blocks": 2, "repeats": 1, "filters": 2},
    "chain": {"max_layers": 2, "start_layers": 2, "scale": 0.1, "pool_at": "1"},
    "growing": {"space": "chain", "start_layers": 1, "grow_layers": 1, "grow_every": 2, "scale": 0.1, "strides": True},
    "lenet5": {"width": 0.5, "free": 2},
    "alexnet": {"width": 0.05, "free": 3},
    "vgg16": {"width": 0.05},
}
LEARNERS = ("evolution", "local_search", "predictor", "dyna_ppo")
KERAS_TUNER = ("kt_random", "kt_bayesian")
STRATEGIES = ("ppo", "reinforce", "random", "grid", *LEARNERS, *KERAS_TUNER)
CHILDREN = ("functions", "keras")
REFUSED = {("growing", "grid"): "--strategy=grid: cannot exhaust a space that grows"}

TABLE = [(space, strategy, child) for space in SPACES for strategy in STRATEGIES for child in CHILDREN]
LEARNERS_NOW = {("nasnet", "predictor"), ("growing", "evolution"), ("growing", "predictor"), ("lenet5", "local_search")}
LEARNERS_NOW |= {("lenet5", "dyna_ppo"), ("darts", "predictor")}
KERAS_NOW = {("growing", "reinforce"), ("lenet5", "random")}
"""Keras' children take ten times as long."""
LATER = {
    (space, strategy, child)
    for space, strategy, child in TABLE
    if (space, strategy) not in REFUSED
    and (
        space in ("alexnet", "vgg16")
        or (space, strategy)
        in {("chain", "ppo"), ("chain", "reinforce"), ("darts", "reinforce"), ("darts", "grid"), ("lenet5", "ppo")}
        or strategy in KERAS_TUNER
        or (strategy in LEARNERS and (space, strategy) not in LEARNERS_NOW)
        or (child == "keras" and (space, strategy) not in KERAS_NOW)
    )
}


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return open_dataset("digits")


def config_of(space: str, strategy: str, child: str) -> RunConfig:
    given = {"space": space, "strategy": strategy, "child": child, **TINY, **SPACES[space]}
    return resolve("search", 5, given)


def run(config: RunConfig, data: DataSet, workdir: Path, trials: int) -> list[Trial]:
    """Trials up to this number, as a process of its own would go on with them: all but the journal is made anew."""
    options, network = config.group(SearchConfig), config.group(NetworkConfig)
    space = make_space(options, config.group(ChainConfig), network, data.image_shape)
    limits = check(config, data, space)
    journal = Journal(workdir / "journal.jsonl")
    engine = RetryingEngine(InProcess(estimators(config, data)), journal, retries=0, stopping=Stopping())
    Search(
        space,
        strategy_of(options.strategy, space, config),
        journal,
        engine,
        min(trials, trials_of(options, space)),
        wave=2,
        repeat_cells=options.repeat_cells,
        why_invalid=limits.why_invalid,
    ).run()
    for trial_id, trial in journal.trials.items():
        genotype = space.decode(trial.proposal.tokens)
        assert len(trial.proposal.tokens) == space.length(trial_id)
        assert space.encode(genotype) == trial.proposal.tokens
        assert model_of_genotype("", genotype).make(network, 10, (8, 8, 1)).classes == 10
    return list(journal.trials.values())


@pytest.mark.parametrize("case", some_now(TABLE, LATER), ids="-".join)
def test_any_with_any(case, digits, tmp_path):
    space, strategy, child = case
    config = config_of(space, strategy, child)
    if (space, strategy) in REFUSED:
        with pytest.raises(UserError) as refused:
            check_inputs(config)
        assert refused.match(REFUSED[space, strategy].removeprefix("--"))
        return
    check_inputs(config)
    first = run(config, digits, tmp_path, 2)
    trials = run(config, digits, tmp_path, 4)
    assert trials[:2] == first
    assert len(trials) == 4
    for trial in trials:
        assert trial.outcome == Outcome.OK, trial.cause
        assert trial.reward is not None
        assert 0 <= trial.reward <= 1
    if strategy == "grid":
        assert len({trial.proposal.tokens for trial in trials}) == 4
