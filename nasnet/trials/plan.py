"""What a search consists of, from its first trial to its export, and what each part costs. No TensorFlow."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any

from cells.architecture import Architecture, BadField
from cells.count import count
from cells.genotype.genotype import Genotype
from cells.spaces.space import Space, Tokens
from controller.random_search import RandomSearch
from controller.strategy import Trial
from nasnet.data.dataset import DataSet
from nasnet.execution.config import ExecutionConfig
from nasnet.networks.config import NetworkConfig
from nasnet.networks.spec import Shape, architecture_of
from nasnet.runtime import devices
from nasnet.runtime.errors import SettingError
from nasnet.training.config import TrainingConfig
from nasnet.trials.config import NO_BASELINES, UNSET_FINAL_FILTERS, BaselineConfig, FinalConfig, SearchConfig
from nasnet.trials.spaces import trials_of

_FIXED_SECONDS = 23.0
"""To build a winner, to export it and to check that: of a search on digits on two idle cores, as all that is here."""
_START_SECONDS = 6.5
"""From the start of two workers on two cores to their first step."""
_POWER = 0.75
"""A step's seconds grow by this power of its mult-adds, and fall by this power of its threads."""
_MOST_THREADS = 4
"""That a small network makes use of."""
DRAWN = 40
"""Networks that are drawn to know whether a size can be had."""
_LONGER, _LONGER_THAN_RUNGS = 4, 2
"""Steps of a finalist for each of a child: 100 for the 25 of the defaults. And for each of the last rung's."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a search consists of, in what its children cost.

    Attributes:
        trials: in all.
        slots: children at a time.
        finalists, starts: how many different cells are trained longer, and how often each.
        finalist_steps: training steps of one.
        longer: those for each step of a child.
        winner: what the steps of the winner's training cost if it is the cell of this trial, for each second that the
            steps of that trial took.
        fixed: seconds that it takes to build the winner and to export it, whatever its steps cost, where a worker takes
            `start` to come up. Both are Python and TensorFlow on one core: a busy or slow machine is so at both. 0 for
            `start` is where workers are not of this machine.
        held_against: trainings of the winner and of what it is held against.
        held_longer: steps of one for each step of a child.
        rungs: steps in all at the end of each rung, where there are some: "a child" above is one of the last rung.
    """

    trials: int
    slots: int
    finalists: int = 0
    starts: int = 1
    finalist_steps: int = 0
    longer: float = 1.0
    winner: Callable[[Trial], float] = lambda _: 0.0
    fixed: float = 0.0
    start: float = 0.0
    held_against: int = 0
    held_longer: float = 1.0
    rungs: tuple[int, ...] = ()

    def share(self, trial: Trial) -> float:
        """Of the steps of a child, those that this trial has had."""
        return self.rungs[max(1, trial.rung) - 1] / self.rungs[-1] if self.rungs else 1.0

    def added(self, rung: int) -> float:
        """The steps of a rung, counted from 0, for each of the first one's."""
        return (self.rungs[rung] - self.rungs[rung - 1]) / self.rungs[0] if rung else 1.0


