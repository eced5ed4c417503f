"""How cells are stacked, and where a network comes from. No TensorFlow."""

from __future__ import annotations

import dataclasses
from typing import Literal

from nasnet.runtime.setting import Settings, setting


@dataclasses.dataclass(frozen=True)
class NetworkConfig(Settings):
    """How cells are stacked."""

    repeats: int = setting(
        2, "Normal Cells a stage: N of the paper, section 4 (its proxy has 2, appendix A.1)", unit="cells", least=1
    )
    filters: int = setting(
        16,
        "channels in the first cell, doubled at each reduction; the paper's N@P has P = 24 times this for NASNet-A",
        unit="channels",
        least=2,
    )
    stem: Literal["cifar", "imagenet"] = setting(
        "cifar", "first layers: one convolution, or a strided one and two Reduction Cells"
    )
    stem_multiplier: float | None = setting(
        None,
        "channels of the stem's convolution: times --filters in the cifar stem (unset is slim's 3), times 32 in the "
        "imagenet stem (unset is 1; NASNet-A large has 3)",
        above=0,
    )
    skip_reduction_input: bool = setting(
        False, "the cell after a reduction takes as h[i-1] what came before the reduction's input (NASNet-A large)"
    )


@dataclasses.dataclass(frozen=True)
class SourceConfig(Settings):
    """Which cells are trained."""

    model: str = setting("nasnet_a", "cells to train: a name of cells/zoo/cells.py, or the path of a genotype.json")


@dataclasses.dataclass(frozen=True)
class FromConfig(Settings):
    """Where a trained network comes from: a run of training, an export, or keras.applications."""

    source: str | None = setting(
        None,
        "folder with genotype.json and model.keras or weights.npz: a run of mode train, best/, one of children/; or "
        "keras:NASNetMobile, keras:NASNetLarge with their ImageNet weights",
        flag="from",
    )
    weights: str | None = setting(
        None, "file of keras:NAME (.h5, .weights.h5, .keras), of any number of classes, in place of a download"
    )


KERAS = "keras:"
"""What `FromConfig.source` begins with for a network of keras.applications."""
