"""What is searched, how, and for how long. No TensorFlow."""

from __future__ import annotations

import dataclasses
from typing import Literal

from nasnet.runtime.setting import setting


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """What is searched, how, and for how long."""

    space: Literal["nasnet"] = setting("nasnet", "search space (section 3)")
    blocks: int = setting(5, "blocks a cell: B of the paper, section 3")
    strategy: Literal["ppo", "random"] = setting("ppo", "who proposes: the LSTM controller with PPO (A.2), or random")
    estimator: Literal["proxy"] = setting("proxy", "how a cell is scored: short training of a small network (A.1)")
    trials: int = setting(200, "cells to try in all (the paper: 20,000; A.3)")
    child: Literal["functions", "keras"] = setting(
        "functions", "how children are built: as plain functions, or as Keras models for checking (ten times slower)"
    )
    reward: Literal["last", "best_of_last_5"] = setting(
        "last", "valid accuracy at the end (A.1), or the best at the end of the last 5 epochs (2017 paper, there cubed)"
    )
    finalists: int = setting(
        3,
        "best trials to train longer and rank anew before one is exported, 0 is none (the paper: 250; A.3)",
    )
    finalist_steps: int = setting(100, "training steps of a finalist (the paper trains to convergence)")
    finalist_seeds: int = setting(2, "fresh starts of each finalist; its rank is by the mean of their rewards")


@dataclasses.dataclass(frozen=True)
class LimitConfig:
    """Children over these are invalid, which is found from the genotype before they start."""

    max_params: int | None = setting(None, "most trainable parameters of a child")
    max_mult_adds: int | None = setting(None, "most mult-adds of a child, a picture")
    max_memory: int | None = setting(
        None, "most MiB of a child's training step, counted: weights, gradients, momentum, a batch's activations"
    )


@dataclasses.dataclass(frozen=True)
class FinalConfig:
    """How the best cell of a search is trained for export."""

    final_repeats: int = setting(1, "Normal Cells a stage of the network that the best cell is exported in")
    final_filters: int = setting(16, "channels in its first cell")
    final_epochs: int = setting(15, "its passes over the training split")
    final_learning_rate: float = setting(0.05, "its learning rate at the first step")
