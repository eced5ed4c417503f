"""What a user can set, as small frozen values. No TensorFlow here: `--help` must answer at once.

Each field is a flag of `train.py` of the same name. Its `metadata["help"]` tells what it is, its unit and its source.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from nasnet.runtime.setting import setting


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How one network is trained."""

    epochs: int = setting(20, "passes over the training split (the paper's proxy: 20, appendix A.1)")
    steps: int | None = setting(None, "training steps in all, instead of epochs; unset: the epochs decide")
    batch_size: int = setting(32, "pictures a step (slim's CIFAR recipe: 32)")
    optimizer: Literal["momentum", "adam", "rmsprop"] = setting(
        "momentum", "momentum of 0.9 (appendix A.6), adam, or rmsprop of decay 0.9, epsilon 1 (A.7)"
    )
    learning_rate: float = setting(0.025, "highest learning rate, at the first step (slim's CIFAR recipe: 0.025)")
    schedule: Literal["cosine", "exponential", "constant"] = setting(
        "cosine", "the rate falls by a cosine to zero over all steps (A.6), exponentially (A.7), or not at all"
    )
    decay_rate: float = setting(0.97, "exponential: what the rate is multiplied by every --decay_epochs (slim: 0.97)")
    decay_epochs: float = setting(2.4, "exponential: passes over the training split for one --decay_rate (slim: 2.4)")
    warmup_epochs: float = setting(0.0, "passes in which the rate rises linearly from zero, 0 is off")
    weight_decay: float = setting(5e-4, "L2 on all kernels, as half the squared norm (slim's CIFAR recipe: 5e-4)")
    clip_norm: float = setting(5.0, "global norm that gradients are clipped to, 0 is off (slim's CIFAR recipe: 5)")
    label_smoothing: float = setting(0.0, "share of the label spread over all classes (the paper's ImageNet: 0.1)")
    auxiliary_weight: float = setting(
        0.0, "weight of the auxiliary head's loss, 0 builds none (appendix A.7: 0.4); needs 20 pixels a side or more"
    )
    drop_path_keep: float = setting(
        1.0, "ScheduledDropPath: share of paths kept at the end in the last cell, 1 is off (slim's CIFAR recipe: 0.6)"
    )
    dropout_keep: float = setting(1.0, "share of features kept in front of the classifier (appendix A.7: 0.5; CIFAR 1)")
    pad: int | None = setting(
        None,
        "pixels to pad by before a random crop (A.6: 4 of 32); unset: 0 for digits, an eighth of the side otherwise",
    )
    flip: bool | None = setting(None, "random horizontal flips (A.6); unset: off for digits, on otherwise")
    cutout: int = setting(0, "side in pixels of a square at a random place that is blanked, 0 is off (DARTS: 16 of 32)")
    ema_decay: float = setting(
        0.0,
        "decay of the moving average of the weights that is scored and saved in their place, 0 is off (A.7: 0.9999)",
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = setting(
        "float32", "what layers compute in; weights, loss and logits stay float32 (Keras' mixed precision policies)"
    )
    jit: Literal["auto", "on", "off"] = setting(
        "auto", "XLA for a step's forward and backward pass; auto is off: on a CPU it is slower (docs/results.md)"
    )
    bn_momentum: float = setting(0.9, "of the moving statistics of batch norm (slim's CIFAR recipe: 0.9)")


CHILD_MUST_HAVE = {
    "auxiliary_weight": 0.0,
    "drop_path_keep": 1.0,
    "dropout_keep": 1.0,
    "optimizer": "momentum",
    "schedule": "cosine",
    "warmup_epochs": 0.0,
    "ema_decay": 0.0,
    "precision": "float32",
    "jit": "auto",
}
"""Values of a `TrainingConfig` that a child can't depart from: it has none of these."""


@dataclasses.dataclass(frozen=True)
class RecipeConfig:
    """Where a training's values come from, before its own flags."""

    recipe: str | None = setting(
        None,
        "published values to train by: cifar, imagenet-large, imagenet-mobile, proxy, finetune (nasnet/recipes.py), or "
        "a recipe.json; a flag goes before it",
    )


@dataclasses.dataclass(frozen=True)
class TransferConfig:
    """How a network goes on from weights that another training left."""

    trainable_cells: int | None = setting(
        None, "last cells that train, those before and the stem stay as they are; unset: all; 0: the head alone"
    )
    layer_decay: float = setting(1.0, "share of the learning rate of the cell after it that a cell has; 1 is off")
    head_epochs: float = setting(0.0, "passes in which only the fresh head trains, before all that is to train does")


@dataclasses.dataclass(frozen=True)
class ReplicaConfig:
    """On how many devices one network trains, and what is written meanwhile. Another choice gives the same training."""

    distribute: Literal["auto", "none", "mirrored", "multiworker"] = setting(
        "auto",
        "one network on several devices: mirrored on the GPUs of this machine, multiworker on the machines that "
        "TF_CONFIG names; auto: what there is",
    )
    replicas: int | None = setting(
        None, "with mirrored: how many GPUs, or without any how many parts of the CPU; unset: every GPU"
    )
    keep_checkpoints: int = setting(2, "newest checkpoints that are kept in workdir/checkpoints")
    checkpoint_steps: int | None = setting(None, "steps between checkpoints; unset: one at the end of each epoch")
    valid_epochs: int = setting(1, "epochs between scores on the valid split, 0 is never before the end")


@dataclasses.dataclass(frozen=True)
class TuneConfig:
    """What hyperparameters of fine-tuning are tried, and how."""

    tuner: Literal["hyperband", "grid"] = setting(
        "hyperband", "KerasTuner's Hyperband, or a grid (the 2017 paper ends with a small one)"
    )
    tune_epochs: int = setting(9, "most epochs of a trial; all of a grid's trials have so many")
    tune_trials: int | None = setting(None, "most trials of a grid; unset: all of it")

    def __post_init__(self) -> None:
        if self.tuner != "grid" and self.tune_trials is not None:
            raise ValueError(
                f"tune_trials goes with --tuner=grid, for Hyperband follows --tune_epochs; got {self.tune_trials}"
            )


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