def steps_of(training: TrainingConfig, data: DataSet) -> int:
    """How many steps a training has."""
    return training.steps or training.epochs * (len(data.train) // min(training.batch_size, len(data.train)))


def of_first_rung(options: SearchConfig, training: TrainingConfig) -> TrainingConfig:
    """How every child is trained; where there are rungs, for the first."""
    return dataclasses.replace(training, steps=options.rung_steps[0]) if options.rungs else training


def resolve_waves(values: Mapping[str, Any], given: Collection[str]) -> dict[str, Any]:
    """What a search's settings by flag imply of one another: whether there are waves, how long a child is trained.

    Raises:
        SettingError: for another length beside rungs.
    """
    rungs, deterministic = SearchConfig(rungs=values["rungs"]).rung_steps, values["deterministic"]
    if deterministic is None:
        workers = values["workers"]
        few = workers is not None and 4 * workers <= values["update_trials"] and not values["cluster"]
        deterministic = bool(rungs) or few
    if not rungs:
        return {"deterministic": deterministic}
    for name in ("steps", "epochs"):
        if name in given:
            raise SettingError(name, values[name], f"does not go with rungs={values['rungs']}, which says the steps")
    return {"deterministic": deterministic, "steps": rungs[-1]}


def finalist_steps(options: SearchConfig, training: TrainingConfig, data: DataSet) -> int:
    """Those of a finalist: four times those of a child, or twice those of the last rung, where nothing else is said.

    Raises:
        SettingError: for fewer than a child's, or twice the last rung's: then it is no longer training that ranks them.
    """
    return finalist_steps_after(options, steps_of(training, data))


def finalist_steps_after(options: SearchConfig, own: int) -> int:
    """As `finalist_steps`, of children that are trained for `own` steps; where there are rungs, for those."""
    rungs = options.rung_steps
    least, unset = (_LONGER_THAN_RUNGS * rungs[-1],) * 2 if rungs else (own, _LONGER * own)
    if options.finalist_steps is None:
        return unset
    if options.finalists and options.finalist_steps < least:
        rule = f"a child itself is trained for {own}; expected that many or more; unset, it is {_LONGER} times as many"
        if rungs:
            rule = f"the last rung ends after {rungs[-1]} steps; expected twice as many, {least}, or more"
        raise SettingError("finalist_steps", options.finalist_steps, rule)
    return options.finalist_steps


def baseline_names(baselines: BaselineConfig) -> tuple[str, ...]:
    """What a search's winner is held against, by the names that were given."""
    named = baselines.baselines
    return () if named == NO_BASELINES else tuple(name.strip() for name in named.split(","))


def baseline_steps(baselines: BaselineConfig, options: SearchConfig, training: TrainingConfig, data: DataSet) -> int:
    """Training steps of each network of a search's end: a finalist's, where nothing else is said."""
    return baselines.baseline_steps or finalist_steps(options, training, data)


def final_of(
    final: FinalConfig, child: NetworkConfig, training: TrainingConfig
) -> tuple[NetworkConfig, TrainingConfig]:
    """The network that the best cell is exported in, and its training."""
    recipe = dataclasses.replace(
        training, epochs=final.final_epochs, steps=None, learning_rate=final.final_learning_rate
    )
    return final_sizes(final, child), recipe


def final_sizes(final: FinalConfig, child: NetworkConfig) -> NetworkConfig:
    """The sizes of that network: where it is given no other, of as many parameters as the children have been given."""
    filters, parameters = final.final_filters, final.final_parameters
    if filters is None and parameters is None:
        parameters = child.parameters
    filters = UNSET_FINAL_FILTERS if filters is None else filters
    return dataclasses.replace(child, repeats=final.final_repeats, filters=filters, parameters=parameters)


def final_name(final: FinalConfig, name: str) -> str:
    """What decides a size of that network: the name of its setting."""
    if name in ("repeats", "filters") or (name == "parameters" and final.final_parameters is not None):
        return f"final_{name}"
    return name


def exported(
    genotype: Genotype, final: FinalConfig, child: NetworkConfig, classes: int, image_shape: Shape
) -> Architecture:
    """The network that a genotype would be exported as.

    Raises:
        ValueError: if it cannot be; a BadField has the name of a setting of it.
    """
    try:
        return architecture_of(genotype, final_sizes(final, child), classes, image_shape)
    except BadField as error:
        raise BadField(final_name(final, error.name), error.value, error.rule) from error


def without_size(space: Space, final: FinalConfig, child: NetworkConfig, classes: int, image_shape: Shape) -> int:
    """How many of `DRAWN` networks cannot be of the sizes that are asked for. Raises SettingError if none can."""
    random, why = RandomSearch(space.decisions, 0, space.length), list[BadField]()
    for trial_id in range(DRAWN):
        genotype = space.decode(random.propose(trial_id).tokens)
        try:
            architecture_of(genotype, child, classes, image_shape)
            exported(genotype, final, child, classes, image_shape)
        except BadField as error:
            why.append(error)
    if len(why) == DRAWN:
        raise SettingError(why[0].name, why[0].value, f"{why[0].rule}; nor can any other of {DRAWN} drawn networks")
    return len(why)


def plan_of(
    options: SearchConfig,
    final: FinalConfig,
    child: NetworkConfig,
    training: TrainingConfig,
    data: DataSet,
    space: Space,
    slots: int,
    execution: ExecutionConfig,
    baselines: BaselineConfig | None = None,
) -> Plan:
    """The plan of a search as the configs say it, with so many children at a time."""
    longer = finalist_steps(options, training, data)
    ratio = longer / steps_of(training, data)
    finalists = options.finalists, options.finalist_seeds, longer, ratio
    plan = Plan(trials_of(options, space), slots, *finalists, rungs=options.rung_steps)
    if not final.export:
        return plan
    _, recipe = final_of(final, child, training)
    steps = steps_of(recipe, data) / steps_of(training, data)
    gain = (min(devices.cores(), _MOST_THREADS) / execution.cpus_per_child) ** _POWER

    pictures = len(data.classes), data.image_shape

    @functools.cache
    def winner(tokens: Tokens) -> float:
        genotype = space.decode(tokens)
        networks = exported(genotype, final, child, *pictures), architecture_of(genotype, child, *pictures)
        of_winner, of_child = (count(network, data.image_shape).mult_adds for network in networks)
        return steps * (of_winner / of_child) ** _POWER / gain

    start = _START_SECONDS if execution.workers and not execution.cluster else 0.0
    names = () if baselines is None else baseline_names(baselines)
    if baselines is not None and names:
        held = (1 + len(names)) * baselines.baseline_seeds
        ratio = baseline_steps(baselines, options, training, data) / steps_of(training, data)
        plan = dataclasses.replace(plan, held_against=held, held_longer=ratio)
    return dataclasses.replace(
        plan, winner=lambda trial: winner(trial.proposal.tokens), fixed=_FIXED_SECONDS, start=start
    )
