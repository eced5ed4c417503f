"""How one network is trained. No TensorFlow."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from itertools import pairwise
from typing import Literal

from nasnet.data.dataset import DataSet
from nasnet.runtime.errors import SettingError
from nasnet.runtime.setting import Settings, setting


@dataclasses.dataclass(frozen=True)
class TrainingConfig(Settings):
    """How one network is trained."""

    epochs: int = setting(
        20, "passes over the training split (the paper's proxy: 20, appendix A.1)", unit="epochs", least=1
    )
    steps: int | None = setting(
        None, "training steps in all, instead of epochs; unset: the epochs decide", unit="steps", least=1
    )
    batch_size: int = setting(32, "pictures a step (slim's CIFAR recipe: 32)", unit="pictures", least=1)
    optimizer: Literal["momentum", "adam", "rmsprop"] = setting(
        "momentum", "momentum of 0.9 (appendix A.6), adam, or rmsprop of decay 0.9, epsilon 1 (A.7)"
    )
    learning_rate: float = setting(
        0.025, "highest learning rate, at the first step (slim's CIFAR recipe: 0.025)", above=0
    )
    schedule: Literal["cosine", "exponential", "step", "constant"] = setting(
        "cosine",
        "the rate falls by a cosine to zero over all steps (A.6), exponentially (A.7), at once at rate_drops, or not "
        "at all",
    )
    decay_rate: float = setting(
        0.97, "exponential: what the rate is multiplied by every decay_epochs (slim: 0.97)", above=0, most=1
    )
    decay_epochs: float = setting(
        2.4, "exponential: passes over the training split for one decay_rate (slim: 2.4)", unit="epochs", above=0
    )
    staircase: bool = setting(
        False, "exponential: the rate stays for decay_epochs and then falls at once (slim); otherwise it glides"
    )
    rate_drops: str = setting(
        "0.5,0.75",
        "step: at which shares of all steps the rate falls to a tenth, with commas between (ResNet on CIFAR-10: 32k "
        "and 48k of 64k); SHARE:FACTOR multiplies it by another factor",
    )
    warmup_epochs: float = setting(
        0.0, "passes in which the rate rises linearly from zero, 0 is off", unit="epochs", least=0
    )
    weight_decay: float = setting(
        5e-4, "L2 on all kernels, as half the squared norm (slim's CIFAR recipe: 5e-4)", least=0
    )
    clip_norm: float = setting(
        5.0, "global norm that gradients are clipped to, 0 is off (slim's CIFAR recipe: 5)", least=0
    )
    label_smoothing: float = setting(
        0.0, "share of the label spread over all classes (the paper's ImageNet: 0.1)", least=0, below=1
    )
    auxiliary_weight: float = setting(
        0.0,
        "weight of an auxiliary head's loss, 0 builds none (appendix A.7: 0.4; GoogLeNet's paper: 0.3 for each of its "
        "two); needs 9 pixels a side or more, with stem=imagenet 67, googlenet 65",
        least=0,
    )
    drop_path_keep: float = setting(
        1.0,
        "ScheduledDropPath: share of paths kept at the end in the last cell, 1 is off (slim's CIFAR recipe: 0.6)",
        above=0,
        most=1,
    )
    dropout_keep: float = setting(
        1.0, "share of features kept in front of the classifier (appendix A.7: 0.5; CIFAR 1)", above=0, most=1
    )
    augment: Literal["pad", "inception"] = setting(
        "pad",
        "how pictures are cropped: of the padded picture (CIFAR, A.6), or parts of any place, size and aspect ratio "
        "with other colours (ImageNet, slim's inception_preprocessing)",
    )
    pad: int | None = setting(
        None,
        "augment=pad: pixels to pad by before a random crop (A.6: 4 of 32); unset: 0 for digits, otherwise an eighth "
        "of each side",
        unit="pixels",
        least=0,
    )
    flip: bool | None = setting(None, "random horizontal flips (A.6); unset: off for digits, on otherwise")
    cutout: int = setting(
        0,
        "side in pixels of a square at a random place that is blanked, 0 is off (DARTS: 16 of 32)",
        unit="pixels",
        least=0,
    )
    ema_decay: float = setting(
        0.0,
        "decay of the moving average of the weights that is scored and saved in their place, 0 is off (A.7: 0.9999)",
        least=0,
        below=1,
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = setting(
        "float32", "what layers compute in; weights, loss and logits stay float32 (Keras' mixed precision policies)"
    )
    jit: Literal["auto", "on", "off"] = setting(
        "auto", "XLA for a step's forward and backward pass; auto is off: on a CPU it is slower (docs/results.md)"
    )
    bn_momentum: float = setting(
        0.9, "of the moving statistics of batch norm (slim's CIFAR recipe: 0.9)", least=0, below=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.drops
        if self.augment == "inception" and self.pad:
            raise SettingError("pad", self.pad, "has no meaning with augment=inception", see=("augment",))

    @property
    def drops(self) -> tuple[tuple[float, float], ...]:
        """`rate_drops` as pairs: a share of all steps, and what the rate is multiplied by from there on.

        Raises:
            SettingError: for anything but ascending shares between 0 and 1, with factors above 0.
        """
        found: list[tuple[float, float]] = []
        try:
            for text in self.rate_drops.split(","):
                share, _, factor = text.partition(":")
                found.append((float(share), float(factor or "0.1")))
        except ValueError:
            found.clear()
        shares = [share for share, _ in found]
        ascending = bool(shares) and shares[0] > 0 and shares[-1] < 1 and all(a < b for a, b in pairwise(shares))
        if not ascending or not all(0 < factor < math.inf for _, factor in found):
            rule = "must be ascending shares of all steps, such as 0.5,0.75 or 0.5:0.2,0.75:0.5"
            raise SettingError("rate_drops", self.rate_drops, rule)
        return tuple(found)


@dataclasses.dataclass(frozen=True)
class RecipeConfig(Settings):
    """Where a training's values come from, before its own flags."""

    recipe: str | None = setting(
        None,
        "published values to train by: cifar, imagenet-large, imagenet-mobile, lenet, alexnet, resnet-cifar, proxy, "
        "finetune, or a recipe.json; a flag overrides it",
    )


