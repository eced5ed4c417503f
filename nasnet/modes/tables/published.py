"""`--mode=table`: the papers' tables, our counts beside the printed ones. No TensorFlow."""

from __future__ import annotations

from pathlib import Path

from nasnet.modes.flags import RunConfig
from nasnet.reports.config import TableConfig
from nasnet.reports.tables.published import FORMATS
from nasnet.runtime.console import say


def run_table(config: RunConfig, workdir: Path) -> None:
    """Prints them; writes nothing."""
    del workdir
    for line in FORMATS[config.group(TableConfig).format]():
        say(line)
