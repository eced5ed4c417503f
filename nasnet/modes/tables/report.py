"""What a search's folder holds, to look at: `--mode=report`, the report that every search leaves, a table of trials.

No TensorFlow.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from cells.architecture import Architecture
from cells.genotype.genotype import Genotype
from cells.spaces.space import Space
from nasnet.estimators.estimator import Timing
from nasnet.estimators.table import read_table
from nasnet.modes.flags import FREE, RunConfig
from nasnet.modes.help import command_again
from nasnet.modes.workdir import read_config
from nasnet.networks.config import FromConfig, NetworkConfig
from nasnet.networks.spec import Shape
from nasnet.reports.config import ExportConfig, ReportConfig
from nasnet.reports.page.report import report
from nasnet.reports.page.run import SECONDS, Setup, read_run
from nasnet.reports.tables.trials import TRIALS, trials_csv
from nasnet.runtime.console import say
from nasnet.runtime.errors import RunError, SettingError, UserError, first_line
from nasnet.runtime.files import expanded, write_json, write_text
from nasnet.runtime.schema import read_as
from nasnet.trials.config import TABLE, ChainConfig, FinalConfig, SearchConfig
from nasnet.trials.plan import exported
from nasnet.trials.spaces import make_space, trials_of

REPORT = "report.html"


def run_report(config: RunConfig, workdir: Path) -> None:
    """Writes the report of the search in `workdir`, compared with those in the folders that the command names beside.

    Only the report is written: the searches may be going on.

    Raises:
        UserError: for a folder that is none of a search, or that stands twice; for a journal that is damaged.
    """
    html, folders = config.group(ReportConfig).html, [workdir, *map(expanded, config.paths)]
    real = [folder.resolve() for folder in folders]
    if twice := [folder for place, folder in enumerate(folders) if real[place] in real[:place]]:
        raise UserError(f"{twice[0]}: stands twice; expected different folders")
    table = config.group(ReportConfig).csv
    if table is None:
        _write(folders, workdir / REPORT if html is None else expanded(html))
        return
    if html is not None or len(folders) > 1:
        raise SettingError("csv", table, "is a table of one search, in place of a report; expected no html, one folder")
    _write_trials(workdir, expanded(table))


def run_trials(config: RunConfig, workdir: Path) -> None:
    """Writes a table of the trials of the search that `--from` names, which may be going on: that is read alone.

    Raises:
        UserError: for a folder that is none of a search, or a journal that is damaged.
    """
    options, source = config.group(ExportConfig), config.group(FromConfig).source
    if source is None:
        raise UserError("--from is missing; give the folder of a search, such as runs/search")
    _write_trials(expanded(source), expanded(options.csv) if options.csv else workdir / TRIALS)


def _write_trials(search: Path, path: Path) -> None:
    write_text(path, trials_csv(read_run(search, setup_of(search))))
    say(f"  {path}")


def _write(folders: list[Path], path: Path) -> None:
    write_text(path, report([read_run(folder, setup_of(folder)) for folder in folders]))
    say(f"  {path}")


@contextlib.contextmanager
def reported(workdir: Path, config: RunConfig | None = None) -> Iterator[None]:
    """Once a search has ended, as it should or with no trial that succeeded, its report is written.

    That it could not be drawn is one line: what was found is worth more. `config` is as that of `setup_of`.
    """
    try:
        yield
    except RunError:
        draw(workdir, config)
        raise
    draw(workdir, config)


def write_report(workdir: Path, config: RunConfig | None = None) -> Path:
    """Writes a search's report, and returns its path; `config` is as that of `setup_of`."""
    write_text(workdir / REPORT, report([read_run(workdir, setup_of(workdir, config))]))
    return workdir / REPORT


def draw(workdir: Path, config: RunConfig | None = None) -> None:
    """Writes a search's report; where that fails, whatever it is, one line says so."""
    try:
        say(f"  {write_report(workdir, config)}")
    except BrokenPipeError:
        raise  # nobody reads what is said: no fault of the report
    except Exception as error:
        say(f"note: {workdir / REPORT} could not be drawn ({type(error).__name__}: {first_line(error)})")


def write_seconds(
    workdir: Path, timing: Timing, slots: int, controller: float, searching: float, after: tuple[float, float] | None
) -> None:
    """Leaves where the seconds of a search's run went, for its report; arguments as of `nasnet.reports.search`."""
    held, winner = after or (0.0, 0.0)
    wall = {"searching": searching, "controller": controller, "baselines": held, "winner": winner}
    children = dataclasses.asdict(timing)
    write_json(workdir / SECONDS, {"version": 1, "slots": slots, "seconds": {**wall, "children": children}})


def setup_of(workdir: Path, config: RunConfig | None = None) -> Setup:
    """What the search in a workdir was asked for. Raises UserError where there is none.

    `config` is the search's own, where it is at hand: its objects are not in the workdir.
    """
    config = config or read_config(workdir)
    if config.mode != "search":
        raise UserError(f"{workdir}: is of --mode={config.mode}; expected the folder of a search")
    options, network = config.group(SearchConfig), config.group(NetworkConfig)
    final, chain = config.group(FinalConfig), config.group(ChainConfig)

    def space(shape: Shape) -> Space:
        if (own := config.object("space")) is not None:
            return own
        if "space" in config.own:
            raise UserError(f"its space, {config.own['space'][0]}, is an object of the program that searched in it")
        if options.space != TABLE:
            return make_space(options, chain, network, shape)
        table = read_table(expanded(options.table or ""))
        path = workdir / "source.json"
        if path.exists() and read_as("source", path)["sha256"] != table.sha256:
            raise UserError(f"{options.table}: is not the table that this search was begun with")
        return table

    def network_of(genotype: Genotype, classes: int, shape: Shape) -> Architecture:
        return exported(genotype, final, network, classes, shape)

    return Setup(
        config.values | {name: called for name, (called, _) in config.own.items()},
        config.seed,
        "" if config.own else command_again(config, workdir),
        lambda space: trials_of(options, space),
        FREE,
        space,
        network_of,
    )
