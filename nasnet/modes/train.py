"""`--mode=train` and `--mode=finetune`: one network trained to its end; a search trains its winner by the same."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import tensorflow as tf

from cells.count import count
from nasnet.data.dataset import DataSet
from nasnet.data.fingerprint import Fingerprint
from nasnet.execution.memory import lacking
from nasnet.modes.flags import RunConfig
from nasnet.modes.help import command_after
from nasnet.modes.inputs import model_of, open_data, open_source, source_of, spec_on, transferred_to, write_skipped
from nasnet.modes.trained.export import export_trained
from nasnet.modes.workdir import claim_workdir
from nasnet.networks.config import KERAS, NetworkConfig
from nasnet.networks.export.folder import fingerprint_hash
from nasnet.networks.layers import StatelessDropout
from nasnet.networks.saved import SOURCE_DATA, load_trained, save_trained, seen_by, source_data_of, weights_hash
from nasnet.networks.spec import NetworkSpec
from nasnet.reports.evaluation import no_better_than_one_answer
from nasnet.reports.tensorboard.training import TrainingScalars
from nasnet.reports.terminal import TrainingScreen, show_export
from nasnet.runtime import devices
from nasnet.runtime.clock import doing
from nasnet.runtime.console import say
from nasnet.runtime.errors import RunError, UserError, first_line
from nasnet.runtime.files import write_json
from nasnet.runtime.signals import Stopping
from nasnet.training.config import ReplicaConfig, TrainingConfig, TransferConfig
from nasnet.training.loop import Training
from nasnet.training.metrics import check_answers, evaluate, logits_of
from nasnet.training.optimizers import inner_parts
from nasnet.training.progress import Progress
from nasnet.training.recipes import recipe_json
from nasnet.training.replicas import Replicas, open_replicas
from nasnet.training.statistics import unsettled

_ASKED = 256
"""Pictures that a trained network is asked of before it is kept."""


def train_to(
    folder: Path,
    spec: NetworkSpec,
    data: DataSet,
    config: TrainingConfig,
    seed: int,
    *,
    source: keras.Model | None = None,
    transfer: TransferConfig | None = None,
    replicas: Replicas | None = None,
    options: ReplicaConfig | None = None,
    seconds_after: float = 0.0,
    events: Path | None = None,
) -> tuple[NetworkSpec, keras.Model]:
    """Trains, or goes on training, until the folder holds the trained network.

    Returns what the folder holds: the network, which is not `spec` where an earlier run trained another one, and its
    model for inference.

    `seconds_after` is how long what comes after it will take, for the time left that is shown.

    Leaves `genotype.json`, `model.keras`, `recipe.json` and `checkpoints/` there, and what TensorBoard shows in the
    folder `events`, or in its `tb/`. Of several processes only the chief writes and speaks; the others get back what
    they trained.
    """
    if (folder / "model.keras").exists():
        return load_trained(folder)
    with _within_memory():
        training = Training(spec, data, config, seed=seed, replicas=replicas, transfer=transfer, source=source)
    chief = training.replicas.chief
    if not chief:
        say(f"training on {training.replicas.describe()}; worker 0 says how it goes")
    else:
        _say_what(training, spec, source is not None)
        recipe = dataclasses.asdict(config) | (dataclasses.asdict(transfer) if transfer else {})
        write_json(folder / "recipe.json", recipe_json(recipe))
    with Stopping() as stopping:
        report = _reports(events or folder / "tb", seconds_after) if chief else lambda _: None
        with doing("training"), _within_memory():
            training.run(folder / "checkpoints", report, options, stopping)
    if not chief:
        return spec, training.model  # who does not write needs none for inference
    model = training.inference_model()
    # Asked here: the last loss is of the weights before its step.
    check_answers(logits_of(model, data.valid.images[:_ASKED]), "valid pictures")
    save_trained(folder, spec, model)
    return spec, model


@contextlib.contextmanager
def _within_memory() -> Iterator[None]:
    """Raises RunError where a device's memory is not enough: TensorFlow's own words for it are a page."""
    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        rule = "expected a smaller network or batch_size, or more of it"
        raise RunError(f"this training needs more memory than there is ({first_line(error)}); {rule}") from error


def _check_memory(spec: NetworkSpec) -> None:
    """Raises UserError for a network whose weights, gradients and optimizer alone are more than this machine has.

    Where there is more to it than these, or a GPU has the weights, it is found out later (`_within_memory`).
    """
    parameters = count(spec.architecture, spec.image_shape).parameters
    if short := lacking(parameters):
        network = f"{spec.architecture.describe()} has {parameters:,} parameters"
        raise UserError(f"{network}: to train it {short}; expected a smaller network")


def _reports(events: Path, seconds_after: float) -> Callable[[Progress], None]:
    screen, scalars = TrainingScreen(seconds_after), TrainingScalars(events)

    def report(progress: Progress) -> None:
        screen.show(progress)
        scalars.write(progress)

    return report


def _say_what(training: Training, spec: NetworkSpec, taken_over: bool) -> None:
    if taken_over:
        fresh = ", ".join(training.fresh)
        why = "the head, and what depends on the pictures' channels or size, start fresh"
        say(f"taken over: all weights but {fresh} ({why})")
    costs = count(spec.architecture, spec.image_shape)
    say(
        f"training {spec.architecture.describe()} ({costs.parameters:,} parameters, {costs.mult_adds / 1e6:.2f}M "
        f"mult-adds) for {training.total_steps} steps, {training.steps_per_epoch} an epoch, on "
        f"{training.replicas.describe()}"
    )
    unused = {"epochs"} if training.config.steps else {"steps"}
    if training.config.schedule != "exponential":
        unused |= {"decay_rate", "decay_epochs", "staircase"}
    if training.config.schedule != "step":
        unused |= {"rate_drops"}
    normed = not all(weight.trainable for weight in costs.weights)
    if not normed:
        unused |= {"bn_momentum"}
    idle = _without_effect(training)
    unused |= idle.keys()
    values = dataclasses.asdict(training.config) | (dataclasses.asdict(training.transfer) if taken_over else {})
    if values["pad"] is None:
        values["pad"] = "an eighth of each side"
    say("  " + ", ".join(f"{name} {value}" for name, value in values.items() if name not in unused))
    if training.batch_size < training.config.batch_size:
        say(f"note: a step takes all {training.batch_size} training pictures, fewer than batch_size")
    if taken_over and (trained := training.transfer.trainable_cells) is not None:
        inner = inner_parts(spec.architecture.parts)
        if trained > inner + 1:  # one more is the stem
            say(f"note: --trainable_cells={trained} are more than there are, {inner}: all of the network trains")
    for name, what in idle.items():
        say(f"note: --{name} has no effect: {spec.architecture.describe()} has no {what}")
    if normed:
        say_unsettled(training.config, training.total_steps, taken_over=taken_over)


def _without_effect(training: Training) -> dict[str, str]:
    """The settings that ask to drop what this network does not have, with what that is."""
    scheduled = {layer.scheduled for layer in training.model.layers if isinstance(layer, StatelessDropout)}
    found = {"drop_path_keep": (True, "paths to drop"), "dropout_keep": (False, "dropout")}
    return {
        name: what
        for name, (kind, what) in found.items()
        if getattr(training.config, name) < 1 and kind not in scheduled
    }


def say_unsettled(config: TrainingConfig, total_steps: int, what: str = "", *, taken_over: bool = False) -> None:
    """Says it where a training's moving statistics cannot settle, with the flag that mends it."""
    if found := unsettled(config, total_steps):
        began = "the source's moving statistics" if taken_over else "what batch norm's moving statistics began as"
        doubt = ", and fit where its pictures were alike" if taken_over else ""
        say(
            f"note: {what}{total_steps} steps leave {found.share:.0%} of {began} (--bn_momentum={found.momentum:g}), "
            f"and they are what is scored and saved{doubt}; more steps would settle them, or "
            f"--bn_momentum={found.settled:g}"
        )


