"""A search as its folder tells it. Nothing is written: it may be going on in another process. No TensorFlow."""

from __future__ import annotations

import csv
import dataclasses
import functools
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from cells.architecture import Architecture
from cells.count import count
from cells.genotype.genotype import Genotype
from cells.spaces.space import Space, check_tokens
from controller.strategy import Trial
from nasnet.networks.spec import NetworkSpec, Shape
from nasnet.reports.pareto import Point
from nasnet.runtime.errors import UserError
from nasnet.runtime.files import read_json
from nasnet.runtime.schema import check
from nasnet.trials.finalists import Finalist, choose_finalists
from nasnet.trials.journal import Journal

SECONDS = "seconds.json"
"""Where a search's wall seconds went, as its last run left it: written by `nasnet.modes.tables.report`."""


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a search was asked for.

    Attributes:
        values: every setting by its flag's name, as `config.json` has it.
        seed: of all that is drawn.
        command: what repeats it, as a shell takes it; empty where none can.
        trials: says how many it is to make in its space.
        free: names of the values that decide where it runs and how far, not what comes of it.
        space: makes its space, given the pictures' shape. Raises UserError where that cannot be (a table that is gone).
        network: makes the network that a genotype is exported as, given the number of classes and the pictures' shape.
            Raises ValueError where it cannot be built.
    """

    values: Mapping[str, Any]
    seed: int
    command: str
    trials: Callable[[Space], int]
    free: Collection[str]
    space: Callable[[Shape], Space]
    network: Callable[[Genotype, int, Shape], Architecture]


@dataclasses.dataclass(frozen=True)
class SearchRun:
    """A search, as far as it has come.

    Attributes:
        name: of its folder, as a person named it.
        setup: what was asked for.
        journal: what happened.
        space: what is searched; None where that is not known any more.
        spec: a network of it that was written down, which tells classes and the pictures' shape; None before there is.
        exported: `best/metrics.json`, `found`: a table search's `metrics.json`, `seconds`: `seconds.json`; else empty.
        front: the rows of `pareto.csv`.
        trained: what became of the trainings that the winner and its baselines are compared by.
        notes: one line for each thing that could not be read.
    """

    name: str
    setup: Setup
    journal: Journal
    space: Space | None
    spec: NetworkSpec | None
    exported: Mapping[str, Any]
    found: Mapping[str, Any]
    seconds: Mapping[str, Any]
    front: tuple[Point, ...]
    trained: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]

    @functools.cached_property
    def trials(self) -> list[Trial]:
        """Those that ended, in the order in which they did; without those that stand between two rungs."""
        return list(self.journal.trials.values())

    @property
    def planned(self) -> int:
        """How many trials it is to make."""
        return int(self.setup.values["trials"]) if self.space is None else self.setup.trials(self.space)

    @property
    def wave(self) -> int:
        """Trials of a wave: what is proposed before anything is learned of it, where trials are not observed singly."""
        return self.setup.values.get("update_trials") or 20

    @functools.cached_property
    def ranked(self) -> list[Trial]:
        """Those that succeeded or stand between two rungs, the best first, the earlier first of equals."""
        good = [trial for trial in self.journal.so_far.values() if trial.reward is not None]
        return sorted(good, key=lambda trial: trial.rank)

    @functools.cached_property
    def finalists(self) -> list[Finalist]:
        """The best trials that have ended all their longer trainings, the best first; of the trials as they are now."""
        starts, wanted = self.setup.values.get("finalist_seeds") or 1, self.setup.values.get("finalists") or 0
        runs = self.journal.finalists
        if self.space is None or not runs or not wanted or not self.ranked:
            return []
        chosen = choose_finalists(self.space, self.ranked, wanted)
        of_each = [
            [run for start in range(starts) if (run := runs.get((trial.proposal.trial_id, start)))] for trial in chosen
        ]
        # What a start that failed counts as: of the finalists as they are now, those of before do not count.
        rewards_of = [run.reward for of_it in of_each if len(of_it) == starts for run in of_it]
        known = [trial.accuracy for trial in self.journal.so_far.values()] + rewards_of
        worst = min((reward for reward in known if reward is not None), default=0.0)
        found: list[Finalist] = []
        for trial, of_it in zip(chosen, of_each, strict=True):
            if len(of_it) < starts:
                continue
            rewards = tuple(run.reward for run in of_it if run.reward is not None)
            factor = (trial.reward or 0.0) / trial.accuracy if trial.accuracy else 1.0
            found.append(Finalist(trial, rewards, starts - len(rewards), worst, factor))
        first = self.ranked[0].proposal.trial_id
        if first not in {finalist.trial.proposal.trial_id for finalist in found}:
            return []  # there is nothing to hold the others against
        return sorted(found, key=lambda finalist: -finalist.rank_by)

    @property
    def winner(self) -> Trial | None:
        """The first of the finalists, of the trials before there are any; None before the first success."""
        if self.finalists and self.finalists[0].rewards:
            return self.finalists[0].trial
        return self.ranked[0] if self.ranked else None

    def genotype(self, trial: Trial) -> Genotype | None:
        """What a trial was of; None where the space is not known any more."""
        return None if self.space is None else self.space.decode(trial.proposal.tokens)

    def point(self, trial: Trial) -> Point | None:
        """A trial's accuracy, and what the network that it would be exported as costs; None where that is not known."""
        number = trial.proposal.trial_id
        if number not in self._points:
            self._points[number] = self._counted(trial)
        return self._points[number]

    @functools.cached_property
    def _points(self) -> dict[int, Point | None]:
        return {}

    def _counted(self, trial: Trial) -> Point | None:
        genotype, spec, accuracy = self.genotype(trial), self.spec, trial.accuracy
        if genotype is None or spec is None or accuracy is None:
            return None
        try:
            costs = count(self.setup.network(genotype, len(spec.classes), spec.image_shape), spec.image_shape)
        except ValueError:
            return None
        latency = trial.figures.get("latency_ms")
        return Point(trial.proposal.trial_id, accuracy, costs.parameters, costs.mult_adds, latency)


