"""What is looked at, and where it is written. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Literal

from nasnet.runtime.errors import SettingError
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
class ExportConfig(Settings):
    """What is made of a trained network, or of a search."""

    format: Literal["model", "csv"] = setting(
        "model",
        "model: a folder to serve the network from; csv: a table of the trials of the search in the folder that from "
        "names, one row a trial, also while it runs",
    )
    csv: str | None = setting(None, "file for that table; unset is workdir/trials.csv")

    def check_given(self, given: Mapping[str, object]) -> None:
        """Raises SettingError for a setting that is given and would do nothing."""
        if self.format == "csv":
            for name in given.keys() - {"format", "csv", "from"}:
                raise SettingError(
                    name, given[name], "has no meaning with format=csv: a table is made of a search alone"
                )
        elif self.csv is not None:
            raise SettingError("csv", self.csv, "has no meaning without format=csv")


@dataclasses.dataclass(frozen=True)
class ReportConfig(Settings):
    """Where a report is written."""

    html: str | None = setting(None, "file to write it to; unset is workdir/report.html")
    csv: str | None = setting(None, "file for a table of the search's trials in place of a report, one row a trial")


@dataclasses.dataclass(frozen=True)
class TableConfig(Settings):
    """How the papers' tables are shown."""

    format: Literal["text", "markdown", "csv"] = setting(
        "text", "how the tables are written on the screen: text, markdown or csv"
    )


@dataclasses.dataclass(frozen=True)
class CompareConfig(Settings):
    """Which networks are compared, and how."""

    models: str | None = setting(
        None,
        "networks to compare, with commas between, first the one that the others are held against: names and paths as "
        "model takes them; a folder such as best/ gives its network, which is trained afresh",
    )
    seeds: int = setting(
        3,
        "trainings of each network, from the run's seed on; more on the same workdir go on",
        unit="trainings",
        least=1,
        free=True,
    )
    match: Literal["none", "params", "mult_adds", "latency"] = setting(
        "none",
        "make each network as large as the first, within 5%: by its filters, and where that is too coarse by "
        "stem_multiplier and repeats, or by width where it is made by hand; or as fast, within 10%, as measured here",
    )
    latency_on: Literal["tensorflow", "litert"] = setting(
        "tensorflow", "what runs them for match=latency, a picture at a time"
    )
    inference_batch: int = setting(
        256, "pictures at a time when the speed of a trained network is measured", unit="pictures", least=1
    )
    test: bool = setting(False, "open the test split once, at the end, and score each trained network on it", free=True)

    def check_given(self, given: Collection[str]) -> None:
        """Raises SettingError for a setting that is given and would do nothing."""
        if "latency_on" in given and self.match != "latency":
            raise SettingError("latency_on", self.latency_on, "has no meaning without match=latency")