def _agree(replicas: Replicas, config: RunConfig, *, data: Fingerprint, source: str) -> None:
    """Raises UserError, in every process, unless all train the same: on each machine a path may name something else."""
    replicas.must_agree("their flags", config.fingerprint)
    replicas.must_agree("their pictures (a hash of them)", fingerprint_hash(data))
    replicas.must_agree("what they start from (a hash of it)", source)


def run_train(config: RunConfig, workdir: Path) -> None:
    """Trains a published or a found network; leaves `genotype.json` and `model.keras` in the workdir."""
    options = config.group(ReplicaConfig)
    devices.grow_memory()
    replicas = open_replicas(options)
    model = model_of(config)
    data = open_data(config)
    training = config.group(TrainingConfig)
    network = config.group(NetworkConfig)
    spec = spec_on(model, data, network, training)
    _check_memory(spec)
    made_from = {"data": data.fingerprint, "source": model.sha256}
    with claim_workdir(workdir, config, replicas.worker, **made_from), replicas.together():
        _agree(replicas, config, **made_from)
        if replicas.chief:
            write_skipped(workdir, data)
        _, trained = train_to(workdir, spec, data, training, config.seed, replicas=replicas, options=options)
        if not replicas.chief:
            return
        accuracy = evaluate(trained, data.valid).accuracy
        say(f"valid accuracy {accuracy:.4f}; in {workdir}: genotype.json, model.keras")
        if idle := no_better_than_one_answer(accuracy, data.valid.labels, data.classes):
            say(f"note: that is {idle}")
    say("next, score it on the test split and export it:")
    say(f"  {command_after(config, workdir, 'export', {'from': workdir})}")


def _seen_by_source(config: RunConfig) -> Fingerprint | None:
    source = source_of(config)
    return None if source.startswith(KERAS) else seen_by(Path(source))


def run_finetune(config: RunConfig, workdir: Path) -> None:
    """Takes over a trained network's weights at new classes, channels and size, trains on, and exports."""
    options = config.group(ReplicaConfig)
    devices.grow_memory()
    replicas = open_replicas(options)
    source_spec, source = open_source(config, fresh_head=True)
    data = open_data(config)
    training = config.group(TrainingConfig)
    spec = transferred_to(source_spec, data, training)
    transfer = config.group(TransferConfig)
    made_from = {"data": data.fingerprint, "source": weights_hash(source)}
    with claim_workdir(workdir, config, replicas.worker, **made_from), replicas.together():
        _agree(replicas, config, **made_from)
        if replicas.chief:
            write_skipped(workdir, data)
        spec, model = train_to(
            workdir / "final",
            spec,
            data,
            training,
            config.seed,
            source=source,
            transfer=transfer,
            replicas=replicas,
            options=options,
            events=workdir / "tb",
        )
        if not replicas.chief:
            return
        earlier = source_data_of(workdir / "final") or _seen_by_source(config)
        if earlier is not None:
            write_json(workdir / "final" / SOURCE_DATA, earlier.to_json())
        say(f"exporting it to {workdir / 'best'}, and opening that in a fresh process")
        with doing("exporting"):
            extra = {"from": source_of(config)}
            export_trained(spec, model, workdir / "best", config, extra, data, data.fingerprint, earlier)
        show_export(workdir / "best")
