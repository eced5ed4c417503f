"""`--mode=compare`: networks trained by one recipe and budget, several seeds each, side by side; a table of them."""

from __future__ import annotations

import dataclasses
import functools
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from nasnet.data.config import DataConfig
from nasnet.data.dataset import DataSet, Split, open_configured
from nasnet.estimators.training import WholeTraining
from nasnet.execution.config import ExecutionConfig
from nasnet.execution.engine import Engine
from nasnet.execution.job import Job
from nasnet.execution.start import open_engine
from nasnet.modes.compared.contenders import Contender, contenders_of, hash_of
from nasnet.modes.compared.timed import AS_FAST, contenders_as_fast
from nasnet.modes.compared.trainings import CHECKPOINTS, Ended, Lost, Planned, planned_of, seconds_left, train_all
from nasnet.modes.flags import RunConfig
from nasnet.modes.help import command_after
from nasnet.modes.inputs import open_data, write_skipped
from nasnet.modes.train import say_unsettled
from nasnet.modes.workdir import claim_workdir
from nasnet.networks.saved import load_trained, stored_spec
from nasnet.reports import comparison
from nasnet.reports.config import CompareConfig
from nasnet.reports.search import at_work
from nasnet.reports.terminal import show_retry
from nasnet.runtime import devices
from nasnet.runtime.clock import doing
from nasnet.runtime.console import say
from nasnet.runtime.errors import RunError, SettingError, shortened
from nasnet.runtime.files import write_json
from nasnet.runtime.schema import read_as
from nasnet.runtime.signals import Stopping
from nasnet.training.config import TrainingConfig
from nasnet.training.metrics import evaluate
from nasnet.trials.plan import steps_of
from nasnet.trials.retries import RetryingEngine

_TRAININGS = "trainings"
_SEEDS = 2**63  # that there are, as for one run


def run_compare(config: RunConfig, workdir: Path) -> None:
    """Trains all networks from all seeds; leaves `compare.json`, `compare.csv`, `compare.png` and the trained networks.

    Raises:
        RunError: if no training succeeded.
    """
    options, execution = config.group(CompareConfig), config.group(ExecutionConfig)
    _set_up(execution)
    if config.seed + options.seeds > _SEEDS:
        raise SettingError("seeds", options.seeds, f"goes from {config.seed} beyond the last seed, {_SEEDS - 1}")
    data = open_data(config)
    if options.test and not data.has_test:
        raise SettingError("test", "true", f"{data.name} has no test pictures with labels")
    contenders = contenders_of(config, data)
    if execution.cluster:
        from nasnet.execution.ray_workers import connect

        connect(execution.cluster)
    with claim_workdir(workdir, config, data=data.fingerprint, source=hash_of(contenders)):
        write_skipped(workdir, data)
        timed_anew = options.match == "latency" and not (workdir / AS_FAST).exists()
        if options.match == "latency":
            contenders = contenders_as_fast(contenders, options.latency_on, workdir)
        planned = planned_of([each.name for each in contenders], range(config.seed, config.seed + options.seeds))
        _clear_others(planned, contenders, workdir / _TRAININGS, timed_anew=timed_anew)
        estimators = {
            each.label: WholeTraining(
                contenders[each.network].spec,
                config.group(DataConfig),
                config.group(TrainingConfig),
                each.seed,
                workdir / _TRAININGS / each.label / CHECKPOINTS,
                options.inference_batch,
            )
            for each in planned
        }
        with open_engine(estimators, execution, workdir / "logs") as engine, Stopping() as stopping:
            _say_what(contenders, config, data, engine.slots)
            ended = train_contenders(planned, contenders, engine, execution, workdir / _TRAININGS, stopping)
        if all(of_it.accuracy is None for of_it in ended.values()):
            causes = "; ".join(dict.fromkeys(of_it.cause for of_it in ended.values()))
            raise RunError(f"no training succeeded: {shortened(causes, 2000)}")
        test = _tested(planned, ended, config, workdir / _TRAININGS) if options.test else None
        rows = [_row(number, contender, ended, test) for number, contender in enumerate(contenders)]
        _leave(rows, ended, config, workdir, data)


def _set_up(execution: ExecutionConfig) -> None:
    """Threads and GPUs, before anything starts TensorFlow."""
    if execution.workers or execution.cluster:
        tf.config.set_visible_devices([], "GPU")  # they are the trainings', which run in processes of their own
        return
    tf.config.threading.set_intra_op_parallelism_threads(execution.cpus_per_child)
    tf.config.threading.set_inter_op_parallelism_threads(execution.cpus_per_child)
    devices.grow_memory()


def _clear_others(
    planned: Sequence[Planned], contenders: Sequence[Contender], folder: Path, *, timed_anew: bool
) -> None:
    """What was trained there of another network goes: one that is as fast is another when it is measured anew.

    A training that has not ended, or that failed, does not say which network it is of: `timed_anew`, it goes too.
    """
    for training in planned:
        trained, called = folder / training.label, None
        if (trained / "genotype.json").exists():
            if stored_spec(trained).architecture != contenders[training.network].spec.architecture:
                called = "is"
        elif timed_anew and training.network and trained.exists():  # the first of them is as it was given
            called = "may be"
        if called:
            say(f"{trained} {called} of another network than the one that is compared now: it is trained anew")
            shutil.rmtree(trained)


