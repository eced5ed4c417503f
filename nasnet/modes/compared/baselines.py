"""The network that a search found beside others of its size, trained alike: whether the search paid."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cells.count import count
from cells.genotype.genotype import Genotype
from controller.config import LearnerConfig, PolicyGradientConfig
from controller.strategies import blind_trials
from controller.strategy import Trial
from nasnet.data.config import DataConfig
from nasnet.data.dataset import DataSet, Split, open_configured
from nasnet.estimators.child import right_of
from nasnet.estimators.estimator import Estimator
from nasnet.estimators.proxy import BaselineEstimator, ProxyEstimator
from nasnet.execution.job import Job
from nasnet.modes.compared.contenders import Contender, as_large
from nasnet.modes.compared.models import baseline_models
from nasnet.modes.compared.timed import contenders_as_fast
from nasnet.modes.compared.trainings import Ended, Planned, planned_of, train_all
from nasnet.modes.flags import RunConfig
from nasnet.modes.inputs import spec_on
from nasnet.networks.config import NetworkConfig
from nasnet.networks.models import NamedModel
from nasnet.networks.saved import load_weights
from nasnet.networks.spec import NetworkSpec
from nasnet.reports.baselines import Side, Verdict
from nasnet.reports.comparison import short, show_training
from nasnet.runtime.clock import doing
from nasnet.runtime.console import say
from nasnet.runtime.errors import UserError
from nasnet.runtime.files import write_json
from nasnet.runtime.schema import read_as
from nasnet.runtime.seeds import name_seed
from nasnet.training.config import TrainingConfig
from nasnet.trials.config import CELLS, RANDOM, BaselineConfig, LatencyConfig, SearchConfig
from nasnet.trials.ending import Ending
from nasnet.trials.plan import baseline_names, baseline_steps
from nasnet.trials.search import Search
from nasnet.trials.spaces import start_tokens

_FOLDER, _NETWORKS, _SCORED = "baselines", "networks.json", "right.json"
_BLIND_SHARE = 4
"""The best of the trials that were drawn blindly is the best of at most one in so many of all."""


def baseline_estimators(config: RunConfig, proxy: ProxyEstimator) -> dict[str, Estimator[Any]]:
    """What trains the winner and its baselines: an estimator a seed, none of which a trial or a finalist has had."""
    options = config.group(BaselineConfig)
    if not baseline_names(options):
        return {}
    steps = baseline_steps(options, config.group(SearchConfig), proxy.training, proxy.data)
    longer = dataclasses.replace(proxy, training=dataclasses.replace(proxy.training, steps=steps))
    return {
        _estimator(seed): BaselineEstimator(longer, name_seed(config.seed, _estimator(seed)))
        for seed in range(options.baseline_seeds)
    }


def _estimator(seed: int) -> str:
    return f"baseline_{seed}"


@dataclasses.dataclass(frozen=True)
class _Entrant:
    """A network as it is trained, and the trial that it is of, if it is one's."""

    contender: Contender
    trial_id: int | None = None


def hold_against_baselines(
    search: Search, winner: Trial, config: RunConfig, workdir: Path, data: DataSet, ending: Ending
) -> dict[str, Any] | None:
    """Trains the winner and its baselines, scores them on test, and says whether the search paid.

    Each is trained from the same seeds, on the engine of the search, in a folder of its own below `baselines/`: what
    ended there is not trained again. The search is over then, so that the test split may be opened.

    Returns:
        What `metrics.json` holds of it; None where there are no baselines, or it was asked to end.
    """
    options = config.group(BaselineConfig)
    if not baseline_names(options):
        return None
    if ended_by := ending.enough:
        say(f"ended by {ended_by}: the best network is not held against others; the same command does that")
        return None
    entrants, left_out = _entrants(search, winner, config, data, workdir)
    folder = workdir / _FOLDER
    _clear_another(folder, [entrant.contender.spec for entrant in entrants])
    steps = baseline_steps(options, config.group(SearchConfig), config.group(TrainingConfig), data)
    names = [entrant.contender.name for entrant in entrants]
    seeds = "the same fresh seed" if options.baseline_seeds == 1 else f"the same {options.baseline_seeds} fresh seeds"
    say(f"does it pay? {', '.join(names)}: {steps} steps from {seeds} each")
    planned = planned_of(names, range(options.baseline_seeds), "baseline_") if len(names) > 1 else []
    ended = _trained(planned, entrants, search, folder, ending)
    if len(ended) < len(planned):
        say(f"ended by {ending.now}: the best network is not held against others; the same command does that")
        return None
    split = functools.cache(lambda: _opened(data, config))
    with doing("scoring the best network and its baselines"):
        found, *others = [_side(number, entrant, ended, folder, split) for number, entrant in enumerate(entrants)]
    if len({len(right) for side in (found, *others) for right in side.right.values()}) > 1:
        raise UserError(f"{folder}: not all were scored on as many pictures; delete each {_SCORED} in it to score anew")
    scored = "test" if data.has_test else "valid"
    # Of valid: test stays closed where all of them were scored before.
    one_answer = float(np.bincount(data.valid.labels).max() / len(data.valid))
    told = scored, data.name, steps, options.match, one_answer
    verdict = Verdict(_what(config), found, others, left_out, *told)
    for line in verdict.lines():
        say(line)
    return verdict.to_json()


