"""A search's budget in milliseconds: the table that its children's latencies are read from, measured once a workdir."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import numpy as np

from cells.architecture import Architecture
from cells.count import count
from cells.genotype.genotype import Genotype
from cells.spaces.space import Space
from controller.random_search import RandomSearch
from nasnet.data.dataset import DataSet
from nasnet.modes.flags import RunConfig
from nasnet.networks.config import NetworkConfig
from nasnet.networks.latency.calls import calls_of
from nasnet.networks.latency.measure import alone, measure_table, network_time
from nasnet.networks.latency.table import LatencyTable
from nasnet.networks.spec import NetworkSpec
from nasnet.reports.pareto import Point, report_front
from nasnet.runtime.clock import doing
from nasnet.runtime.console import say
from nasnet.runtime.errors import SettingError, UserError
from nasnet.runtime.files import write_json
from nasnet.runtime.schema import read_as
from nasnet.trials.config import FinalConfig, LatencyConfig, SearchConfig
from nasnet.trials.journal import Journal
from nasnet.trials.limits import Latency
from nasnet.trials.plan import exported
from nasnet.trials.spaces import trials_of

_DRAWN, _WHOLE, _TRIES = 200, 10, 5
"""Networks to know the operations of a space by, those of them that are timed whole, and most drawn for each."""
_FILE = "latency.json"


def open_latency(config: RunConfig, workdir: Path, data: DataSet, space: Space) -> Latency | None:
    """What tells a child's latency, where one is asked for: the table of this workdir, measured if there is none yet.

    A table that is there stays, whatever machine goes on: rewards compare with those before.

    Raises:
        UserError: for a damaged table, and for a limit that none of many drawn networks keeps.
    """
    options = config.group(LatencyConfig)
    if options.latency_ms is None:
        return None
    path, drawn = workdir / _FILE, _drawn(config, data, space)
    if path.exists():
        table = read_latency(path)
        say(f"{table.describe()}; kept from {path}")
    else:
        say(f"measuring what the operations of these networks take on {options.latency_on}")
        with doing("measuring latencies"):
            table = alone(measure_table, drawn[_WHOLE:], drawn[:_WHOLE], options.latency_on)
        say(table.describe())
    known = [1e3 * table.seconds(calls_of(spec.architecture, spec.image_shape)) for spec in drawn]
    _say_known(options, known)
    if not path.exists():
        write_json(path, table.to_json())

    @functools.cache
    def milliseconds(genotype: Genotype) -> float:
        return 1e3 * table.seconds(calls_of(_final(config, data, genotype), data.image_shape))

    return Latency(options, milliseconds)


def winner_latency(config: RunConfig, workdir: Path, spec: NetworkSpec) -> dict[str, Any]:
    """The latency of a search's winner, as `{"latency": ...}` for `metrics.json`: predicted, and measured whole.

    Nothing where none is asked for. What was measured is kept beside the winner's training, for a run that goes on.
    """
    options, path = config.group(LatencyConfig), workdir / "final" / _FILE
    if options.latency_ms is None:
        return {}
    if not path.exists():
        predicted = read_latency(workdir / _FILE).seconds(calls_of(spec.architecture, spec.image_shape))
        measured = alone(network_time, spec, options.latency_on)
        found = {"on": options.latency_on, "threads": 1, "batch": 1, "target_ms": options.latency_ms}
        found |= {"predicted_ms": 1e3 * predicted, "measured_ms": 1e3 * measured.median}
        write_json(path, {**found, "measured_spread_ms": 1e3 * measured.spread})
    found = read_as("final_latency", path, "delete it to measure anew")
    say(
        f"latency on {found['on']}, one picture, one thread: {found['predicted_ms']:.3g} ms by the table, "
        f"{found['measured_ms']:.3g} ms measured ({found['measured_spread_ms']:.2g} ms from the 10th to the 90th "
        f"percentile); latency_ms was {found['target_ms']:g}"
    )
    return {"latency": found}


def say_front(config: RunConfig, workdir: Path, data: DataSet, space: Space, journal: Journal) -> None:
    """The Pareto front of the trials that succeeded, on the screen and in `pareto.csv`. Twins are one.

    Where there are rungs, of those that came to the highest one: only they were trained alike.
    """
    points: dict[Genotype, Point] = {}
    with doing("counting the trials' networks"):
        trials = journal.so_far
        highest = max((trial.rung for trial in trials.values()), default=0)
        for number, trial in sorted(trials.items()):
            genotype = space.decode(trial.proposal.tokens)
            if trial.accuracy is None or trial.rung < highest or genotype.canonical() in points:
                continue
            costs = count(_final(config, data, genotype), data.image_shape)
            latency = trial.figures.get("latency_ms")
            points[genotype.canonical()] = Point(number, trial.accuracy, costs.parameters, costs.mult_adds, latency)
    report_front(list(points.values()), workdir / "pareto.csv")


def _final(config: RunConfig, data: DataSet, genotype: Genotype) -> Architecture:
    """The network that a child's genotype would be exported as: that is what a latency counts for."""
    sizes = config.group(FinalConfig), config.group(NetworkConfig)
    return exported(genotype, *sizes, len(data.classes), data.image_shape)


def _drawn(config: RunConfig, data: DataSet, space: Space) -> list[NetworkSpec]:
    """Networks at random, those left out that cannot be built.

    As many of the last of a search as of the first: in a space that grows they are larger.
    """
    strategy, last = RandomSearch(space.decisions, 0, space.length), trials_of(config.group(SearchConfig), space)
    found: list[NetworkSpec] = []
    for number in range(_TRIES * _DRAWN):
        if len(found) == _DRAWN:
            break
        tokens = strategy.propose(number if number % 2 else last + number).tokens
        try:
            architecture = _final(config, data, space.decode(tokens))
            calls_of(architecture, data.image_shape)
        except ValueError:
            continue
        found.append(NetworkSpec.on(data, architecture))
    if len(found) <= _WHOLE:
        raise SettingError(
            "latency_ms",
            config.values["latency_ms"],
            f"too few networks of such a size can be had to measure them: {len(found)} of {_TRIES * _DRAWN}",
        )
    return found


def _say_known(options: LatencyConfig, known: list[float]) -> None:
    assert options.latency_ms is not None
    least, middle, most = np.percentile(known, (0, 50, 100))
    above = sum(one > options.latency_ms for one in known)
    said = f"{len(known)} drawn networks take {least:.3g} to {most:.3g} ms a picture, {middle:.3g} in the median"
    if options.is_hard and above == len(known):
        enough = rounded_up(float(least))
        raise SettingError(
            "latency_ms", options.latency_ms, f"{said}; expected {enough} or more, or objective=accuracy*latency"
        )
    say(f"{said}; {above} of them are over {options.latency_ms:g}")


def rounded_up(milliseconds: float) -> str:
    """In three digits, and no less than it is: who asks for as much as is expected is not to be refused again."""
    nearest = f"{milliseconds:.3g}"
    unit = 10.0 ** (math.floor(math.log10(milliseconds)) - 2)
    return nearest if float(nearest) >= milliseconds else f"{milliseconds + unit:.3g}"


def read_latency(path: Path) -> LatencyTable:
    """A machine's table. Raises UserError for a file that holds none."""
    remedy = "the same rewards cannot be had without it: use another --workdir"
    try:
        return LatencyTable.from_json(read_as("latency", path, remedy))
    except ValueError as error:
        raise UserError(f"{path}: {error}; {remedy}") from error
