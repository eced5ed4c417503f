"""What is searched, how, and for how long. No TensorFlow."""

from __future__ import annotations

import dataclasses
from typing import Literal

from nasnet.runtime.setting import Settings, setting


@dataclasses.dataclass(frozen=True)
class SearchConfig(Settings):
    """What is searched, how, and for how long."""

    space: Literal["nasnet"] = setting("nasnet", "search space (section 3)")
    blocks: int = setting(5, "blocks a cell: B of the paper, section 3", unit="blocks", least=1, most=20)
    strategy: Literal["ppo", "reinforce", "random", "grid"] = setting(
        "ppo",
        "who proposes: the LSTM controller, with PPO (A.2) or with REINFORCE (2017 paper); random; or grid, which "
        "tries everything once, evenly spread where there are fewer trials",
    )
    estimator: Literal["proxy"] = setting("proxy", "how a cell is scored: short training of a small network (A.1)")
    trials: int = setting(
        200,
        "cells to try in all (the paper: 20,000; A.3); more on the same workdir go on, with the finalists ranked anew",
        unit="trials",
        least=1,
        free=True,
    )
    stop_after: float | None = setting(
        None,
        "time after which no more trials are made, and the best so far are ranked, trained and exported; counted from "
        "the start of each process",
        unit="minutes",
        above=0,
        free=True,
    )
    repeat_cells: bool = setting(
        False,
        "train a cell again that a trial before it had, in mirror image or not; otherwise that trial's reward is taken",
    )
    child: Literal["functions", "keras"] = setting(
        "functions", "how children are built: as plain functions, or as Keras models for checking (ten times slower)"
    )
    reward: Literal["last", "best_of_last_5"] = setting(
        "last", "valid accuracy at the end (A.1), or the best at the end of the last 5 epochs (2017 paper, there cubed)"
    )
    statistics: Literal["reestimated", "moving"] = setting(
        "reestimated",
        "of batch norm when a child is scored: a training batch's for its last weights, or the moving ones, which tens "
        "of steps are short for (docs/search.md)",
    )
    finalists: int = setting(
        3,
        "best trials to train longer and rank anew before one is exported, 0 is none (the paper: 250; A.3)",
        unit="trials",
        least=0,
    )
    finalist_steps: int | None = setting(
        None,
        "training steps of a finalist, no fewer than a child has; unset: four times those (the paper: to convergence)",
        unit="steps",
        least=1,
    )
    finalist_seeds: int = setting(
        2, "fresh starts of each finalist; its rank is by the mean of their rewards", unit="starts", least=1
    )
    deterministic: bool | None = setting(
        None,
        "the same proposals whatever number of workers, in waves of update_trials (docs/distributed.md); unset: on "
        "where four children or more of a wave fall to each worker of this machine",
    )
    keep_weights: int = setting(
        3,
        "best children whose weights are kept in workdir/children, 0 is none",
        unit="children",
        least=0,
        free=True,
    )


@dataclasses.dataclass(frozen=True)
class LimitConfig(Settings):
    """Children over these are invalid, which is found from the genotype before they start."""

    max_params: int | None = setting(None, "most trainable parameters of a child", unit="parameters", least=1)
    max_mult_adds: int | None = setting(None, "most mult-adds of a child, a picture", unit="mult-adds", least=1)
    max_memory: int | None = setting(
        None,
        "most memory of a child's training step, counted: weights, gradients, momentum, a batch's activations",
        unit="MiB",
        least=1,
    )


@dataclasses.dataclass(frozen=True)
class FinalConfig(Settings):
    """How the best cell of a search is trained for export."""

    export: bool = setting(
        True, "train and export the best cell at the end; otherwise the trials are all that is left", free=True
    )
    final_repeats: int = setting(
        1, "Normal Cells a stage of the network that the best cell is exported in", unit="cells", least=1
    )
    final_filters: int = setting(16, "channels in its first cell", unit="channels", least=2)
    final_epochs: int = setting(15, "its passes over the training split", unit="epochs", least=1)
    final_learning_rate: float = setting(0.05, "its learning rate at the first step", above=0)
