"""What the flags name, against the network that it is for."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cells.spaces.darts import DARTSSpace
from cells.spaces.nasnet import NASNetSpace
from cells.walks.stack import CellNetwork
from cells.zoo.cells import NASNET_A, UNPUBLISHED
from nasnet.modes.flags import in_flags, resolve
from nasnet.modes.inputs import check_inputs, open_matching
from nasnet.networks.config import NetworkConfig
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.errors import SettingError, UserError
from nasnet.trials.config import ChainConfig, SearchConfig
from nasnet.trials.spaces import children_of, features_of, make_space

SPEC = NetworkSpec(CellNetwork(NASNET_A, 1, 2, 10), tuple("0123456789"), (8, 8, 1), (1.0,), (1.0,))
FEWER = {"architecture": CellNetwork(NASNET_A, 1, 2, 2), "classes": ("a", "b")}
CONFIG = resolve("evaluate", 0, {"dataset": "digits"})


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 8, 1), (6, 11, 3)])
def test_pictures_are_made_to_fit_the_network(shape):
    data = open_matching(
        dataclasses.replace(SPEC, image_shape=shape, mean=(1.0,) * shape[2], std=(1.0,) * shape[2]), CONFIG
    )
    assert data.image_shape == shape
    assert data.test().images.shape == (400, *shape)


def test_classes_of_other_names_are_refused_with_both_lists():
    with pytest.raises(
        UserError, match=r"has the classes \['0', '1', .*'9'\], the network \['a', 'b'\]; expected the same"
    ):
        open_matching(dataclasses.replace(SPEC, **FEWER), CONFIG)


@pytest.mark.parametrize(("workers", "deterministic"), [(0, True), (5, True), (6, False)])
def test_a_search_is_deterministic_where_an_update_has_four_trials_a_worker_or_more(workers, deterministic):
    flags = {"workers": workers, "gpus_per_child": 0, "update_trials": 20}
    assert resolve("search", 0, flags).values["deterministic"] is deterministic
    assert (
        resolve("search", 0, {**flags, "deterministic": not deterministic}).values["deterministic"] is not deterministic
    )


@pytest.mark.parametrize("mode", ["export", "report"])
def test_no_table_or_page_takes_the_place_of_what_is_no_file(tmp_path, mode):
    os.mkfifo(tmp_path / "pipe")
    for name in ("csv", "html") if mode == "report" else ("csv",):
        for path in (tmp_path, tmp_path / "pipe"):
            given = {name: str(path), **({"format": "csv"} if mode == "export" else {})}
            with pytest.raises(SettingError, match=rf"{name}={path}: is no file"):
                check_inputs(resolve(mode, 0, given))
        check_inputs(resolve(mode, 0, {**given, name: str(tmp_path / "new")}))


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_predictions_do_not_take_the_place_of_what_is_no_file(tmp_path, make):
    """By root a rename over /dev/null would replace the machine's own."""
    make(tmp_path / "table")
    source = tmp_path / "network"
    source.mkdir()
    (source / "genotype.json").touch()
    (source / "model.keras").touch()
    given = {"from": str(source), "csv": str(tmp_path / "table")}
    config = dataclasses.replace(resolve("predict", 0, given), paths=(str(source / "model.keras"),))
    with pytest.raises(UserError, match=r"^csv=.*table: is no file"):
        check_inputs(config)
    assert not (tmp_path / "table").is_file()
    check_inputs(dataclasses.replace(config, values={**config.values, "csv": str(tmp_path / "new.csv")}))


CHAIN, LENET5 = {"space": "chain"}, {"space": "lenet5"}


