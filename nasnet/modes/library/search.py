"""`nasnet.search`: what `--mode=search` does, called from Python."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import keras

from cells.genotype.genotype import Genotype
from cells.spaces.space import Tokens
from controller.strategy import Outcome, Trial
from nasnet.modes.flags import RunConfig
from nasnet.modes.inputs import check_inputs
from nasnet.modes.library.arguments import in_arguments, search_config
from nasnet.modes.library.data import Pictures
from nasnet.modes.library.models import load
from nasnet.modes.searched.run import Searched, search_steps
from nasnet.modes.tables.report import write_report
from nasnet.modes.workdir import check_workdir
from nasnet.runtime import console
from nasnet.runtime.environment import check_temporary_folder, import_keras
from nasnet.runtime.errors import UserError
from nasnet.runtime.files import check_utf8, expanded, read_json
from nasnet.runtime.signals import Stopped


@dataclasses.dataclass(frozen=True)
class SearchTrial:
    """A trial of a search.

    Attributes:
        trial_id: its number, from 0.
        genotype: the network that was tried.
        tokens: its decisions.
        outcome: how it ended; only `Outcome.OK` has a reward.
        reward: higher is better: the accuracy on the valid split, 0 to 1, where nothing else was asked for.
        seconds: of its training and scoring.
        cause: one line where it failed.
    """

    trial_id: int
    genotype: Genotype
    tokens: Tokens
    outcome: Outcome
    reward: float | None
    seconds: float
    cause: str = ""

    @classmethod
    def of(cls, trial: Trial, genotype: Genotype) -> SearchTrial:
        """A trial of the journal, with what its tokens stand for."""
        how = trial.outcome, trial.reward, trial.seconds, trial.cause
        return cls(trial.proposal.trial_id, genotype, trial.proposal.tokens, *how)


@dataclasses.dataclass(frozen=True)
class Best:
    """The winner of a search.

    Attributes:
        trial: of which its cells, or its layers, come.
        folder: its export, with all that evaluate, predict and TensorFlow Serving need.
    """

    trial: SearchTrial
    folder: Path

    @property
    def genotype(self) -> Genotype:
        """What was found, without the sizes of a network."""
        return self.trial.genotype

    @functools.cached_property
    def model(self) -> keras.Model:
        """The trained network, as `nasnet.load` gives it. Raises UserError where `export=False` left none."""
        return load(self.folder)

    @property
    def metrics(self) -> dict[str, Any]:
        """What `metrics.json` holds: accuracies on valid and test, sizes, what it was held against."""
        return read_json(self.folder / "metrics.json")


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What a search found: its winner, every trial in the order of their numbers, the folder with all its files."""

    best: Best
    trials: tuple[SearchTrial, ...]
    workdir: Path
    config: RunConfig = dataclasses.field(repr=False)

    def report(self) -> Path:
        """Draws the report of the search anew: one HTML file, which needs no network. Returns its path."""
        return write_report(self.workdir, self.config)