def read_run(workdir: Path, setup: Setup) -> SearchRun:
    """Reads what a search has left so far.

    Raises:
        UserError: for a journal that is damaged elsewhere than in a torn last line, or is of another space. What else
            is damaged is noted.
    """
    notes: list[str] = []
    journal, spec = Journal(workdir / "journal.jsonl", reads_only=True), _any_spec(workdir, notes)
    space = None
    try:
        space = setup.space((32, 32, 3) if spec is None else spec.image_shape)
        for trial_id, proposal in journal.proposals.items():
            check_tokens(space.decisions[: space.length(trial_id)], proposal.tokens)
    except UserError as error:
        notes.append(f"{error}; so what its tokens stand for is not known")
    except ValueError as error:
        raise UserError(f"{workdir / 'journal.jsonl'}: is not of the space that config.json names: {error}") from error
    results = sorted(workdir.glob("baselines/*/result.json"))
    return SearchRun(
        str(workdir),
        setup,
        journal,
        space,
        spec,
        _values("metrics", workdir / "best" / "metrics.json", notes),
        _values("table_metrics", workdir / "metrics.json", notes),
        _values("seconds", workdir / SECONDS, notes),
        _front(workdir / "pareto.csv", notes),
        tuple(filter(None, (_values("result", path, notes) for path in results))),
        tuple(notes),
    )


def _values(name: str, path: Path, notes: list[str]) -> dict[str, Any]:
    """What a file of a schema holds; nothing where there is none, or another, which is noted."""
    if not path.exists():
        return {}
    try:
        found = read_json(path)
        check(found, name)
    except (UserError, ValueError) as error:
        notes.append(str(error) if isinstance(error, UserError) else f"{path}: {error}; it is left out")
        return {}
    return found


def _any_spec(workdir: Path, notes: list[str]) -> NetworkSpec | None:
    """A network of the search that was written down: all of them are of the same pictures and classes."""
    for path in (
        *(workdir / name / "genotype.json" for name in ("best", "final")),
        *workdir.glob("children/*/genotype.json"),
    ):
        if path.exists():
            try:
                return NetworkSpec.from_json(read_json(path))
            except (UserError, ValueError) as error:
                notes.append(str(error) if isinstance(error, UserError) else f"{path}: {error}; it is left out")
    return None


def _front(path: Path, notes: list[str]) -> tuple[Point, ...]:
    if not path.exists():
        return ()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return tuple(
                Point(
                    int(row["trial_id"]),
                    float(row["accuracy"]),
                    int(row["parameters"]),
                    int(row["mult_adds"]),
                    float(row["latency_ms"]) if row.get("latency_ms") else None,
                )
                for row in csv.DictReader(file)
            )
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        notes.append(f"{path}: cannot be read ({error}); it is left out")
        return ()
