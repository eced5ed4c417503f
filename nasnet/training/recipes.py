"""The published training recipes as values, and recipes of the user's own. No TensorFlow.

A recipe sets fields of `TrainingConfig`, for fine-tuning of `TransferConfig`, where a network is made `OF_NETWORK`;
what it does not name keeps its default, and a flag overrides it. Sections are those of arXiv 1707.07012; "slim" is
tensorflow/models' `research/slim/nets/nasnet/nasnet.py`, its header notes and `nasnet_*_arg_scope`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from nasnet.networks.config import NetworkConfig
from nasnet.runtime.errors import SettingError, first_line
from nasnet.runtime.files import expanded
from nasnet.runtime.setting import broken_rule, field_kinds
from nasnet.training.config import TrainingConfig, TransferConfig

VERSION = 1

# What both ImageNet recipes share.
_IMAGENET: dict[str, Any] = {
    # slim trains 250,000 steps.
    "steps": 250_000,
    # A.7: RMSProp with decay 0.9 and epsilon 1.0. Neither says a momentum; `optimizers.py` takes the 0.9 of
    # tensorflow/tpu's amoeba_net, which goes with the same two values.
    "optimizer": "rmsprop",
    # A.7: exponential; slim: 0.97 every 2.4 epochs.
    "schedule": "exponential",
    "decay_rate": 0.97,
    "decay_epochs": 2.4,
    "staircase": True,  # slim's train_image_classifier.py
    "augment": "inception",  # the crops and colours of slim's inception_preprocessing.py
    "ema_decay": 0.9999,  # A.7
    "label_smoothing": 0.1,  # A.7
    "auxiliary_weight": 0.4,  # A.7
    "dropout_keep": 0.5,  # A.7
    "clip_norm": 10.0,  # slim
    "bn_momentum": 0.9997,  # slim; its epsilon of 1e-3 comes with stem=imagenet
}

RECIPES: dict[str, dict[str, Any]] = {
    "cifar": {
        "epochs": 600,  # slim: 937,500 steps of 32
        "batch_size": 32,  # slim
        "optimizer": "momentum",  # A.6: 0.9
        "learning_rate": 0.025,  # slim
        "schedule": "cosine",  # A.6: one period
        "weight_decay": 5e-4,  # slim
        "clip_norm": 5.0,  # slim
        "auxiliary_weight": 0.4,  # slim
        "drop_path_keep": 0.6,  # slim, with its scaling by depth
        "dropout_keep": 1.0,  # slim
        "label_smoothing": 0.0,  # neither has any
        "bn_momentum": 0.9,  # slim
        # Table 1's best rows have cutout as well: cutout=16, DARTS' size; the paper does not say its own.
    },
    "imagenet-large": {
        **_IMAGENET,
        # slim: 16 pictures on each of 100 replicas, at 0.015 a replica.
        "batch_size": 1600,
        "learning_rate": 1.5,
        "weight_decay": 5e-5,
        "drop_path_keep": 0.7,
        # slim's large_imagenet_config. With repeats=6, filters=168, stem=imagenet it is the published network.
        "stem_multiplier": 3.0,
        "skip_reduction_input": True,
    },
    "imagenet-mobile": {
        **_IMAGENET,
        # slim: 32 pictures on each of 50 replicas, at 0.04 a replica.
        "batch_size": 1600,
        "learning_rate": 2.0,
        "weight_decay": 4e-5,
        "drop_path_keep": 1.0,
    },
    # LeNet-5's passes and the falls of its rate (LeCun et al. 1998, section III.B, as two implementations quote it):
    # 0.0005 for two passes of 20, 0.0002 for three, 0.0001 for three, 0.00005 for four, then 0.00001.
    # Differs from the paper: the rate itself, which was divided by a second derivative for each weight, and the steps
    # of one picture that go with it, keep this program's defaults; its loss is not cross-entropy.
    "lenet": {
        "epochs": 20,
        "schedule": "step",
        "rate_drops": "0.1:0.4,0.25:0.5,0.4:0.5,0.6:0.2",
        "pad": 0,
        "flip": False,
    },
    # Krizhevsky et al. 2012, section 5, but for the falls of the rate, which were three, made by hand: those are
    # Caffe's bvlc_alexnet/solver.prototxt (a tenth every 100,000 steps of 256, which are 20 passes of ImageNet's 1.28
    # million pictures). Differs from the paper: the crops and colours of its section 4.1 are not there.
    "alexnet": {
        "epochs": 90,
        "batch_size": 128,
        "optimizer": "momentum",
        "learning_rate": 0.01,
        "schedule": "exponential",
        "decay_rate": 0.1,
        "decay_epochs": 20.0,
        "staircase": True,
        "weight_decay": 5e-4,
        "dropout_keep": 0.5,
        "clip_norm": 0.0,  # none is told of
    },
    # He et al. 2015 (arXiv 1512.03385), section 4.2: the networks for CIFAR-10. Its 110 layers begin at a rate of 0.01,
    # which is left out here, and neither momentum nor epsilon of batch norm are told.
    "resnet-cifar": {
        "steps": 64_000,
        "batch_size": 128,
        "optimizer": "momentum",
        "learning_rate": 0.1,
        "schedule": "step",
        "rate_drops": "0.5,0.75",  # a tenth at 32,000 and at 48,000
        "weight_decay": 1e-4,
        "pad": 4,
        "flip": True,
        "clip_norm": 0.0,
    },
    # The child of a search. Differs from the paper: its proxy (A.1) has N=2 and 20 epochs of CIFAR-10 and no
    # stated rate or batch. These were chosen by measurement (docs/search.md), for minutes on two cores. So few steps
    # go with re-estimated statistics (a search's `statistics`).
    "proxy": {"steps": 25, "batch_size": 64, "optimizer": "momentum", "learning_rate": 0.1, "schedule": "cosine"},
    # Ours: no publication says how to fine-tune a found cell; docs/results.md has what was tried, rates and epochs too.
    "finetune": {
        "epochs": 20,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "batch_size": 64,
        "weight_decay": 0.0,
        "head_epochs": 0.5,
        "layer_decay": 0.9,
    },
}

OF_NETWORK = ("stem_multiplier", "skip_reduction_input")
"""The fields of `NetworkConfig` that a recipe can set. They say nothing to a mode whose network is there already."""
_FIELDS = {
    field.name: (field_kinds(group)[field.name], field.metadata)
    for group in (TrainingConfig, TransferConfig, NetworkConfig)
    for field in dataclasses.fields(group)
    if group is not NetworkConfig or field.name in OF_NETWORK
}


def read_recipe(name: str) -> dict[str, Any]:
    """The values of a recipe: a published one by its name, or those of a file that holds `recipe_json`.

    Raises:
        SettingError: for a name that is neither, and for a file that holds anything else, naming the value.
    """
    if name in RECIPES:
        return dict(RECIPES[name])
    path = expanded(name)
    if not path.is_file():
        raise SettingError("recipe", name, f"neither a file nor a known recipe; known: {', '.join(RECIPES)}")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingError("recipe", name, f"not a recipe's JSON ({first_line(error)})") from error
    if not isinstance(found, dict) or found.pop("version", None) != VERSION:
        raise SettingError("recipe", name, f'not a recipe; expected an object with "version": {VERSION}')
    return {key: _checked(name, key, value) for key, value in found.items()}


def recipe_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a recipe's file holds: those of the values that a recipe can set."""
    return {"version": VERSION, **{key: value for key, value in values.items() if key in _FIELDS}}


def _checked(name: str, key: str, value: Any) -> Any:  # noqa: ANN401 - whatever a JSON file held
    if key not in _FIELDS:
        raise SettingError("recipe", name, f"{key!r} is not a value of a recipe; known: {', '.join(_FIELDS)}")
    kinds, said = _FIELDS[key]
    if float in kinds and type(value) is int:
        value = float(value)
    rule = broken_rule(kinds, said, value)
    if rule:
        raise SettingError("recipe", name, f"{key}={value!r}: {rule}")
    return value
