"""What the flags name, looked at before TensorFlow is loaded: a wrong name costs no wait. No TensorFlow."""

from __future__ import annotations

import contextlib
from pathlib import Path

from cells.architecture import Architecture
from cells.count import Counts, count
from cells.genotype.genotype import Genotype
from cells.zoo.cells import ZOO
from cells.zoo.networks import NETWORKS
from nasnet.data.config import DataConfig
from nasnet.data.dataset import DataSet, check_dataset, open_configured
from nasnet.data.pictures import SUFFIXES
from nasnet.estimators.config import check_child
from nasnet.estimators.table import Table, read_table
from nasnet.modes.flags import GROUPS, RunConfig
from nasnet.networks.config import KERAS, FromConfig, NetworkConfig, SourceConfig
from nasnet.networks.models import NamedModel, least_side, model_of_genotype, named_model
from nasnet.networks.saved import Model, check_trained, load_source, trained_folder
from nasnet.networks.spec import NetworkSpec, Shape, transferred
from nasnet.reports.config import PredictConfig
from nasnet.runtime.clock import doing
from nasnet.runtime.console import say
from nasnet.runtime.errors import SettingError, UserError
from nasnet.runtime.files import expanded, write_text
from nasnet.training.config import TrainingConfig, check_schedule
from nasnet.trials.config import TABLE, ChainConfig, CompareConfig, SearchConfig
from nasnet.trials.spaces import check_space


def check_inputs(config: RunConfig) -> None:
    """Raises UserError for what is not there, and for children that cannot be as the flags say."""
    groups = GROUPS[config.mode]
    if SearchConfig in groups:  # before what is given is looked at more closely: it may have no meaning at all
        given = {name: config.values[name] for name in config.given}
        check_space(config.group(SearchConfig), config.group(ChainConfig), given)
    if DataConfig in groups:
        check_dataset(config.group(DataConfig).dataset)
    if SourceConfig in groups:
        model_of(config)
    if FromConfig in groups:
        _check_source(config.group(FromConfig))
    if CompareConfig in groups:
        compared_models(config)
    if config.mode == "predict":
        named_pictures(config.paths)
        _check_table(config.group(PredictConfig))
    if TrainingConfig in groups:
        check_schedule(config.group(TrainingConfig), config.given)
    if SearchConfig in groups:
        if config.group(SearchConfig).child == "functions":
            check_child(config.group(TrainingConfig))
        if config.group(SearchConfig).space == TABLE:
            open_table(config)


def model_of(config: RunConfig) -> NamedModel:
    """The network that `--model` names. Raises UserError for none, and for given sizes that have no meaning for it."""
    model = named_model(config.group(SourceConfig).model)
    model.check_settings(config.given_of(NetworkConfig))
    return model


def compared_models(config: RunConfig) -> list[NamedModel]:
    """The networks that `--models` names, in order.

    Raises:
        UserError: for a name that is none, or stands twice, and for given sizes that have no meaning for any of them.
    """
    given = config.group(CompareConfig).models
    if given is None:
        raise UserError("--models is missing; give two or more, such as --models=lenet5,nasnet_a")
    names = [name.strip() for name in given.split(",")]
    found: dict[object, NamedModel] = {}
    for name in names:
        if not name:
            raise SettingError("models", given, "must be names with commas between, and none is empty")
        try:
            model = named_model(name)
        except SettingError as error:
            raise SettingError("models", name, error.rule) from error
        key = name if model.name in (*ZOO, *NETWORKS) else expanded(name).resolve()
        if key in found:
            raise SettingError("models", given, f"{name} stands twice; expected different networks")
        found[key] = model
    models = list(found.values())
    for name, value in config.given_of(NetworkConfig).items():
        if not any(name in model.settings for model in models):
            raise SettingError(name, value, f"has no meaning for any of {', '.join(names)}")
    return models


def _check_source(config: FromConfig) -> None:
    if config.source is None:
        raise UserError("--from is missing; give the folder of a trained network, such as runs/search/best")
    if not config.source.startswith(KERAS):
        check_trained(trained_folder(expanded(config.source)))
        if config.weights is not None:
            raise UserError(f"--weights={config.weights}: goes with --from={KERAS}NASNetMobile; a folder holds its own")
    elif config.weights is not None and not expanded(config.weights).is_file():
        raise SettingError("weights", config.weights, "no such file")


def _check_table(options: PredictConfig) -> None:
    """Raises UserError where a table cannot be renamed into place: over a folder, or over a device of the machine."""
    if options.csv is not None and (path := expanded(options.csv)).exists() and not path.is_file():
        raise UserError(f"--csv={path}: is no file; expected the name of one that is new or can be written anew")


def spec_on(
    model: NamedModel | Genotype, data: DataSet, network: NetworkConfig, training: TrainingConfig
) -> NetworkSpec:
    """The network that flags describe, counted before anything is written. Raises UserError if it cannot be built."""
    named = model if isinstance(model, NamedModel) else model_of_genotype(model.kind, model)
    architecture = made(named, network, len(data.classes))
    return _counted(named.name, NetworkSpec.on(data, architecture, bn_momentum=training.bn_momentum), training)


