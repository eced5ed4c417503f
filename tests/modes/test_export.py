"""What stands in `best` is of the weights that it is shown for, and of the pictures that it was scored on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nasnet.data.dataset import open_dataset
from nasnet.data.fingerprint import Fingerprint
from nasnet.modes.flags import resolve
from nasnet.modes.inputs import check_inputs
from nasnet.modes.trained.export import run_export
from nasnet.modes.workdir import check_workdir, claim_workdir
from nasnet.networks.keras_model import named_weights
from nasnet.networks.saved import data_of, load_source, load_trained
from nasnet.runtime.errors import SettingError, UserError
from nasnet.runtime.files import write_json
from nasnet.training.metrics import evaluate
from tests.support.pictures import write_network, write_pictures

ROOT = Path(__file__).parents[2]


def exported(source, dataset, workdir, **flags) -> dict:
    config = resolve("export", 0, {"from": str(source), "dataset": str(dataset), **flags})
    check_workdir(workdir, config)
    check_inputs(config)
    run_export(config, workdir)
    return json.loads((workdir / "best" / "metrics.json").read_text())


def test_trained_again_in_the_same_place_and_exported_again_it_is_the_new_network(tmp_path, capsys):
    """Seen: the old accuracy, exit 0. The network's weights, its scores and the files of both copies of it."""
    write_pictures(tmp_path / "data", {"a": 14, "b": 14, "c": 14})
    dataset = f"folder:{tmp_path / 'data'}"
    data = open_dataset(dataset, allow_test=True)
    # Trained on other pictures than it is scored on here, but for one: it keeps what it was trained on.
    seen = Fingerprint(("a", "b", "c"), {"train": {"a/else.png": f"9:{data.valid.hashes[0]}"}})
    (tmp_path / "run").mkdir()
    of_weights = []
    for seed in (1, 2):
        write_network(tmp_path / "net", ("a", "b", "c"), seed=seed)
        write_json(tmp_path / "net" / "data.json", seen.to_json())
        found = exported(tmp_path / "net", dataset, tmp_path / "run")
        of_weights.append(found["weights"])
        _, model = load_trained(tmp_path / "net")
        for split, pictures in (("valid", data.valid), ("test", data.test())):
            assert found[split]["loss"] == pytest.approx(evaluate(model, pictures).loss, rel=1e-5)
        assert [found[split]["trained_on"] for split in ("valid", "test")] == [1, 0]
        assert f"test accuracy {found['test']['accuracy']:.4f}" in capsys.readouterr().out
        _, copied = load_trained(tmp_path / "run" / "best")
        for name, value in named_weights(model).items():
            np.testing.assert_array_equal(named_weights(copied)[name], value)
    assert of_weights[0] != of_weights[1]
    assert sorted(path.name for path in (tmp_path / "run").iterdir() if path.name != ".lock") == [
        "best",
        "config.json",
        "data.json",
        "source.json",
    ]
    assert data_of(tmp_path / "run" / "best") == seen

    before = (tmp_path / "run" / "best" / "metrics.json").stat()
    (tmp_path / "net").rename(tmp_path / "moved")
    (tmp_path / "data").rename(tmp_path / "pictures")
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    exported(tmp_path / "moved", f"folder:{tmp_path / 'pictures'}", tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "best" / "metrics.json").stat() == before

    Image.new("RGB", (8, 8)).save(tmp_path / "pictures" / "a" / "new.png")
    with pytest.raises(UserError, match=r"not the pictures that .* 1 added \(a/new\.png\)"):
        exported(tmp_path / "moved", f"folder:{tmp_path / 'pictures'}", tmp_path / "elsewhere")


