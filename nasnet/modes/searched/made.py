"""What a search is made of: its limits, estimators, strategy; what this process is to be for it."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import tensorflow as tf

from cells.spaces.space import Space
from controller.config import FailureConfig, LearnerConfig, PolicyGradientConfig
from controller.strategies import make_strategy
from controller.strategy import Strategy
from nasnet.data.dataset import DataSet
from nasnet.estimators.estimator import Estimator
from nasnet.estimators.proxy import ProxyEstimator
from nasnet.execution.config import ExecutionConfig
from nasnet.execution.memory import MemoryNeed, lacking
from nasnet.modes.compared.baselines import baseline_estimators
from nasnet.modes.flags import RunConfig
from nasnet.modes.inputs import check_children
from nasnet.networks.config import NetworkConfig
from nasnet.networks.spec import architecture_of
from nasnet.reports.search import fit_memory
from nasnet.runtime import devices
from nasnet.runtime.console import say
from nasnet.runtime.errors import UserError
from nasnet.training.config import TrainingConfig
from nasnet.trials.config import FinalConfig, LimitConfig, SearchConfig
from nasnet.trials.limits import Limits
from nasnet.trials.loop.rungs import PROXY, rung_estimators
from nasnet.trials.plan import exported, final_of, finalist_steps, of_first_rung, steps_of
from nasnet.trials.spaces import children_of, drawn_genotypes, features_of, first_tokens, start_tokens

_DRAWN = 8  # networks that are counted to say what a child takes


def say_short(config: RunConfig, data: DataSet) -> None:
    """Says it where the winner, whose length is in epochs, is trained for fewer steps than a finalist: few pictures."""
    options, final, training = config.group(SearchConfig), config.group(FinalConfig), config.group(TrainingConfig)
    _, recipe = final_of(final, config.group(NetworkConfig), training)
    steps, longer = steps_of(recipe, data), finalist_steps(options, training, data)
    if final.export and options.finalists and steps < longer:
        epochs = -(-longer * final.final_epochs // steps)  # as many, rounded up
        say(
            f"note: --final_epochs={final.final_epochs} of {len(data.train)} pictures are {steps} steps for the "
            f"winner, fewer than a finalist's {longer}; --final_epochs={epochs} would be as many"
        )


def set_up(execution: ExecutionConfig) -> None:
    """Threads and GPUs, before anything starts TensorFlow: a set of TensorFlow Datasets does when it is opened."""
    # One thread an operation: the controller is small, and the winner's operations run side by side (docs/results.md).
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        if not (execution.workers or execution.cluster):
            tf.config.threading.set_inter_op_parallelism_threads(execution.cpus_per_child)
        devices.grow_memory()  # the children's GPUs are the same ones
    except RuntimeError:  # only a program that is not ours can have started it
        say("note: TensorFlow had started before the search, and keeps its threads: last bits of rewards may differ")


def check(config: RunConfig, data: DataSet, space: Space) -> Limits:
    """Finds what is wrong with the flags before anything is written. Returns the children's limits."""
    training = config.group(TrainingConfig)
    pictures: dict[str, Any] = {"classes": len(data.classes), "image_shape": data.image_shape}
    check_children(config, space, **pictures)
    finalist_steps(config.group(SearchConfig), training, data)
    child = config.group(NetworkConfig)
    limits = Limits(
        config.group(LimitConfig),
        functools.partial(architecture_of, network=child, **pictures),
        data.image_shape,
        min(training.batch_size, len(data.train)),
        exported=functools.partial(exported, final=config.group(FinalConfig), child=child, **pictures),
    )
    if not config.group(ExecutionConfig).cluster and "estimator" not in config.own:  # one of a program's may train none
        _check_memory(limits, space, child)
    return limits


def _check_memory(limits: Limits, space: Space, child: NetworkConfig) -> None:
    """Raises UserError where even the smallest of some children has more weights than this machine has memory for.

    What else a step takes is not counted: a child that does not fit for that is one that failed.
    """
    costs = map(limits.costs, drawn_genotypes(space, _DRAWN, limits.network))
    parameters = min((of_it["parameters"] for of_it in costs if of_it), default=0)  # none of what fits no such pictures
    if short := lacking(parameters):
        children = f"children {children_of(space, child)} have {parameters:,} parameters or more"
        raise UserError(f"{children}: to train one {short}; expected smaller ones")


def fitting(execution: ExecutionConfig, data: DataSet, space: Space, limits: Limits) -> ExecutionConfig:
    """As many workers as there is memory for, which is said. Their number is no part of what comes of a search."""
    if execution.cluster or not execution.workers:
        return execution
    child = max(map(limits.memory, drawn_genotypes(space, _DRAWN, limits.network)))
    return fit_memory(execution, MemoryNeed.of(data, child, execution.memory_per_child))


def estimators(config: RunConfig, data: DataSet) -> dict[str, Estimator[Any]]:
    """What children, finalists and baselines are scored by, by name."""
    options = config.group(SearchConfig)
    training = config.group(TrainingConfig)
    child = config.group(NetworkConfig)
    first = of_first_rung(options, training)
    proxy = ProxyEstimator(data, child, first, config.seed, options.child, options.reward, options.statistics)
    longer = dataclasses.replace(training, steps=finalist_steps(options, training, data))
    finalist = dataclasses.replace(proxy, training=longer)
    later = rung_estimators(proxy, options.rung_steps)
    if (own := config.object("estimator")) is not None:
        return {PROXY: own, "finalist": finalist, **baseline_estimators(config, proxy)}
    return {PROXY: proxy, **later, "finalist": finalist, **baseline_estimators(config, proxy)}


def strategy_of(name: str, space: Space, config: RunConfig) -> Strategy:
    """The strategy of this name, as the config says it; a program's own, or what that makes of decisions and a seed."""
    if (own := config.object("strategy")) is not None:
        return own if hasattr(own, "propose") and not isinstance(own, type) else own(space.decisions, config.seed)
    learning, failures = config.group(PolicyGradientConfig), config.group(FailureConfig)
    others = config.seed, first_tokens(space), config.group(LearnerConfig), features_of(space)
    start = tuple(start_tokens(config.group(SearchConfig), space))
    return make_strategy(name, space.decisions, space.length, learning, failures, *others, start)
