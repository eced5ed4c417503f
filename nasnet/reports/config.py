"""What is looked at, and where it is written. No TensorFlow."""

from __future__ import annotations

import dataclasses
from typing import Literal

from nasnet.runtime.setting import Settings, setting


@dataclasses.dataclass(frozen=True)
class EvaluateConfig(Settings):
    """What a network is scored on."""

    split: Literal["valid+test", "all", "train", "valid", "test"] = setting(
        "valid+test", "pictures to score: those of a split, or all that there are"
    )


@dataclasses.dataclass(frozen=True)
class PredictConfig(Settings):
    """What is said of a picture."""

    top: int = setting(5, "classes to name for each picture, the likeliest first", unit="classes", least=1)
    csv: str | None = setting(None, "file to write them to; unset is workdir/predictions.csv")


@dataclasses.dataclass(frozen=True)
class ReportConfig(Settings):
    """Where a report is written."""

    html: str | None = setting(None, "file to write it to; unset is workdir/report.html")


@dataclasses.dataclass(frozen=True)
class TableConfig(Settings):
    """How the papers' tables are shown."""

    format: Literal["text", "markdown", "csv"] = setting("text", "how the tables are written, on the screen")