def train_contenders(
    planned: Sequence[Planned],
    contenders: Sequence[Contender],
    engine: Engine,
    execution: ExecutionConfig,
    folder: Path,
    stopping: Stopping,
) -> dict[Planned, Ended]:
    """Trains what has not ended before, and says what becomes of it. Raises as `train_all`."""

    def called(training: Planned) -> str:
        return f"{contenders[training.network].name}, seed {training.seed}"

    def job(training: Planned) -> Job:  # by the estimator that is called by its label, the trained network to come back
        label = training.label
        return Job(training.network, estimator=label, keep_above=float("-inf"), label=label, called=called(training))

    def report(of_it: Ended, ended: dict[Planned, Ended]) -> None:
        result = of_it.cause if of_it.accuracy is None else f"valid accuracy {of_it.accuracy:.4f}"
        mult_adds = [each.counts.mult_adds for each in contenders]
        left = seconds_left(planned, ended, retrying.running(), retrying.slots, mult_adds)
        comparison.show_training(called(of_it.training), result, of_it.seconds, len(ended), len(planned), left)

    retrying = RetryingEngine(
        engine,
        Lost(),
        retries=execution.retries,
        stopping=stopping,
        stop_seconds=execution.stop_seconds,
        report=show_retry,
    )
    with doing(lambda: at_work(retrying)):
        return train_all(planned, retrying, folder, report, job=job)


def _tested(
    planned: Sequence[Planned], ended: dict[Planned, Ended], config: RunConfig, folder: Path
) -> dict[Planned, float]:
    """The accuracy on test of what was trained. What was scored before is not scored again."""

    @functools.cache
    def test() -> Split:
        with doing("reading the test split"):
            return open_configured(config.group(DataConfig), allow_test=True).test()

    found: dict[Planned, float] = {}
    for each in planned:
        if ended[each].accuracy is None:
            continue
        path = folder / each.label / "test.json"
        if not path.exists():
            _, model = load_trained(path.parent)
            score = evaluate(model, test())
            loss = score.loss if math.isfinite(score.loss) else None  # JSON has no NaN
            write_json(path, {"version": 1, **dataclasses.asdict(score), "loss": loss})
        found[each] = _accuracy(path)
    return found


def _accuracy(path: Path) -> float:
    return float(read_as("score", path, "delete it to score anew")["accuracy"])


def _row(
    number: int, contender: Contender, ended: dict[Planned, Ended], test: dict[Planned, float] | None
) -> comparison.Row:
    of_it = {each.seed: found for each, found in ended.items() if each.network == number}
    good = {seed: found for seed, found in sorted(of_it.items()) if found.accuracy is not None}

    def figure(name: str) -> dict[int, float]:
        return {seed: found.figures[name] for seed, found in good.items() if name in found.figures}

    return comparison.Row(
        contender.name,
        contender.described,
        contender.counts.parameters,
        contender.counts.mult_adds,
        {seed: found.accuracy for seed, found in good.items() if found.accuracy is not None},
        None if test is None else {each.seed: share for each, share in test.items() if each.network == number},
        figure("train_seconds"),
        figure("pictures_per_second"),
        {
            seed: f"{found.cause} (logs/{found.training.label}.log)"
            for seed, found in sorted(of_it.items())
            if found.accuracy is None
        },
        contender.note,
    )


def _say_what(contenders: Sequence[Contender], config: RunConfig, data: DataSet, slots: int) -> None:
    options, training = config.group(CompareConfig), config.group(TrainingConfig)
    length = f"{training.steps} steps" if training.steps else f"{training.epochs} epochs"
    networks = f"{len(contenders)} network{'s' * (len(contenders) != 1)}"
    last = config.seed + options.seeds - 1
    seeds = f"seeds {config.seed} to {last}" if options.seeds > 1 else f"seed {config.seed}"
    say(
        f"comparing {networks} on {data.name}: {length} of {training.batch_size} on {len(data.train)} pictures, "
        f"{seeds}, {slots} at a time"
    )
    for contender in contenders:
        costs = f"{contender.counts.parameters:,} parameters, {contender.counts.mult_adds / 1e6:.2f}M mult-adds"
        note = f"; {contender.note}" if contender.note else ""
        say(f"  {contender.name}: {contender.described}, {costs}{note}")
    if options.seeds < 2:
        say("note: one seed gives neither a standard deviation nor an interval; --seeds=3 or more would")
    if any(not weight.trainable for contender in contenders for weight in contender.counts.weights):
        say_unsettled(training, steps_of(training, data))


def _order(found: Ended) -> tuple[int, int]:
    return found.training.network, found.training.seed


def _leave(
    rows: Sequence[comparison.Row], ended: dict[Planned, Ended], config: RunConfig, workdir: Path, data: DataSet
) -> None:
    training, options = config.group(TrainingConfig), config.group(CompareConfig)
    write_json(
        workdir / "compare.json",
        {
            "version": 1,
            "dataset": data.name,
            "valid_pictures": len(data.valid),
            "seeds": sorted({each.seed for each in ended}),
            "match": options.match,
            "inference_batch": options.inference_batch,
            "training": dataclasses.asdict(training),
            "networks": comparison.figures(rows),
            "trainings": [found.to_json() for found in sorted(ended.values(), key=_order)],
        },
    )
    comparison.write_csv(workdir / "compare.csv", rows)
    comparison.draw(workdir / "compare.png", rows, data.name)
    for line in comparison.table(rows):
        say(line)
    for row in rows:
        for seed, cause in row.failures.items():
            say(f"note: {row.name}, seed {seed}, failed and is left out: {cause}")
    say(
        f"valid accuracies are shares of {len(data.valid)} pictures; the intervals are of the differences seed by seed "
        f"(t, {comparison.CONFIDENCE:.0%}); pictures/s is inference {options.inference_batch} at a time"
    )
    for name in ("compare.json", "compare.csv", "compare.png"):
        say(f"  {workdir / name}")
    best = max(ended, key=lambda each: ended[each].accuracy or 0.0)
    say("each trained network is in trainings/; next, export the best of them:")
    source = workdir / _TRAININGS / best.label
    say(f"  {command_after(config, workdir, 'export', {'from': source})}")
