"""What an evaluation scores, and what it says and writes of it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from nasnet.data.fingerprint import Fingerprint
from nasnet.modes.flags import resolve
from nasnet.modes.inputs import check_inputs, open_matching
from nasnet.modes.trained.evaluate import run_evaluate
from nasnet.networks.saved import load_trained
from nasnet.runtime.errors import SettingError, UserError
from nasnet.runtime.files import write_json
from nasnet.training.metrics import evaluate
from tests.support.pictures import write_network, write_pictures

CLASSES = ("b", "a", "10", "2")  # in an order of its own


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """`data`, a flat folder of 40 pictures, and `net`, a network for it."""
    folder = tmp_path_factory.mktemp("evaluate")
    write_pictures(folder / "data", {"a": 8, "b": 12, "2": 10, "10": 10})
    write_network(folder / "net", CLASSES)
    return folder


def evaluated(place, workdir, **flags) -> dict:
    config = resolve("evaluate", 0, {"from": str(place / "net"), "dataset": f"folder:{place / 'data'}", **flags})
    check_inputs(config)
    run_evaluate(config, workdir)
    assert sorted(path.name for path in workdir.iterdir()) == ["confusion.png", "evaluation.json"]
    return json.loads((workdir / "evaluation.json").read_text())


def test_all_pictures_of_a_flat_folder_are_scored_in_the_networks_order_of_classes(place, tmp_path, capsys):
    found = evaluated(place, tmp_path, split="all")["all"]
    assert {one["name"]: one["pictures"] for one in found["classes"]} == {"b": 12, "a": 8, "10": 10, "2": 10}
    assert tuple(one["name"] for one in found["classes"]) == CLASSES
    assert found["pictures"] == np.sum(found["confusion"]) == 40
    assert f"all: accuracy {found['accuracy']:.4f}" in capsys.readouterr().out


def test_the_default_is_valid_and_test_and_a_second_evaluation_takes_the_place_of_the_first(place, tmp_path):
    evaluated(place, tmp_path, split="train")
    found = evaluated(place, tmp_path)
    assert "train" not in found
    spec, model = load_trained(place / "net")
    data = open_matching(spec, resolve("evaluate", 0, {"from": "x", "dataset": f"folder:{place / 'data'}"}))
    for name, split in (("valid", data.valid), ("test", data.test())):
        score = evaluate(model, split)
        assert found[name]["accuracy"] == score.accuracy
        assert found[name]["loss"] == pytest.approx(score.loss, rel=1e-5)
        assert found[name]["pictures"] == len(split) > 0


def test_it_says_how_many_of_the_pictures_were_trained_on(place, tmp_path, capsys):
    """Also where they have other names and another folder; a network that says nothing of its pictures is told."""
    assert evaluated(place, tmp_path / "a", split="all")["all"]["trained_on"] is None
    assert "is not known: no data.json" in capsys.readouterr().out
    shutil.copytree(place, tmp_path / "moved")
    spec, _ = load_trained(place / "net")
    data = open_matching(spec, resolve("evaluate", 0, {"from": "x", "dataset": f"folder:{place / 'data'}"}))
    write_json(tmp_path / "moved" / "net" / "data.json", data.fingerprint.to_json())
    for file in sorted((tmp_path / "moved" / "data").rglob("*.png")):
        file.rename(file.with_name(f"renamed_{file.name}"))
    found = evaluated(tmp_path / "moved", tmp_path / "b", split="all")["all"]
    assert found["trained_on"] == len(data.train) < 40
    assert f"was trained on {len(data.train)} of these 40 pictures" in capsys.readouterr().out
    assert evaluated(tmp_path / "moved", tmp_path / "c", split="valid")["valid"]["trained_on"] == 0
    assert "was trained on" not in capsys.readouterr().out


@pytest.mark.parametrize("own", ["known", "unknown"])
def test_what_its_source_was_trained_on_counts_too(place, tmp_path, capsys, own):
    """A fine-tuned network: it has seen a picture of valid and its source another, and both have seen a third."""
    write_network(tmp_path / "net", CLASSES)
    spec, _ = load_trained(tmp_path / "net")
    config = resolve("evaluate", 0, {"from": "x", "dataset": f"folder:{place / 'data'}", "valid_fraction": 0.3})
    valid = open_matching(spec, config).valid
    assert len(valid) > 3

    def fingerprint(*rows: int) -> dict:
        return Fingerprint(CLASSES, {"train": {f"{row}": f"9:{valid.hashes[row]}" for row in rows}}).to_json()

    if own == "known":
        write_json(tmp_path / "net" / "data.json", fingerprint(0, 1))
    write_json(tmp_path / "net" / "source_data.json", fingerprint(1, 2))
    flags = {"split": "valid", "from": str(tmp_path / "net"), "valid_fraction": 0.3}
    found = evaluated(place, tmp_path / "run", **flags)["valid"]
    seen = 3 if own == "known" else 2
    assert (found["trained_on"], found["source_trained_on"]) == (seen, 2)
    said = f"the network or its source was trained on {seen} of these {len(valid)} pictures"
    assert said in capsys.readouterr().out
    write_json(tmp_path / "net" / "source_data.json", {**fingerprint(1), "classes": 3})
    with pytest.raises(UserError, match=r"source_data\.json: its classes is 3; expected a list"):
        evaluated(place, tmp_path / "run", **flags)


def test_renamed_classes_are_refused_with_both_lists(place, tmp_path):
    shutil.copytree(place, tmp_path / "renamed")
    (tmp_path / "renamed" / "data" / "a").rename(tmp_path / "renamed" / "data" / "z")
    with pytest.raises(UserError) as caught:
        evaluated(tmp_path / "renamed", tmp_path / "run")
    for name in (*CLASSES, "z"):
        assert repr(name) in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_an_npz_with_the_same_names_in_another_order_scores_the_same(place, tmp_path):
    """The same pictures and names; the folder sorts "10" before "2", the file counts by its own array of names."""
    spec, _ = load_trained(place / "net")
    data = open_matching(spec, resolve("evaluate", 0, {"from": "x", "dataset": f"folder:{place / 'data'}"})).whole()
    names = ("2", "10", "b", "a")
    labels = np.array([names.index(CLASSES[label]) for label in data.labels])
    np.savez(tmp_path / "set.npz", x=data.images, y=labels, classes=np.array(names))
    of_folder = evaluated(place, tmp_path / "a", split="all")["all"]
    of_npz = evaluated(place, tmp_path / "b", split="all", dataset=f"npz:{tmp_path / 'set.npz'}")["all"]
    assert of_npz["confusion"] == of_folder["confusion"]


def test_another_size_than_the_networks_is_refused(place, tmp_path):
    with pytest.raises(SettingError, match="image_size=9"):
        evaluated(place, tmp_path / "run", image_size=9)
    assert evaluated(place, tmp_path / "run", image_size=8)["valid"]["pictures"] > 0


def test_what_is_skipped_is_named_in_a_file_and_a_folder_without_test_pictures_is_not_said_to_hide_them(
    place, tmp_path, capsys
):
    write_pictures(tmp_path / "data", {"a": 1, "b": 1}, seed=1)  # one for valid, one for train
    (tmp_path / "data" / "a" / "broken.png").write_bytes(b"no picture")
    config = resolve(
        "evaluate", 0, {"from": str(place / "net"), "dataset": f"folder:{tmp_path / 'data'}", "skip_broken": True}
    )
    assert not open_matching(load_trained(place / "net")[0], config).has_test, "another seed is needed"
    run_evaluate(config, tmp_path / "run")
    assert (tmp_path / "run" / "skipped.txt").read_text().startswith("a/broken.png is not a readable picture")
    assert "test: no score, there are no test pictures with labels" in capsys.readouterr().out


def test_hidden_labels_of_the_test_split_are_said(place, tmp_path, capsys):
    rng = np.random.default_rng(0)
    arrays = {"x_train": rng.integers(0, 256, (40, 8, 8, 3)), "x_test": rng.integers(0, 256, (5, 8, 8, 3))}
    np.savez(
        tmp_path / "set.npz",
        **{name: value.astype(np.uint8) for name, value in arrays.items()},
        y_train=np.arange(40) % 4,
        y_test=np.full(5, -1),
        classes=np.array(CLASSES),
    )
    flags = {"dataset": f"npz:{tmp_path / 'set.npz'}"}
    found = evaluated(place, tmp_path / "run", **flags)
    assert found["test"] is None
    assert found["valid"]["pictures"] > 0
    assert "test: no score, there are no test pictures with labels" in capsys.readouterr().out
    with pytest.raises(SettingError, match=r"split=test: .* no test pictures with labels"):
        evaluated(place, tmp_path / "other", split="test", **flags)