def _what(config: RunConfig) -> str:
    return "cell" if config.group(SearchConfig).space in CELLS else "network"


def _entrants(
    search: Search, winner: Trial, config: RunConfig, data: DataSet, workdir: Path
) -> tuple[list[_Entrant], list[str]]:
    """The winner first, then its baselines, as large or as fast as it; a line for each that is left out."""
    options, trials = config.group(BaselineConfig), {0: winner.proposal.trial_id}
    genotype, left_out = search.space.decode(winner.proposal.tokens), list[str]()
    found = [_contender(f"found (trial {trials[0]})", genotype, config, data)]
    for name, model in baseline_models(config).items():
        if model is not None:
            try:
                found.append(_contender(short(name), model, config, data))
            except UserError as error:
                left_out.append(f"{name} is left out: {error}")
            continue
        blind = _blind(search, config)
        if isinstance(blind, str):
            left_out.append(blind)
            continue
        called, drawn, last = blind
        networks = [search.space.decode(trial.proposal.tokens) for trial in drawn]
        same = [network.canonical() == genotype.canonical() for network in networks]
        if any(same):  # if not the best of them: the longer training chose otherwise than the search's reward
            it = f"{called} is" if same[0] else f"{called} is left out: one of them is"
            after = ": what came after was no better" if len(search.journal.so_far) > last + 1 else ""
            left_out.append(f"{it} the found {_what(config)} itself{after}")
        else:
            trials[len(found)] = drawn[0].proposal.trial_id
            found.append(_contender(called, networks[0], config, data))
    entrants: list[_Entrant] = []
    if options.match == "latency":
        found = contenders_as_fast(found, config.group(LatencyConfig).latency_on, workdir)
        for contender in found[1:]:
            say(f"{contender.name}: {contender.note}")
    for number, contender in enumerate(as_large(found, options.match, data)):
        if number and contender.spec == found[0].spec:
            left_out.append(f"{contender.name} is the found {_what(config)} itself")
        elif contender.matched:
            entrants.append(_Entrant(contender, trials.get(number)))
        else:
            left_out.append(f"{contender.name} is left out: {contender.note}")
    return entrants, left_out


def _contender(name: str, model: NamedModel | Genotype, config: RunConfig, data: DataSet) -> Contender:
    network = config.group(NetworkConfig)
    if isinstance(model, NamedModel) and config.group(BaselineConfig).match != "none":
        network = dataclasses.replace(network, parameters=None)  # it is made as large as the one that was found
    spec = spec_on(model, data, network, config.group(TrainingConfig))
    return Contender(name, spec, count(spec.architecture, spec.image_shape))