def made(model: NamedModel, network: NetworkConfig, classes: int) -> Architecture:
    """The whole network. Raises UserError for sizes that it cannot have."""
    try:
        return model.make(network, classes)
    except ValueError as error:
        flags = "/".join(f"--{name}" for name in model.settings)
        raise UserError(f"{flags or model.name}: {error}") from error


def transferred_to(source: NetworkSpec, data: DataSet, training: TrainingConfig) -> NetworkSpec:
    """`source` on other pictures, as `spec_on`."""
    spec = transferred(source, data, training.bn_momentum)
    return _counted(spec.architecture.describe(), spec, training)


def _counted(name: str, spec: NetworkSpec, training: TrainingConfig) -> NetworkSpec:
    """The network, once it is known that it can be built as it is trained. Raises UserError otherwise."""
    counted(name, spec.architecture, spec.image_shape, "--auxiliary_weight" if training.auxiliary_weight else "")
    return spec


def counted(name: str, architecture: Architecture, image_shape: Shape, auxiliary: str = "") -> Counts:
    """As `count`, with a UserError that names the network and says what would mend it.

    `auxiliary` is the flag that asks for the auxiliary head, if one does.
    """
    try:
        return count(architecture, image_shape, auxiliary=bool(auxiliary))
    except ValueError as error:
        why = str(error)
    height, width, channels = image_shape

    def fits(side: int) -> bool:
        with contextlib.suppress(ValueError):
            count(architecture, (side, side, channels), auxiliary=bool(auxiliary))
            return True
        return False

    least = least_side(fits)
    if auxiliary and least is None:
        raise UserError(f"{auxiliary}: {name} has none that can be built ({why}); leave it out")
    head = f" with its auxiliary head ({auxiliary})" if auxiliary else ""
    enough = "" if least is None else f"; {least} pixels a side are enough: --image_size={least}"
    raise UserError(f"{name} cannot be built{head} for pictures of {height}x{width}: {why}{enough}")


def open_data(config: RunConfig) -> DataSet:
    """The data set of a config, its test split closed. Says what was converted or passed over."""
    options = config.group(DataConfig)
    with doing(f"reading the pictures of {options.dataset}"):
        return _with_notes_said(open_configured(options))


def open_table(config: RunConfig) -> Table:
    """The table that `--table` names. Raises UserError for none, and as `read_table`."""
    path = config.group(SearchConfig).table
    if path is None:
        raise UserError("--table is missing; give a CSV file with a column for each decision, and reward")
    return read_table(expanded(path))


def write_skipped(workdir: Path, data: DataSet) -> None:
    """Names in the workdir what was left out of the pictures, and why, if anything was."""
    if data.skipped:
        write_text(workdir / "skipped.txt", "".join(f"{line}\n" for line in data.skipped))


def open_matching(spec: NetworkSpec, config: RunConfig) -> DataSet:
    """The data set of a config made to fit a trained network, its test split open.

    Size, channels and classes are the network's. Raises UserError where the data set has classes of other names.
    """
    return _with_notes_said(open_configured(config.group(DataConfig), allow_test=True, like=spec.like))


def _with_notes_said(data: DataSet) -> DataSet:
    for note in data.notes:
        say(f"note: {note}")
    if data.skipped:
        say(f"note: {len(data.skipped)} files are no readable pictures and are left out: {data.skipped[0]}, ...")
    return data


def open_source(config: RunConfig, *, fresh_head: bool = False) -> tuple[NetworkSpec, Model]:
    """The network that `--from` and `--weights` name, and its weights; without a head only where that is fresh."""
    options = config.group(FromConfig)
    return load_source(source_of(config), options.weights, fresh_head=fresh_head)


def source_of(config: RunConfig) -> str:
    """What `--from` names: a network of keras.applications, or a trained network's folder, a run's export too."""
    source = config.group(FromConfig).source
    assert source is not None  # check_inputs comes first
    return source if source.startswith(KERAS) else str(trained_folder(expanded(source)))


def named_pictures(paths: tuple[str, ...]) -> list[Path]:
    """The files that a command names, and those below its folders with the suffix of a picture, by path.

    Raises:
        UserError: for a path that is not there, a folder without pictures, or no path at all.
    """
    if not paths:
        raise UserError("no PATH is given; name pictures or folders of them after the flags of --mode=predict")
    found: list[Path] = []
    for path in map(expanded, paths):
        if path.is_dir():
            below = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
            seen = [
                file
                for file in below
                if not any(part.startswith((".", "__MACOSX")) for part in file.relative_to(path).parts)
            ]
            if not seen:
                raise UserError(f"{path}: holds no pictures; expected {' '.join(sorted(SUFFIXES))}")
            found += seen
        elif path.exists():
            found.append(path)
        else:
            raise UserError(f"{path}: no such file or folder; expected pictures or folders of them")
    return found
