"""What a search consists of, from its first trial to its export, and what each part costs. No TensorFlow."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

from cells.count import count
from cells.genotype.genotype import Genotype
from cells.spaces.space import Space, Tokens
from controller.strategy import Trial
from nasnet.data.dataset import DataSet
from nasnet.execution.config import ExecutionConfig
from nasnet.networks.config import NetworkConfig
from nasnet.networks.spec import architecture_of
from nasnet.runtime import devices
from nasnet.runtime.errors import SettingError
from nasnet.training.config import TrainingConfig
from nasnet.trials.config import NO_BASELINES, BaselineConfig, FinalConfig, SearchConfig
from nasnet.trials.spaces import trials_of

_FIXED_SECONDS = 23.0
"""To build a winner, to export it and to check that: of a search on digits on two idle cores, as all that is here."""
_START_SECONDS = 6.5
"""From the start of two workers on two cores to their first step."""
_POWER = 0.75
"""A step's seconds grow by this power of its mult-adds, and fall by this power of its threads."""
_MOST_THREADS = 4
"""That a small network makes use of."""
_LONGER = 4
"""Steps of a finalist for each of a child: 100 for the 25 of the defaults."""


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


def steps_of(training: TrainingConfig, data: DataSet) -> int:
    """How many steps a training has."""
    return training.steps or training.epochs * (len(data.train) // min(training.batch_size, len(data.train)))


def finalist_steps(options: SearchConfig, training: TrainingConfig, data: DataSet) -> int:
    """Those of a finalist: four times those of a child, where nothing else is said.

    Raises:
        SettingError: for fewer than a child's: then it is no longer training that ranks them.
    """
    return finalist_steps_after(options, steps_of(training, data))


def finalist_steps_after(options: SearchConfig, own: int) -> int:
    """As `finalist_steps`, of children that are trained for `own` steps."""
    if options.finalist_steps is None:
        return _LONGER * own
    if options.finalists and options.finalist_steps < own:
        rule = f"a child itself is trained for {own}; expected that many or more; unset, it is {_LONGER} times as many"
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
    return dataclasses.replace(child, repeats=final.final_repeats, filters=final.final_filters), recipe


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
    plan = Plan(trials_of(options, space), slots, options.finalists, options.finalist_seeds, longer, ratio)
    if not final.export:
        return plan
    network, recipe = final_of(final, child, training)
    steps = steps_of(recipe, data) / steps_of(training, data)
    gain = (min(devices.cores(), _MOST_THREADS) / execution.cpus_per_child) ** _POWER

    def mult_adds(genotype: Genotype, config: NetworkConfig) -> int:
        return count(architecture_of(genotype, config, len(data.classes)), data.image_shape).mult_adds

    @functools.cache
    def winner(tokens: Tokens) -> float:
        genotype = space.decode(tokens)
        return steps * (mult_adds(genotype, network) / mult_adds(genotype, child)) ** _POWER / gain

    start = _START_SECONDS if execution.workers and not execution.cluster else 0.0
    names = () if baselines is None else baseline_names(baselines)
    if baselines is not None and names:
        held = (1 + len(names)) * baselines.baseline_seeds
        ratio = baseline_steps(baselines, options, training, data) / steps_of(training, data)
        plan = dataclasses.replace(plan, held_against=held, held_longer=ratio)
    return dataclasses.replace(
        plan, winner=lambda trial: winner(trial.proposal.tokens), fixed=_FIXED_SECONDS, start=start
    )