def _blind(search: Search, config: RunConfig) -> tuple[str, list[Trial], int] | str:
    """The first trials, the best by the reward of the search first, that were drawn before anything was learned.

    With what that best one is called, and the number of the last of them, failed or not; or why there is none.
    """
    options = config.group(SearchConfig)
    if "strategy" in config.own:
        return f"{RANDOM} is left out: which trials {config.own['strategy'][0]} draws at random is not known"
    strategy, known = options.strategy, len(start_tokens(options, search.space))
    blind = blind_trials(strategy, config.group(PolicyGradientConfig), config.group(LearnerConfig))
    most = known + max(1, search.trials // _BLIND_SHARE)
    drawn = range(known, most if blind is None else min(blind, most))  # known networks are heard as the others are
    if not drawn:
        return f"{RANDOM} is left out: {strategy} draws no trials at random" + (
            " after those of start" if known else ""
        )
    trials = search.journal.so_far
    found = [trial for number in drawn if (trial := trials.get(number)) and trial.reward is not None]
    if not found:
        return f"{RANDOM} is left out: none of trials {drawn[0]} to {drawn[-1]} succeeded"
    called = f"the best of {len(drawn)} random trials"
    if strategy in ("ppo", "reinforce"):  # which draw not quite uniformly (`blind_trials`)
        called = f"the best of the first {len(drawn)} drawn trials"
    return called if len(drawn) > 1 else "the first trial", sorted(found, key=lambda trial: trial.rank), drawn[-1]


def _clear_another(folder: Path, specs: Sequence[NetworkSpec]) -> None:
    """Notes in the folder which networks are compared there; what it holds of others goes first.

    What was noted stays where it is those and more: a network that comes back finds what it had.
    """
    path, networks = folder / _NETWORKS, json.loads(json.dumps([spec.to_json() for spec in specs]))
    before = read_as("networks", path, "delete it to train anew")["networks"] if path.exists() else None
    if before is not None and all(was == now for was, now in zip(before, networks, strict=False)):
        networks = max(before, networks, key=len)
    elif folder.exists():
        shutil.rmtree(folder)
    write_json(path, {"version": 1, "networks": networks})


def _trained(
    planned: Sequence[Planned], entrants: Sequence[_Entrant], search: Search, folder: Path, ending: Ending
) -> dict[Planned, Ended]:
    forecast = search.forecast
    assert forecast is not None

    def called(training: Planned) -> str:
        return f"{entrants[training.network].contender.name}, seed {training.seed}"

    def job(training: Planned) -> Job:
        return Job(
            training.network,
            estimator=_estimator(training.seed),
            keep_above=float("-inf"),
            label=training.label,
            called=called(training),
            architecture=entrants[training.network].contender.spec.architecture,
        )

    def report(of_it: Ended, ended: dict[Planned, Ended]) -> None:
        forecast.held_against(of_it.seconds)
        result = of_it.cause if of_it.accuracy is None else f"valid accuracy {of_it.accuracy:.4f}"
        left = forecast.left(0, finalist_runs=0, held_against=len(planned) - len(ended))
        show_training(called(of_it.training), result, of_it.seconds, len(ended), len(planned), left)

    return train_all(planned, search.engine, folder, report, job=job, may_lose=True, cut_short=lambda: ending.now)


def _side(
    number: int, entrant: _Entrant, ended: Mapping[Planned, Ended], folder: Path, split: Callable[[], Split]
) -> Side:
    """What became of a network from all seeds: each picture that it got right, which is written down."""
    contender, right, failures = entrant.contender, dict[int, np.ndarray](), dict[int, str]()
    for training, of_it in sorted(ended.items(), key=lambda each: each[0].seed):
        if training.network != number:
            continue
        if of_it.accuracy is None:
            failures[training.seed] = of_it.cause
            continue
        path = folder / training.label / _SCORED
        if not path.exists():
            values = right_of(contender.spec, load_weights(path.parent), split())
            write_json(path, {"version": 1, "right": "".join("01"[int(value)] for value in values)})
        right[training.seed] = _right(path)
    costs = contender.counts
    sizes = contender.described, costs.parameters, costs.mult_adds
    return Side(contender.name, *sizes, right, failures, contender.note, entrant.trial_id)


def _right(path: Path) -> np.ndarray:
    """Which pictures a training got right, bool `[N]`. Raises UserError for a file that does not say it."""
    digits = read_as("right", path, "delete it to score anew")["right"]
    return np.array([digit == "1" for digit in digits])


def _opened(data: DataSet, config: RunConfig) -> Split:
    """The test split, or valid where there is none with labels."""
    if not data.has_test:
        return data.valid
    with doing("reading the test split"):
        opened = open_configured(config.group(DataConfig), allow_test=True, source=config.object("dataset"))
    if changed := data.fingerprint.difference(opened.fingerprint):
        raise UserError(f"--dataset={config.values['dataset']} has changed since this run opened it ({changed})")
    return opened.test()
