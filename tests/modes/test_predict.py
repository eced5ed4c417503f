"""Class names and probabilities for files and folders, on screen and as CSV."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

from nasnet.modes.flags import RunConfig, resolve
from nasnet.modes.inputs import check_inputs
from nasnet.modes.trained.predict import run_predict
from nasnet.networks.saved import load_trained, save_weights
from nasnet.runtime.errors import RunError, UserError
from tests.support.pictures import write_network, write_pictures

CLASSES = ("dog", "a, cat", "猫")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """`run/best`, a network for 10x10 pixels, and `data`, pictures of 14x14."""
    folder = tmp_path_factory.mktemp("predict")
    write_network(folder / "run" / "best", CLASSES, size=10)
    write_pictures(folder / "data", {"x": 3, "y": 2}, size=14)
    (folder / "data" / ".hidden.png").write_bytes(b"")
    (folder / "data" / "x" / "labels.txt").write_text("no picture")
    return folder


def config_for(source: Path, *paths: Path, **flags: object) -> RunConfig:
    config = resolve("predict", 0, {"from": str(source), **flags})
    return dataclasses.replace(config, paths=tuple(map(str, paths)))


def predicted(config: RunConfig, workdir: Path, table: Path | None = None) -> list[list[str]]:
    check_inputs(config)
    run_predict(config, workdir)
    with (table or workdir / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_files_and_folders_in_their_order_with_the_networks_answers(place, tmp_path, capsys):
    single = place / "data" / "y" / "001.png"
    head, *rows = predicted(config_for(place / "run" / "best", single, place / "data"), tmp_path)
    assert head == ["path", "class_1", "probability_1", "class_2", "probability_2", "class_3", "probability_3"]
    assert [row[0] for row in rows] == [str(single), *map(str, sorted((place / "data").glob("?/*.png")))]
    _, model = load_trained(place / "run" / "best")
    said = capsys.readouterr().out
    for path, *answer in rows:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.resize((10, 10), Image.Resampling.BILINEAR), np.float32)
        expected = dict(zip(CLASSES, softmax(model.predict(pixels[np.newaxis], verbose=0)[0]), strict=True))
        assert answer[::2] == sorted(CLASSES, key=lambda name: -expected[name])
        np.testing.assert_allclose([float(p) for p in answer[1::2]], sorted(expected.values(), reverse=True), atol=1e-5)
        assert f"{path}: {answer[0]} {float(answer[1]):.4f}, " in said


def test_the_likeliest_alone_into_a_file_of_ones_own(place, tmp_path):
    table = tmp_path / "mine" / "out.csv"
    head, *rows = predicted(config_for(place / "run", place / "data" / "x", top=1, csv=str(table)), tmp_path, table)
    assert head == ["path", "class_1", "probability_1"]
    assert len(rows) == 3
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "out.csv"]


def test_a_child_that_a_search_kept_answers_as_its_network(place, tmp_path):
    from nasnet.networks.keras_model import named_weights

    spec, model = load_trained(place / "run" / "best")
    weights = {name: np.asarray(value) for name, value in named_weights(model).items()}
    save_weights(tmp_path / "children" / "0003", spec.to_json(), weights)
    of_child = predicted(config_for(tmp_path / "children" / "0003", place / "data"), tmp_path / "a")
    assert of_child == predicted(config_for(place / "run", place / "data"), tmp_path / "b")


def test_a_broken_picture_is_named_and_the_others_are_predicted(place, tmp_path, capsys):
    write_pictures(tmp_path / "data", {"x": 66})  # more than a batch
    whole = predicted(config_for(place / "run", tmp_path / "data"), tmp_path / "run")
    assert len({row[2] for row in whole}) == 67  # each has a row of its own
    broken = tmp_path / "data" / "x" / "0005.png"
    broken.write_bytes((tmp_path / "data" / "x" / "001.png").read_bytes()[:60])
    with pytest.raises(RunError, match=rf"1 of 67 pictures cannot be read: {broken}$"):
        predicted(config_for(place / "run", tmp_path / "data"), tmp_path / "run")
    with (tmp_path / "run" / "predictions.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.reader(file))
    assert [row[:2] for row in found] == [row[:2] for row in whole]
    for row, other in zip(found[1:], whole[1:], strict=True):  # in other batches, so not to the bit
        np.testing.assert_allclose([float(p) for p in row[2::2]], [float(p) for p in other[2::2]], atol=1e-5)
    assert f"{broken} is not a readable picture" in capsys.readouterr().out
    with pytest.raises(UserError, match="none of 1 picture"):
        predicted(config_for(place / "run", broken), tmp_path / "none")
    assert not list((tmp_path / "none").glob("*"))


def test_a_reader_that_goes_away_is_not_taken_for_a_disk(place, tmp_path, monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        with pytest.raises(BrokenPipeError):
            run_predict(config_for(place / "run", place / "data"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_to_predict_is_said_before_anything_is_loaded(place, tmp_path):
    (tmp_path / "empty").mkdir()
    for paths, words in (
        ((), "no PATH is given"),
        ((place / "data", tmp_path / "gone.png"), rf"{tmp_path}/gone.png: no such file or folder"),
        ((tmp_path / "empty",), rf"{tmp_path}/empty: holds no pictures"),
    ):
        with pytest.raises(UserError, match=words):
            check_inputs(config_for(place / "run", *paths))
