"""What the flags name, looked at before TensorFlow is loaded: a wrong name costs no wait. No TensorFlow."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from cells.architecture import Architecture, BadField
from cells.count import Counts, count
from cells.genotype.genotype import Genotype
from cells.spaces.space import Space
from controller.config import BadSetting, LearnerConfig, PolicyGradientConfig
from controller.strategies import check_strategy
from nasnet.data.config import DataConfig
from nasnet.data.dataset import DataSet, check_dataset, open_configured
from nasnet.data.tfds import check_data_dir
from nasnet.estimators.config import check_child
from nasnet.estimators.table import Table, read_table
from nasnet.modes.compared.models import baseline_models, compared_models, sizes_at
from nasnet.modes.flags import GROUPS, RunConfig, in_its_flags
from nasnet.modes.trained.pictures import named_pictures
from nasnet.networks.config import KERAS, FromConfig, NetworkConfig, SourceConfig
from nasnet.networks.models import NamedModel, as_stored, least_side, model_of_genotype, named_model
from nasnet.networks.saved import Model, check_trained, load_source, stored_spec, trained_folder
from nasnet.networks.spec import NetworkSpec, Shape, transferred
from nasnet.reports.config import CompareConfig, ExportConfig
from nasnet.runtime.clock import doing
from nasnet.runtime.console import say
from nasnet.runtime.errors import SettingError, UserError
from nasnet.runtime.files import check_file, expanded, write_text
from nasnet.training.config import TrainingConfig, check_schedule
from nasnet.trials.config import TABLE, ChainConfig, FinalConfig, LatencyConfig, SearchConfig
from nasnet.trials.plan import final_name, final_of, finalist_steps_after, without_size
from nasnet.trials.spaces import check_space, make_space

_ANY = (1, 1, 3)  # a shape that nothing hangs on
_SOME_CLASSES = 2  # whether a network can be built does not hang on how many it has


def check_inputs(config: RunConfig) -> None:
    """Raises UserError for what is not there, and for children that cannot be as the flags say."""
    groups = GROUPS[config.mode]
    if SearchConfig in groups:  # before what is given is looked at more closely: it may have no meaning at all
        given = {name: config.values[name] for name in config.given}
        check_space(config.group(SearchConfig), config.group(ChainConfig), given)
        config.group(LatencyConfig).check_given(given, config.values["match"])
    for name in ("csv", "html"):
        check_file(name, config.values.get(name))
    if ExportConfig in groups:
        (options := config.group(ExportConfig)).check_given({name: config.values[name] for name in config.given})
        if options.format == "csv":
            return
    if NetworkConfig in groups:
        config.group(NetworkConfig).check_given(config.given_of(NetworkConfig))
    if DataConfig in groups:
        _check_data(config)
    if SourceConfig in groups:
        model_of(config)
    if FromConfig in groups:
        _check_source(config.group(FromConfig))
    if CompareConfig in groups:
        config.group(CompareConfig).check_given(config.given)
        compared_models(config)
    if config.mode == "predict":
        named_pictures(config.paths)
    if TrainingConfig in groups:
        check_schedule(config.group(TrainingConfig), config.given)
        _check_networks(config)
    if SearchConfig in groups:
        _check_search(config)


def _check_data(config: RunConfig) -> None:
    options = config.group(DataConfig)
    if config.object("dataset") is None:
        check_dataset(options.dataset)
    if options.data_dir is not None:
        check_data_dir(options.dataset, options.data_dir)


def _check_networks(config: RunConfig) -> None:
    """Raises UserError for a network to be trained that cannot be, as far as that is known without the pictures."""
    groups, training, shape = GROUPS[config.mode], config.group(TrainingConfig), _known_shape(config)
    if SourceConfig in groups:
        check_network(model_of(config), config.group(NetworkConfig), training, shape, _SOME_CLASSES)
    if CompareConfig in groups:
        for place, model in enumerate(compared_models(config)):
            with of_models(model):
                check_network(as_stored(model), sizes_at(place, config), training, shape, _SOME_CLASSES)
    if FromConfig in groups and shape is not None and not source_of(config).startswith(KERAS):
        _check_stored(stored_spec(Path(source_of(config))).architecture, shape, training)


def _check_search(config: RunConfig) -> None:
    options, training, shape = config.group(SearchConfig), config.group(TrainingConfig), _known_shape(config)
    # Of pictures that are not known yet the shape decides no more than strides.
    space = open_table(config) if options.space == TABLE else space_of(config, shape or (1, 1, 1))
    learning = config.group(PolicyGradientConfig), config.group(LearnerConfig)
    try:
        check_strategy(options.strategy, space.decisions, space.length, *learning)
    except BadSetting as error:
        raise in_its_flags(error) from error
    if options.space == TABLE:
        return  # nothing is trained
    if config.group(FinalConfig).export:
        baseline_models(config)
    if options.child == "functions":
        check_child(training)
    if training.steps:  # with rungs, those of the last
        finalist_steps_after(options, training.steps)
    check_children(config, space, shape, _SOME_CLASSES)


def space_of(config: RunConfig, image_shape: Shape) -> Space:
    """The space of a search on such pictures. Raises SettingError for sizes that it cannot have."""
    if (own := config.object("space")) is not None:
        return own
    return make_space(config.group(SearchConfig), config.group(ChainConfig), config.group(NetworkConfig), image_shape)


def check_children(config: RunConfig, space: Space, image_shape: Shape | None, classes: int) -> None:
    """Raises UserError for children, or a winner, that cannot be built; of None for a shape, only for their sizes."""
    options, child, training = config.group(SearchConfig), config.group(NetworkConfig), config.group(TrainingConfig)
    final, recipe = final_of(config.group(FinalConfig), child, training)
    for tokens in ((0,) * len(space.decisions), tuple(decision.size - 1 for decision in space.decisions)):
        model = model_of_genotype(options.space, space.decode(tokens))
        check_network(model, dataclasses.replace(child, parameters=None), training, image_shape, classes)
        try:
            check_network(model, dataclasses.replace(final, parameters=None), recipe, image_shape, classes)
        except SettingError as error:
            name = final_name(config.group(FinalConfig), error.name)
            raise SettingError(name, error.value, error.rule) from error
    if image_shape is not None:
        without_size(space, config.group(FinalConfig), child, classes, image_shape)


def _known_shape(config: RunConfig) -> Shape | None:
    """What the pictures will be like as far as it is known before they are read, None where it is not."""
    data = config.group(DataConfig)
    if data.image_size is not None:
        return data.image_size, data.image_size, 3
    return (8, 8, 1) if data.dataset == "digits" else None


def model_of(config: RunConfig) -> NamedModel:
    """The network that `--model` names. Raises UserError for none, and for given sizes that have no meaning for it."""
    model = named_model(config.group(SourceConfig).model)
    model.check_settings(config.given_of(NetworkConfig))
    return model


@contextlib.contextmanager
def of_models(model: NamedModel) -> Iterator[None]:
    """Raises what is raised meanwhile as an error of this one of the networks that `--models` names."""
    try:
        yield
    except SettingError as error:
        raise SettingError(error.name, error.value, f"{error.rule} (of {model.name})", error.see) from error
    except UserError as error:
        raise SettingError("models", model.name, str(error)) from error


def _check_source(config: FromConfig) -> None:
    if config.source is None:
        raise UserError("--from is missing; give the folder of a trained network, such as runs/search/best")
    if not config.source.startswith(KERAS):
        check_trained(trained_folder(expanded(config.source)))
        if config.weights is not None:
            raise UserError(f"--weights={config.weights}: goes with --from={KERAS}NASNetMobile; a folder holds its own")
    elif config.weights is not None and not expanded(config.weights).is_file():
        raise SettingError("weights", config.weights, "no such file")


def spec_on(
    model: NamedModel | Genotype, data: DataSet, network: NetworkConfig, training: TrainingConfig
) -> NetworkSpec:
    """The network that flags describe, counted before anything is written. Raises UserError if it cannot be built."""
    named = model if isinstance(model, NamedModel) else model_of_genotype(model.kind, model)
    architecture = check_network(named, network, training, data.image_shape, len(data.classes))
    return NetworkSpec.on(data, architecture, bn_momentum=training.bn_momentum)


def check_network(
    model: NamedModel, network: NetworkConfig, training: TrainingConfig, image_shape: Shape | None, classes: int
) -> Architecture:
    """The whole network. Raises UserError if it cannot be built; of pictures of no known shape, for its sizes alone."""
    architecture = made(model, network, classes, image_shape)
    if image_shape is not None:
        counted(model.name, architecture, image_shape, "--auxiliary_weight" if training.auxiliary_weight else "")
    return architecture


def made(model: NamedModel, network: NetworkConfig, classes: int, image_shape: Shape | None) -> Architecture:
    """The whole network; where no shape is known, of no given number of parameters.

    Raises:
        SettingError: for sizes that it cannot have.
        UserError: if such pictures are too small for it to be counted.
    """
    if image_shape is None:
        network, image_shape = dataclasses.replace(network, parameters=None), _ANY
    if network.parameters is not None:  # then it is counted
        least = made(model, dataclasses.replace(network, parameters=None), classes, image_shape)
        counted(model.name, least, image_shape)
    try:
        return model.make(network, classes, image_shape)
    except BadField as error:
        raise SettingError(error.name, error.value, error.rule) from error


def transferred_to(source: NetworkSpec, data: DataSet, training: TrainingConfig) -> NetworkSpec:
    """`source` on other pictures, as `spec_on`."""
    spec = transferred(source, data, training.bn_momentum)
    _check_stored(spec.architecture, spec.image_shape, training)
    return spec


def _check_stored(architecture: Architecture, image_shape: Shape, training: TrainingConfig) -> None:
    auxiliary = "--auxiliary_weight" if training.auxiliary_weight else ""
    counted(architecture.describe(), architecture, image_shape, auxiliary)


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
    """The data set of a config, its test split looked through and closed. Says what was converted or passed over."""
    options = config.group(DataConfig)
    with doing(f"reading the pictures of {options.dataset}"):
        return _with_notes_said(open_configured(options, check_test=True, source=config.object("dataset")))


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
    options, source = config.group(DataConfig), config.object("dataset")
    return _with_notes_said(open_configured(options, allow_test=True, like=spec.like, source=source))


def _with_notes_said(data: DataSet) -> DataSet:
    for note in data.notes:
        say(f"note: {note}")
    if data.skipped:
        first, *others = data.skipped
        rest = f"; all {len(data.skipped)} are named in skipped.txt of the workdir" if others else ""
        say(f"note: left out as no readable picture{'s' if others else ''}: {first}{rest}")
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