class Search:
    """A search that is gone through trial by trial.

    Nothing is read or written before the first trial is asked for. One that is left before its end, by `close` or at
    the end of a `with`, goes on where it was when the same one is made again on the same workdir.

    >>> small = {"blocks": 1, "filters": 2, "steps": 2, "finalists": 0, "export": False, "verbose": False}
    >>> with Search("digits", trials=2, workdir="some", **small) as run:
    ...     rewards = [trial.reward for trial in run]
    >>> len(rewards)
    2
    >>> run.result.best.trial.reward == max(rewards)
    True
    """

    def __init__(
        self,
        data: Pictures,
        *,
        workdir: str | Path = "runs/search",
        seed: int = 0,
        class_names: Sequence[str] | None = None,
        workers: int | None = 0,
        verbose: bool = True,
        **settings: Any,  # noqa: ANN401 - those of the flags
    ) -> None:
        """Arguments as those of `search`."""
        self._arguments = data, expanded(workdir), seed, class_names, {"workers": workers, **settings}
        self._verbose = verbose
        self._steps: Generator[SearchTrial, None, SearchResult] | None = None
        self._result: SearchResult | None = None

    def __iter__(self) -> Iterator[SearchTrial]:
        return self

    def __next__(self) -> SearchTrial:
        """The next trial that ends. Raises as `search`."""
        if self._result is not None:
            raise StopIteration
        if self._steps is None:
            self._steps = self._run()
        try:
            with contextlib.nullcontext() if self._verbose else console.muted():
                return next(self._steps)
        except StopIteration as end:
            self._result = end.value
            raise StopIteration from None
        except BaseException:
            self._steps = None  # a generator that raised is over; another one goes on
            raise

    @property
    def result(self) -> SearchResult:
        """What was found; makes the trials that are left first."""
        for _ in self:
            pass
        assert self._result is not None
        return self._result

    def close(self) -> None:
        """Ends what runs, and lets go of the workdir."""
        if self._steps is not None:
            self._steps.close()
            self._steps = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> Generator[SearchTrial, None, SearchResult]:
        data, workdir, seed, class_names, settings = self._arguments
        if threading.current_thread() is not threading.main_thread():
            raise UserError("a search runs in the main thread alone, where it hears of Ctrl-C")
        with in_arguments():
            check_utf8(workdir)
            check_temporary_folder()
            import_keras()
            config = search_config(data, workdir, seed, class_names, settings)
            check_inputs(config)
            check_workdir(workdir, config)
        steps = search_steps(config, workdir)
        while True:
            try:
                with in_arguments():
                    trial = SearchTrial.of(*next(steps))
            except StopIteration as end:
                return _result(end.value, config, workdir)
            except Stopped as stopped:
                if stopped.signal == signal.SIGINT:
                    raise KeyboardInterrupt(str(stopped)) from None
                raise
            try:
                yield trial
            except GeneratorExit:
                steps.close()
                raise


def _result(found: Searched, config: RunConfig, workdir: Path) -> SearchResult:
    def shown(trial: Trial) -> SearchTrial:
        return SearchTrial.of(trial, found.space.decode(trial.proposal.tokens))

    trials = tuple(shown(trial) for _, trial in sorted(found.journal.so_far.items()))
    return SearchResult(Best(shown(found.winner), workdir / "best"), trials, workdir, config)


def search(
    data: Pictures,
    *,
    workdir: str | Path = "runs/search",
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    workers: int | None = 0,
    verbose: bool = True,
    on_trial: Callable[[SearchTrial], object] | None = None,
    **settings: Any,  # noqa: ANN401 - those of the flags
) -> SearchResult:
    """Finds a network on pictures, trains it and exports it: what `--mode=search` does, with the same defaults.

    The same call goes on where the last one stopped, also after `kill -9`; one with other pictures or settings needs
    another `workdir`.

    >>> small = {"blocks": 1, "filters": 2, "steps": 2, "finalists": 0, "export": False, "verbose": False}
    >>> rewards = []
    >>> result = search("digits", trials=2, workdir="found", **small,
    ...                 on_trial=lambda trial: rewards.append(trial.reward))
    >>> result.best.trial.reward == max(rewards)
    True
    >>> result.best.genotype.kind
    'cells'
    >>> result.report().name
    'report.html'

    With `export=True`, which is the default, `result.best.model` is the trained network.

    Args:
        data: `"digits"`, `"tfds:NAME"`, a folder with one folder a class, an .npz file; a pair (images, labels) of
            arrays, or two of them, the second for test; a `tf.data.Dataset` of pairs, such as
            `keras.utils.image_dataset_from_directory` gives; or a dict of these by "train", "valid" and "test".
        workdir: folder of the search.
        seed: of all that is drawn, 0 or more.
        class_names: of arrays and data sets, in the order of the labels; None: the data set's own, or numbers.
        workers: processes that train children side by side; 0 trains them in this one, None is one a core or a GPU.
            They import the program: what begins the search must stand under `if __name__ == "__main__":`.
        verbose: whether it says what the command line says.
        on_trial: is called with each trial as it ends; what it raises ends the search, which goes on by the same call.
        settings: every flag of `--mode=search`, by its name (`train.py --mode=search --help`). For `space`, `strategy`
            and `estimator` an object does, too (docs/library.md); where a flag takes several things with commas
            between, a list.

    Returns:
        The winner, every trial, and the folder.

    Raises:
        UserError: for bad arguments, by their names, before anything is written.
        RunError: if no trial succeeded.
        KeyboardInterrupt: after Ctrl-C, once the children that ran have ended.
    """
    arguments = {"workdir": workdir, "seed": seed, "class_names": class_names, "workers": workers, "verbose": verbose}
    with Search(data, **arguments, **settings) as found:
        for trial in found:
            if on_trial is not None:
                on_trial(trial)
        return found.result