@pytest.mark.parametrize(
    ("mode", "flags", "said"),
    [
        ("search", {**LENET5, "free": 9}, "--free=9: must be 1 to 6"),
        (
            "search",
            {**LENET5, "width": 0.1},
            "--width=0.1: must leave 3 different numbers of filters .* leaves 1, 1, 1",
        ),
        ("search", {**CHAIN, "start_layers": 8, "max_layers": 4}, "--start_layers=8: .* 4 .*--max_layers"),
        ("search", {**CHAIN, "start_layers": 16}, "--start_layers=16: .* 15 .*--max_layers"),
        ("search", {**CHAIN, "grow_layers": 0}, "--grow_layers=0: must be 1 or more"),
        ("search", {**CHAIN, "scale": 0.01}, "--scale=0.01: must leave 4 different numbers of filters"),
        ("search", {**CHAIN, "pool_at": "3,99"}, "--pool_at=3,99: must be different depths from 1 to 15"),
        ("search", {**CHAIN, "blocks": 2}, "--blocks=2: has no meaning with space=chain; .* nasnet or darts$"),
        ("search", {"space": "darts", "skips": False}, "--skips=False: has no meaning with space=darts; .* chain$"),
        ("search", {"stem": "imagenet", "filters": 4}, "--filters=4: must be 8 or more"),
        ("search", {"stem": "imagenet", "final_filters": 5}, "--final_filters=5: must be 8 or more"),
        ("search", {"steps": 5, "finalist_steps": 3}, "--finalist_steps=3: a child itself is trained for 5"),
        ("search", {"strategy": "evolution", "evolution_sample": 9, "evolution_population": 3}, "--evolution_sample=9"),
        ("search", {**LENET5, "image_size": 2, "width": 0.1}, "--width=0.1"),
        ("search", {"parameters": 30_000, "filters": 8}, "--filters=8: is what parameters=30000 decides"),
        ("search", {"parameters": 300}, "--parameters=300: must be within 5% .* nor can any other of 40 drawn"),
        ("search", {"final_parameters": 300}, "--final_parameters=300: must be within 5% "),
        ("search", {"final_parameters": 300, "final_filters": 9}, "--final_filters=9: is what final_parameters"),
        ("search", {**LENET5, "parameters": 9000, "width": 0.5}, "--width=0.5: is what parameters=9000 decides"),
        ("train", {"parameters": 300}, "--parameters=300: must be within 5% of a size that this network can have"),
        ("compare", {"models": "nasnet_a,resnet20", "parameters": 300}, "--parameters=300: .* .of nasnet_a"),
        ("train", {"stem_multiplier": 0.001}, "--stem_multiplier=0.001: must leave the stem 1"),
        (
            "train",
            {"model": "vgg16", "image_size": 16},
            "vgg16 cannot be built for pictures of 16x16: .*--image_size=32",
        ),
        ("train", {"model": "vgg16"}, "vgg16 cannot be built for pictures of 8x8"),  # digits
        ("train", {"auxiliary_weight": 0.4}, "nasnet_a cannot be built .*--auxiliary_weight.* 8x8"),
        ("compare", {"models": "resnet20,nasnet_a", "stem": "imagenet", "filters": 4}, "--filters=4: .*of nasnet_a"),
        ("compare", {"models": "resnet20,vgg16"}, "--models=vgg16: vgg16 cannot be built for pictures of 8x8"),
    ],
)
def test_an_impossible_value_names_its_own_flag_before_pictures_are_read(mode, flags, said):
    with pytest.raises(UserError) as raised:
        check_inputs(resolve(mode, 0, {"dataset": "digits", **flags}))
    assert re.match(said, in_flags(raised.value)), in_flags(raised.value)


@pytest.mark.parametrize(
    ("flags", "of", "blocks"),
    [
        ({}, NASNetSpace, 5),
        ({"blocks": 3}, NASNetSpace, 3),
        ({"space": "darts"}, DARTSSpace, 4),
        ({"space": "darts", "blocks": 2}, DARTSSpace, 2),
    ],
)
def test_cells_have_the_blocks_that_were_asked_for_and_a_model_is_told_of_their_graphs(flags, of, blocks):
    config = resolve("search", 0, {**flags, "repeats": 3, "filters": 6})
    network = config.group(NetworkConfig)
    space: Any = make_space(config.group(SearchConfig), config.group(ChainConfig), network, (8, 8, 1))
    assert space == of(blocks)
    assert features_of(space) == space.features
    assert children_of(space, network) == "of N=3 F=6"


@pytest.mark.parametrize("flags", [{"max_layers": 4}, {"max_layers": 4, "start_layers": 4}, {"start_layers": 15}])
def test_networks_of_fewer_layers_than_the_first_trials_would_have_are_only_refused_where_both_are_said(flags):
    check_inputs(resolve("search", 0, {**CHAIN, **flags}))


def test_an_impossible_flag_is_told_before_the_workdir_that_another_config_used(tmp_path):
    """One command, as it is typed: the second time with a flag that no workdir could take."""
    (tmp_path / "config.json").write_text(json.dumps(resolve("search", 0, LENET5).to_json()))
    for flags, said in (
        (["--space=lenet5", "--free=99"], r"--free=99: must be 1 to 6"),
        (["--space=chain"], r"--workdir=.* was used with another config \(.*space: lenet5 there, chain now"),
    ):
        command = [sys.executable, "train.py", "--mode=search", f"--workdir={tmp_path}", *flags]
        done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
        assert done.returncode == 2
        assert re.fullmatch(rf"train\.py: {said}.*\n", done.stderr), done.stderr


@pytest.mark.parametrize("name", UNPUBLISHED)
def test_cells_that_were_never_published_as_text_are_refused_with_the_reason(name):
    with pytest.raises(
        UserError, match=rf"^model={name}: its wiring was published as a drawing alone.*; known: nasnet_a"
    ):
        check_inputs(resolve("train", 0, {"model": name}))
