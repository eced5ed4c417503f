"""How large a network is, and where it comes from. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from nasnet.runtime.errors import SettingError
from nasnet.runtime.setting import Settings, setting


@dataclasses.dataclass(frozen=True)
class NetworkConfig(Settings):
    """How cells are stacked, how wide a hand-made network is."""

    repeats: int = setting(
        2, "Normal Cells a stage: N of the paper, section 4 (its proxy has 2, appendix A.1)", unit="cells", least=1
    )
    filters: int = setting(
        16,
        "channels in the first cell, doubled at each reduction; the paper's N@P has P = 24 times this for NASNet-A",
        unit="channels",
        least=2,
    )
    parameters: int | None = setting(
        None,
        "a size in place of filters or width: as many of them as bring the network to so many trainable parameters, "
        "within 5%, by stem_multiplier too where filters come in coarser steps; unset: filters and width decide",
        unit="parameters",
        least=1,
    )
    stem: Literal["cifar", "imagenet"] = setting(
        "cifar", "first layers: one convolution, or a strided one and two Reduction Cells"
    )
    stem_multiplier: float | None = setting(
        None,
        "channels of the stem's convolution: times filters in the cifar stem (unset is slim's 3), times 32 in the "
        "imagenet stem (unset is 1; NASNet-A large has 3)",
        above=0,
    )
    skip_reduction_input: bool = setting(
        False, "the cell after a reduction takes as h[i-1] what came before the reduction's input (NASNet-A large)"
    )
    width: float | None = setting(
        None,
        "of a hand-made network: what the channels and units of all its hidden layers are multiplied by; unset: 1, as "
        "published, or what its file says",
        above=0,
    )

    def check_given(self, given: Mapping[str, object]) -> None:
        """Raises SettingError for a given size that `parameters` decides."""
        for name in ("filters", "width"):
            if self.parameters is not None and name in given:
                rule = f"is what parameters={self.parameters} decides; expected one of the two"
                raise SettingError(name, given[name], rule)


@dataclasses.dataclass(frozen=True)
class SourceConfig(Settings):
    """Which network."""

    model: str = setting(
        "nasnet_a",
        "cells or a hand-made network by name, or the path of a genotype.json or of a folder like best/; all: lists "
        "their names",
    )


@dataclasses.dataclass(frozen=True)
class CountConfig(Settings):
    """What a network is counted for."""

    image_size: int | None = setting(
        None, "pixels a side of the pictures; unset: as the network was published or trained", unit="pixels", least=1
    )
    channels: Literal["auto", "1", "3"] = setting(
        "auto", "of the pictures; auto: as the network was published or trained"
    )
    classes: int | None = setting(
        None, "size of the logits; unset: as the network was published or trained", unit="classes", least=2
    )
    auxiliary: bool = setting(False, "with the heads that only training has")
    layers: bool = setting(False, "a table besides: each part's output, parameters and mult-adds")


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
