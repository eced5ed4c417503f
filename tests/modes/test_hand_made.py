"""A network by hand in the modes that train: as its name says, at a width, from its own file, with another head."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cells.zoo.networks import hand_made
from nasnet.data.dataset import open_dataset
from nasnet.modes.flags import resolve
from nasnet.modes.inputs import check_inputs, model_of, spec_on, transferred_to
from nasnet.modes.train import run_train
from nasnet.networks.config import NetworkConfig
from nasnet.networks.keras_model import named_weights
from nasnet.networks.models import named_model
from nasnet.networks.saved import load_trained
from nasnet.runtime.errors import UserError
from nasnet.training.config import TrainingConfig, TransferConfig
from nasnet.training.loop import Training

SMALL = {"dataset": "digits", "image_size": 32, "steps": 2, "batch_size": 8, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A LeNet-5 of half the width, trained for two steps."""
    workdir = tmp_path_factory.mktemp("lenet") / "run"
    config = resolve("train", 0, {**SMALL, "model": "lenet5", "width": 0.5})
    check_inputs(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nasnet.training.replicas._set_threads", lambda: None)  # another test may have started TensorFlow
        run_train(config, workdir)
    return workdir


def test_what_is_trained_is_the_network_of_the_name_at_its_width(trained):
    spec, model = load_trained(trained)
    assert spec.architecture == hand_made("lenet5", 10, 0.5)
    assert spec.image_shape == (32, 32, 1)
    assert all(np.isfinite(variable.numpy()).all() for variable in named_weights(model).values())


def test_its_file_is_the_same_network_unless_a_width_is_given(trained):
    for path in (trained, trained / "genotype.json"):
        model = named_model(str(path))
        assert model.make(NetworkConfig(), 10, (32, 32, 1)) == hand_made("lenet5", 10, 0.5)
        assert model.make(NetworkConfig(width=2.0), 3, (32, 32, 1)) == hand_made("lenet5", 3, 2.0)
        assert model.published(NetworkConfig()) == ((32, 32, 1), 10)
        assert model.sha256 != named_model("lenet5").sha256


def test_fine_tuning_takes_over_all_but_what_depends_on_the_size_and_the_head(trained):
    source_spec, source = load_trained(trained)
    data = open_dataset("digits", image_size=40)
    config = TrainingConfig(steps=2, batch_size=8, learning_rate=0.01)
    spec = transferred_to(source_spec, data, config)
    assert spec.architecture == hand_made("lenet5", 10, 0.5)
    training = Training(spec, data, config, seed=0, transfer=TransferConfig(trainable_cells=1), source=source)
    fresh = {name.partition("/")[0].partition(".")[0] for name in training.fresh}
    kept = [name for name in named_weights(source) if name not in training.fresh]
    assert spec.architecture.parts[-1] in fresh
    assert len(fresh) == 2, fresh  # and the first dense layer, which reads all pixels
    before = {name: named_weights(source)[name].numpy() for name in kept}
    training.run()
    after = named_weights(training.model)
    first = spec.architecture.parts[0]
    for name in kept:
        if name.startswith(f"{first}."):
            np.testing.assert_array_equal(after[name].numpy(), before[name])


def test_too_small_a_picture_names_the_network_and_the_size_that_is_enough():
    data = open_dataset("digits", image_size=16)
    config = resolve("train", 0, {**SMALL, "model": "vgg16", "image_size": 16})
    with pytest.raises(UserError, match=r"vgg16 .*16x16.*--image_size=32"):
        spec_on(model_of(config), data, config.group(NetworkConfig), config.group(TrainingConfig))


@pytest.mark.parametrize(("model", "flag"), [("lenet5", "filters"), ("resnet18", "repeats"), ("nasnet_a", "width")])
def test_a_size_that_it_has_not_is_refused_where_it_is_given(model, flag):
    config = resolve("train", 0, {"model": model, flag: 2, "image_size": 32})
    with pytest.raises(UserError, match=f"{flag}=2: has no meaning with model={model}"):
        check_inputs(config)
    check_inputs(dataclasses.replace(config, given=("model",)))  # as a recipe would say it
