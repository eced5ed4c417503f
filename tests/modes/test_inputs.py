"""What the flags name, against the network that it is for."""

from __future__ import annotations

import dataclasses
import os

import pytest

from cells.walks.stack import CellNetwork
from cells.zoo.cells import NASNET_A, UNPUBLISHED
from nasnet.modes.flags import resolve
from nasnet.modes.inputs import check_inputs, open_matching
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.errors import UserError

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
    with pytest.raises(UserError, match=r"--csv=.*table: is no file"):
        check_inputs(config)
    assert not (tmp_path / "table").is_file()
    check_inputs(dataclasses.replace(config, values={**config.values, "csv": str(tmp_path / "new.csv")}))


@pytest.mark.parametrize("name", UNPUBLISHED)
def test_cells_that_were_never_published_as_text_are_refused_with_the_reason(name):
    with pytest.raises(
        UserError, match=rf"^model={name}: its wiring was published as a drawing alone.*; known: nasnet_a"
    ):
        check_inputs(resolve("train", 0, {"model": name}))