@dataclasses.dataclass(frozen=True)
class TransferConfig(Settings):
    """How a network goes on from weights that another training left."""

    trainable_cells: int | None = setting(
        None,
        "last cells that train (of a network by hand its blocks, modules or hidden layers), those before and the stem "
        "stay as they are; unset: all; 0: the head alone",
        unit="cells",
        least=0,
    )
    layer_decay: float = setting(
        1.0, "share of the learning rate of the cell after it that a cell has; 1 is off", above=0, most=1
    )
    head_epochs: float = setting(
        0.0, "passes in which only the fresh head trains, before all that is to train does", unit="epochs", least=0
    )


@dataclasses.dataclass(frozen=True)
class ReplicaConfig(Settings):
    """On how many devices one network trains, and what is written meanwhile.

    Another choice gives the same training.
    """

    distribute: Literal["auto", "none", "mirrored", "multiworker"] = setting(
        "auto",
        "one network on several devices: mirrored on the GPUs of this machine, multiworker on the machines that "
        "TF_CONFIG names; auto: what there is",
        free=True,
    )
    replicas: int | None = setting(
        None,
        "with mirrored: how many GPUs, or without any how many parts of the CPU; unset: every GPU",
        unit="replicas",
        least=1,
        free=True,
    )
    keep_checkpoints: int = setting(
        2, "newest checkpoints that are kept in workdir/checkpoints", unit="checkpoints", least=1, free=True
    )
    checkpoint_steps: int | None = setting(
        None, "steps between checkpoints; unset: one at the end of each epoch", unit="steps", least=1, free=True
    )
    valid_epochs: int = setting(
        1, "epochs between scores on the valid split, 0 is never before the end", unit="epochs", least=0, free=True
    )


@dataclasses.dataclass(frozen=True)
class TuneConfig(Settings):
    """What hyperparameters of fine-tuning are tried, and how."""

    tuner: Literal["hyperband", "grid"] = setting(
        "hyperband", "KerasTuner's Hyperband, or a grid (the 2017 paper ends with a small one)"
    )
    tune_epochs: int = setting(9, "most epochs of a trial; all of a grid's trials have so many", unit="epochs", least=1)
    tune_trials: int | None = setting(None, "most trials of a grid; unset: all of it", unit="trials", least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tuner != "grid" and self.tune_trials is not None:
            rule = "goes with tuner=grid; Hyperband has as many as follow from tune_epochs"
            raise SettingError("tune_trials", self.tune_trials, rule, see=("tuner", "tune_epochs"))


_OF_SCHEDULE = {
    **dict.fromkeys(("decay_rate", "decay_epochs", "staircase"), "exponential"),
    "rate_drops": "step",
}


def check_schedule(training: TrainingConfig, given: Collection[str]) -> None:
    """Raises SettingError for a given setting of a schedule that is not the training's."""
    for name, schedule in _OF_SCHEDULE.items():
        if name in given and training.schedule != schedule:
            rule = f"has no meaning with schedule={training.schedule}; it goes with schedule={schedule}"
            raise SettingError(name, getattr(training, name), rule)


def resolve_augmentation(config: TrainingConfig, data: DataSet) -> TrainingConfig:
    """Fills in padding and flipping where the data set decides: what would make a picture one of another class is off.

    Both are off for digits. Elsewhere pictures are padded by an eighth of each side (A.6: 4 of 32), unless Inception's
    crops are in the place of that, and flipped. Where
    the two sides differ, no one number says that: `pad` stays unset, and `pad_of` has both.
    """
    pad = config.pad
    if pad is None:
        pads = set(pad_of(None, data.image_shape)) if data.shift_keeps_class and config.augment == "pad" else {0}
        pad = pads.pop() if len(pads) == 1 else None
    flip = data.mirror_keeps_class if config.flip is None else config.flip
    return dataclasses.replace(config, pad=pad, flip=flip)


def pad_of(pad: int | None, image_shape: tuple[int, int, int]) -> tuple[int, int]:
    """Pixels to pad by above and below, and left and right: `pad`, or an eighth of each side where it is unset."""
    height, width, _ = image_shape
    return (height // 8, width // 8) if pad is None else (pad, pad)
