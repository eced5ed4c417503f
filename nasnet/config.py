"""What a user can set, as small frozen values. No TensorFlow here: `--help` must answer at once.

Each field is a flag of `train.py` of the same name. Its `metadata["help"]` tells what it is, its unit and its source.
"""

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
class ExecutionConfig:
    """Where children run, with what, and for how long."""

    workers: int | None = setting(
        None,
        "worker processes on this machine, one child each; 0 runs children in this process, for debugging; with "
        "--cluster, the most children at a time; unset: one for each --cpus_per_child cores, or --gpus_per_child GPUs",
    )
    cluster: str | None = setting(
        None, "Ray cluster to run children on: auto (the one on this machine), HOST:PORT or ray://HOST:PORT"
    )
    cpus_per_child: int = setting(
        1, "TensorFlow threads of a child, set before it starts; decides the last bits of a reward (docs/results.md)"
    )
    gpus_per_child: int | None = setting(None, "GPUs of a child; unset: 1 where this machine has any, else 0")
    memory_per_child: int | None = setting(
        None, "MiB of memory of a child's process, some 500 for TensorFlow included, before it is ended as oom"
    )
    seconds_per_child: float | None = setting(None, "seconds of a child before it is ended as timeout")
    children_per_worker: int = setting(200, "children that a worker process trains before a fresh one takes its place")
    retries: int = setting(3, "times that a child is run again after its process was killed from outside, then lost")
    deterministic: bool | None = setting(
        None,
        "the same proposals whatever number of workers, in waves of --update_trials (docs/distributed.md); unset: on "
        "where four children or more of a wave fall to each worker of this machine",
    )
    keep_weights: int = setting(3, "best children whose weights are kept in workdir/children, 0 is none")
    stop_seconds: float = setting(
        10.0, "seconds that running children have to end after SIGINT or SIGTERM, before they are ended"
    )


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
