"""What the flags name, looked at before TensorFlow is loaded: a wrong name costs no wait. No TensorFlow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from cells.count import count
from cells.genotype import CellGenotype, Genotype
from cells.zoo.cells import ZOO
from nasnet.data.config import DataConfig
from nasnet.data.dataset import DataSet, check_dataset, open_configured
from nasnet.data.pictures import SUFFIXES
from nasnet.estimators.config import check_child
from nasnet.modes.flags import GROUPS, RunConfig
from nasnet.networks.config import KERAS, FromConfig, NetworkConfig, SourceConfig
from nasnet.networks.saved import Model, check_trained, load_source, trained_folder
from nasnet.networks.spec import NetworkSpec, architecture_of, transferred
from nasnet.reports.config import PredictConfig
from nasnet.runtime.clock import doing
from nasnet.runtime.console import say
from nasnet.runtime.errors import SettingError, UserError
from nasnet.runtime.files import expanded, read_json, write_text
from nasnet.training.config import TrainingConfig
from nasnet.trials.config import SearchConfig


def check_inputs(config: RunConfig) -> None:
    """Raises UserError for what is not there, and for children that cannot be as the flags say."""
    groups = GROUPS[config.mode]
    if DataConfig in groups:
        check_dataset(config.group(DataConfig).dataset)
    if SourceConfig in groups:
        genotype_of(config.group(SourceConfig).model)
    if FromConfig in groups:
        _check_source(config.group(FromConfig))
    if config.mode == "predict":
        named_pictures(config.paths)
        _check_table(config.group(PredictConfig))
    if SearchConfig in groups:
        _check_child(config.group(SearchConfig), config.group(TrainingConfig))


def genotype_of(model: str) -> CellGenotype:
    """The cells that `--model` names: a known name, or a file. Raises UserError for anything else."""
    if model in ZOO:
        return ZOO[model]
    path = expanded(model)
    if not path.is_file():
        raise UserError(f"--model={model}: neither a file nor a known name; known: {', '.join(ZOO)}")
    try:
        return CellGenotype.from_json(read_json(path))
    except ValueError as error:
        raise UserError(f"--model={model}: {error}") from error


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


def _check_child(options: SearchConfig, training: TrainingConfig) -> None:
    if options.child == "functions":
        check_child(training)
    elif options.reward != "last":
        raise UserError(f"--reward={options.reward} is for --child=functions; with --child=keras leave it out")


def spec_on(genotype: Genotype, data: DataSet, network: NetworkConfig, training: TrainingConfig) -> NetworkSpec:
    """The network that flags describe, counted before anything is written. Raises UserError if it cannot be built."""
    with _sizes_of_flags():
        architecture = architecture_of(genotype, network, len(data.classes))
        return _counted(NetworkSpec.on(data, architecture, bn_momentum=training.bn_momentum), training)


def transferred_to(source: NetworkSpec, data: DataSet, training: TrainingConfig) -> NetworkSpec:
    """`source` on other pictures, as `spec_on`."""
    with _sizes_of_flags():
        return _counted(transferred(source, data, training.bn_momentum), training)


def _counted(spec: NetworkSpec, training: TrainingConfig) -> NetworkSpec:
    """The network, once it is known that it can be built as it is trained. Raises ValueError otherwise."""
    count(spec.architecture, spec.image_shape, auxiliary=training.auxiliary_weight > 0)
    return spec


@contextlib.contextmanager
def _sizes_of_flags() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise UserError(
            f"--repeats/--filters/--stem/--auxiliary_weight: {error}; other values, or --image_size"
        ) from error


def open_data(config: RunConfig) -> DataSet:
    """The data set of a config, its test split closed. Says what was converted or passed over."""
    options = config.group(DataConfig)
    with doing(f"reading the pictures of {options.dataset}"):
        return _with_notes_said(open_configured(options))


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
