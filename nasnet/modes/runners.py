"""Which function a `--mode` runs. Each is imported when it is asked for: TensorFlow comes with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from controller.strategies import WITHOUT_LSTM
from nasnet.modes.flags import WITHOUT_TENSORFLOW, RunConfig
from nasnet.trials.config import TABLE

Runner = Callable[[RunConfig, Path], None]
"""From a resolved config and a workdir to files and lines on the screen."""


def needs_tensorflow(config: RunConfig) -> bool:
    """Whether a run does. A search in a table does where its strategy has an LSTM."""
    if makes_table(config):
        return False
    known = config.values.get("space") == TABLE and config.values["strategy"] in WITHOUT_LSTM
    return config.mode not in WITHOUT_TENSORFLOW and not known


def makes_table(config: RunConfig) -> bool:
    """Whether an export is a table of a search's trials: it reads the search alone, and goes on in no workdir."""
    return config.mode == "export" and config.values["format"] == "csv"


def runner(config: RunConfig) -> Runner:
    """The function of a config's mode, one of `flags.MODES`."""
    match config.mode:
        case "search" if config.values["space"] == TABLE:
            from nasnet.modes.tables.search import run_table_search as run
        case "search":
            from nasnet.modes.searched.run import run_search as run
        case "compare":
            from nasnet.modes.compared.compare import run_compare as run
        case "train":
            from nasnet.modes.train import run_train as run
        case "finetune":
            from nasnet.modes.train import run_finetune as run
        case "evaluate":
            from nasnet.modes.trained.evaluate import run_evaluate as run
        case "predict":
            from nasnet.modes.trained.predict import run_predict as run
        case "export" if makes_table(config):
            from nasnet.modes.tables.report import run_trials as run
        case "export":
            from nasnet.modes.trained.export import run_export as run
        case "tune":
            from nasnet.modes.trained.tune import run_tune as run
        case "count":
            from nasnet.modes.count import run_count as run
        case "report":
            from nasnet.modes.tables.report import run_report as run
        case "table":
            from nasnet.modes.tables.published import run_table as run
        case _:
            raise ValueError(f"no mode {config.mode!r}")
    return run
