"""Which pictures. No TensorFlow."""

from __future__ import annotations

import dataclasses
from typing import Literal

from nasnet.runtime.setting import Settings, setting


@dataclasses.dataclass(frozen=True)
class DataConfig(Settings):
    """Which pictures."""

    dataset: str = setting(
        "digits", "digits (embedded), folder:PATH (one folder a class), npz:PATH or tfds:NAME[:CONFIG]"
    )
    data_dir: str | None = setting(
        None,
        "folder of TensorFlow Datasets that tfds:NAME lies in or is prepared in; unset is $TFDS_DATA_DIR, or "
        "~/tensorflow_datasets where that is unset",
        free=True,
    )  # free: the fingerprint says whether what lies there now is the same pictures
    image_size: int | None = setting(
        None, "pixels a side to resize every picture to; unset keeps their size", unit="pixels", least=1, most=9459
    )  # as many pixels as the largest picture that is decoded (data/pictures.py)
    channels: Literal["auto", "1", "3"] = setting(
        "auto", "1 makes every picture grey, 3 RGB; auto is RGB where any file has colour (RGB files do, grey or not)"
    )
    valid_fraction: float = setting(
        0.1,
        "share of the pictures that is set aside for valid where there is no such split (the paper: 5,000 of 50,000); "
        "digits have 397 of 1,797 in any case",
        above=0,
        below=0.9,
    )
    skip_broken: bool = setting(
        False, "leave out files that are no readable pictures, in place of an error for them", free=True
    )  # free: with it or without it, the fingerprint says whether the pictures are the same