def test_a_broken_test_picture_is_skipped_where_the_workdir_was_begun_without_that_flag(tmp_path):
    """It is read last of all: a search that is over must not have to begin again for it."""
    for part, count in (("train", 8), ("valid", 2), ("test", 3)):
        write_pictures(tmp_path / "data" / part, {"a": count, "b": count})
    write_network(tmp_path / "net", ("a", "b"))
    (tmp_path / "data" / "test" / "b" / "broken.png").write_bytes(b"no picture")
    dataset = f"folder:{tmp_path / 'data'}"
    with pytest.raises(UserError, match=r"broken.png is not a readable picture .*skip_broken"):
        exported(tmp_path / "net", dataset, tmp_path / "run")
    begun = resolve("export", 0, {"from": str(tmp_path / "net"), "dataset": dataset})
    closed = open_dataset(dataset).fingerprint
    with claim_workdir(tmp_path / "run", begun, data=closed):
        (tmp_path / "run" / "left").touch()
    found = exported(tmp_path / "net", dataset, tmp_path / "run", skip_broken=True)
    assert found["test"]["pictures"] == 6
    assert (tmp_path / "run" / "skipped.txt").read_text().startswith("test/b/broken.png is not a readable picture")


@pytest.mark.parametrize(("mode", "known"), [("finetune", True), ("search", True), ("export", False)])
def test_what_a_network_was_trained_on_is_not_what_an_export_scored_it_on(tmp_path, mode, known):
    """A network of before, which does not say it itself: the run that it lies in does, if that has trained it."""
    pictures = Fingerprint(("a", "b"), {"train": {"a/1.png": "9:0123456789abcdef"}})
    write_json(tmp_path / "config.json", {"mode": mode})
    write_json(tmp_path / "data.json", pictures.to_json())
    assert data_of(tmp_path / "best") == (pictures if known else None)
    assert data_of(tmp_path / "children" / "trial_3") == (pictures if known else None)


def test_a_damaged_file_of_the_source_is_named_with_the_setting(tmp_path):
    write_network(tmp_path, ("a", "b"))
    (tmp_path / "genotype.json").write_text("{")
    with pytest.raises(SettingError) as caught:
        load_source(str(tmp_path), None)
    assert caught.value.name == "source"
    assert str(caught.value).startswith(f"source={tmp_path}: genotype.json: not JSON")


@pytest.mark.slow
def test_a_test_split_with_hidden_labels_is_never_scored(tmp_path):
    """Said before the first trial; a search's baselines are scored on valid then; the export of any network says it."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.integers(0, 256, (number, 8, 8), np.uint8) for name, number in (("train", 60), ("test", 9))}
    labels = {"y_train": np.arange(60) % 3, "y_test": np.full(9, -1)}
    np.savez(tmp_path / "set.npz", **{f"x_{name}": array for name, array in arrays.items()}, **labels)
    valid = len(open_dataset(f"npz:{tmp_path / 'set.npz'}").valid)
    ends = {}
    small = [
        *("--blocks=1", "--filters=2", "--steps=2", "--batch_size=8", "--trials=2", "--workers=0", "--finalists=0"),
        *("--final_filters=2", "--final_epochs=1"),
        *("--baselines=resnet20", "--match=none", "--baseline_steps=2", "--baseline_seeds=1"),
    ]
    for mode, flags in (("search", small), ("export", [f"--from={tmp_path / 'search'}"])):
        given = [f"--mode={mode}", f"--dataset=npz:{tmp_path / 'set.npz'}", *flags]
        command = [sys.executable, str(ROOT / "train.py"), *given, f"--workdir={tmp_path / mode}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        assert "test accuracy not known, there are no pictures with labels\n" in done.stdout
        metrics = json.loads((tmp_path / mode / "best" / "metrics.json").read_text())
        assert metrics["test"] is None
        assert metrics["valid"]["pictures"] == valid
        ends[mode] = done.stdout, metrics
    said, metrics = ends["search"]
    note = "note: the labels of the test split are hidden or missing; the search goes on without a test score\n"
    assert said.index(note) < said.index("trial    0")
    assert (metrics["baselines"]["split"], metrics["baselines"]["pictures"]) == ("valid", valid)
    assert "valid accuracy  found minus it" in said
    assert "note: there is no test split to score on: on valid, which chose it, the found one looks better" in said
