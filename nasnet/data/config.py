"""Which pictures. No TensorFlow."""

from __future__ import annotations

import dataclasses

from nasnet.runtime.setting import Settings, setting


@dataclasses.dataclass(frozen=True)
class DataConfig(Settings):
    """Which pictures."""

    dataset: str = setting("digits", "digits (embedded), tfds:NAME, folder:PATH (one folder a class) or npz:PATH")
    image_size: int | None = setting(
        None, "pixels a side to resize every picture to; unset keeps their size", unit="pixels", least=1
    )
