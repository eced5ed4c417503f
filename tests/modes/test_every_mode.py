"""Every mode on every kind of data, as its user types it and in a process of its own; what a mode prints is pasted.

Of each source: search; train -> export as printed -> evaluate, predict, tune what was exported -> finetune as printed.
The pictures are known, so that what each mode says of them can be held against it.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets
from PIL import Image

from bench.drawn import cheap_genotype
from nasnet.modes.flags import MODES
from nasnet.networks.saved import seen_by, source_data_of
from nasnet.networks.spec import NetworkSpec
from nasnet.training.recipes import read_recipe
from tests.support.described import check_described
from tests.support.slow import some_now

ROOT = Path(__file__).parents[2]
CLASSES, SIDE, SPLITS = ("10", "2", "cat's"), 8, {"train": 12, "valid": 4, "test": 5}  # pictures a class
SOURCES = ("folder", "tfds", "npz", "digits")


class Walked(NamedTuple):
    """A source: its flag, its classes as a network has them, its pictures a split, and where runs on it are."""

    dataset: str
    classes: tuple[str, ...]
    counts: dict[str, int]
    runs: Path
    environment: dict[str, str]

    def train(self, *arguments: object) -> str:
        """What a run prints."""
        return self._of([sys.executable, str(ROOT / "train.py"), *map(str, arguments)])

    def paste(self, said: str, mode: str, **words: str) -> str:
        """What the command of a mode that was printed prints, typed into a shell in the folder of the runs."""
        [line] = [line for line in said.splitlines() if line.startswith("  ") and f"--mode={mode} " in line]
        for word, value in words.items():
            line = line.replace(word, value)
        return self._of(line)

    def _of(self, command: str | list[str]) -> str:
        done = subprocess.run(
            command,
            shell=isinstance(command, str),
            cwd=self.runs,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        # TensorFlow Datasets warns of its own code.
        errors = [line for line in done.stderr.splitlines() if not line.startswith("WARNING:absl:`FeatureConnector.")]
        assert (done.returncode, errors) == (0, []), f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def drawn() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pictures and labels of each split: uint8 `[N, SIDE, SIDE, 3]`, brighter from class to class."""
    rng = np.random.default_rng(5)
    found = {}
    for split, each in SPLITS.items():
        labels = np.arange(each * len(CLASSES)) % len(CLASSES)
        pictures = rng.integers(0, 90, (len(labels), SIDE, SIDE, 3)) + 80 * labels[:, None, None, None]
        found[split] = (pictures.astype(np.uint8), labels)
    return found


def write_folder(folder: Path) -> str:
    for split, (pictures, labels) in drawn().items():
        for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
            path = folder / split / CLASSES[label] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)
    return f"folder:{folder}"


def write_npz(folder: Path) -> str:
    arrays = {}
    for split, (pictures, labels) in drawn().items():
        arrays |= {f"x_{split}": pictures, f"y_{split}": labels}
    np.savez(folder / "its.npz", **arrays)
    return f"npz:{folder / 'its.npz'}"


def write_tfds(folder: Path) -> str:
    """Records and metadata, as `tfds.folder_dataset.write_metadata` documents it: a fresh process needs no code."""
    where = folder / "theirs" / "1.0.0"
    where.mkdir(parents=True)
    names = {"train": "train", "valid": "validation", "test": "test"}
    features = tensorflow_datasets.features.FeaturesDict(
        {
            "image": tensorflow_datasets.features.Image(shape=(SIDE, SIDE, 3)),
            "label": tensorflow_datasets.features.ClassLabel(names=list(CLASSES)),
        }
    )
    splits = []
    for split, (pictures, labels) in drawn().items():
        with tf.io.TFRecordWriter(str(where / f"theirs-{names[split]}.tfrecord-00000-of-00001")) as writer:
            for picture, label in zip(pictures, labels, strict=True):
                writer.write(features.serialize_example({"image": picture, "label": label}))
        template = tensorflow_datasets.core.ShardedFileTemplate(
            data_dir=where, dataset_name="theirs", split=names[split], filetype_suffix="tfrecord"
        )
        splits.append(
            tensorflow_datasets.core.SplitInfo(
                name=names[split], shard_lengths=[len(labels)], num_bytes=0, filename_template=template
            )
        )
    tensorflow_datasets.folder_dataset.write_metadata(data_dir=where, features=features, split_infos=splits)
    return "tfds:theirs"


WRITERS = {"folder": write_folder, "npz": write_npz, "tfds": write_tfds, "digits": lambda _: "digits"}


@pytest.fixture(scope="module", params=some_now(SOURCES, set(SOURCES) - {"tfds"}))
def walked(request, tmp_path_factory) -> Walked:
    """A source below a folder whose name a shell would take apart."""
    home = tmp_path_factory.mktemp("walked") / 'it\'s a $HOME; "here"'
    home.mkdir()
    (home / "data").mkdir()
    (home / "runs").mkdir()
    (home / "genotype.json").write_text(json.dumps(cheap_genotype().to_json()))
    dataset = WRITERS[request.param](home / "data")
    classes = {"digits": tuple("0123456789"), "npz": ("0", "1", "2")}.get(request.param, CLASSES)
    counts = {split: each * len(CLASSES) for split, each in SPLITS.items()}
    if request.param == "digits":
        counts = {"train": 1000, "valid": 397, "test": 400}
    return Walked(dataset, classes, counts, home / "runs", {"TFDS_DATA_DIR": str(home / "data")})


def exported(walked: Walked, best: Path) -> NetworkSpec:
    """What an export says of itself, once it is known that it was scored on the pictures that there are."""
    metrics = json.loads((best / "metrics.json").read_text())
    assert {name: metrics[name]["pictures"] for name in ("valid", "test")} == {
        name: walked.counts[name] for name in ("valid", "test")
    }
    spec = NetworkSpec.from_json(json.loads((best / "genotype.json").read_text()))
    assert spec.classes == walked.classes
    assert (best / "model.keras").exists()
    assert (best / "saved_model").is_dir()
    return spec


@pytest.fixture(scope="module")
def best(walked) -> Path:
    """A network trained for two steps, and exported by the command that the training printed."""
    flags = ["--repeats=1", "--filters=2", "--steps=2", f"--model={walked.runs.parent / 'genotype.json'}"]
    said = walked.train("--mode=train", f"--dataset={walked.dataset}", *flags, "--workdir=trained here")
    assert "step 2/2" in said
    walked.paste(said, "export")
    assert exported(walked, walked.runs / "export" / "best").image_shape[:2] == (SIDE, SIDE)
    return walked.runs / "export" / "best"


SEARCH = "--blocks=1 --filters=2 --steps=2 --trials=2 --workers=1 --finalists=1 --finalist_steps=4 --finalist_seeds=1"


def search(walked: Walked, _: Path) -> None:
    final = ["--final_filters=2", "--final_epochs=2", "--strategy=random", "--baselines=none"]
    said = walked.train("--mode=search", f"--dataset={walked.dataset}", *SEARCH.split(), *final, "--workdir=searched")
    assert f"on {walked.counts['train']} pictures" in said
    exported(walked, walked.runs / "searched" / "best")
    # Own pictures are another folder, a word that is a person's to give.
    if walked.dataset.startswith("folder:"):
        shutil.copytree(walked.runs.parent / "data", walked.runs / "own")
        walked.paste(said, "finetune", PATH="own")
        assert exported(walked, walked.runs / "finetune" / "best").image_shape == (32, 32, 3)
        shutil.rmtree(walked.runs / "finetune")


def train(walked: Walked, best: Path) -> None:
    """What `best` begins with."""
    trained = walked.runs / "trained here"
    assert (trained / "genotype.json").read_bytes() == (best / "genotype.json").read_bytes()
    assert read_recipe(str(trained / "recipe.json"))["steps"] == 2


def export(walked: Walked, best: Path) -> None:
    """What `best` ends with: it is opened as Keras' own, without us."""
    code = "import keras, sys; print(keras.models.load_model(sys.argv[1]).output_shape)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, best / "model.keras"], capture_output=True, text=True, cwd=walked.runs
    )
    assert done.stdout == f"(None, {len(walked.classes)})\n", done.stderr


def evaluate(walked: Walked, best: Path) -> None:
    said = walked.train("--mode=evaluate", f"--from={best}", f"--dataset={walked.dataset}")
    metrics = json.loads((best / "metrics.json").read_text())
    found = dict(re.findall(r"^(\w+): accuracy ([\d.]+).* \d+ pictures$", said, re.MULTILINE))
    assert found == {name: f"{metrics[name]['accuracy']:.4f}" for name in ("valid", "test")}
    for name in found:
        assert re.search(rf"^{name}: .* {walked.counts[name]} pictures$", said, re.MULTILINE)


def predict(walked: Walked, best: Path) -> None:
    """Files as they are found, of more sizes than one."""
    for number, side in enumerate((SIDE, 30)):
        Image.fromarray(np.full((side, side, 3), 60 * number, np.uint8)).save(walked.runs / f"a {number}.png")
    walked.train("--mode=predict", f"--from={best}", "--top=2", "a 0.png", walked.runs / "a 1.png")
    with (walked.runs / "runs" / "predict" / "predictions.csv").open() as file:
        head, *rows = csv.reader(file)
    assert head == ["path", "class_1", "probability_1", "class_2", "probability_2"]
    assert [row[0] for row in rows] == ["a 0.png", str(walked.runs / "a 1.png")]
    for row in rows:
        assert {row[1], row[3]} <= set(walked.classes)
        assert 1 / len(walked.classes) <= float(row[2]) <= 1


def tune(walked: Walked, best: Path) -> None:
    grid = ["--tuner=grid", "--tune_trials=1", "--tune_epochs=2", "--epochs=1", "--label_smoothing=0.2"]
    said = walked.train("--mode=tune", f"--from={best}", f"--dataset={walked.dataset}", *grid, "--workdir=tuned")
    recipe = read_recipe(str(walked.runs / "tuned" / "recipe.json"))
    assert (recipe["epochs"], recipe["label_smoothing"]) == (1, 0.2)
    assert f"of the {walked.counts['valid']} valid pictures" in said
    (walked.runs / "said by tune").write_text(said)


def finetune(walked: Walked, best: Path) -> None:
    """As tune printed it."""
    said = walked.runs / "said by tune"
    if not said.exists():
        tune(walked, best)
    walked.paste(said.read_text(), "finetune")
    tuned = walked.runs / "finetune"
    assert exported(walked, tuned / "best").image_shape[:2] == (SIDE, SIDE)
    assert read_recipe(str(tuned / "final" / "recipe.json")) == read_recipe(str(walked.runs / "tuned" / "recipe.json"))
    seen = seen_by(best)  # what the network that it began with was trained on goes along
    assert seen is not None
    assert len(seen.pictures["train"]) == walked.counts["train"]
    assert source_data_of(best) is None
    assert source_data_of(tuned / "best") == source_data_of(tuned / "final") == seen


def count(walked: Walked, best: Path) -> None:
    """What was exported, as the export itself says it; nothing is written."""
    metrics = json.loads((best / "metrics.json").read_text())
    said = walked.train("--mode=count", f"--model={best}").split()
    assert said[-3:-1] == [f"{name}={metrics[name]}" for name in ("parameters", "mult_adds")]
    assert not (walked.runs / "runs" / "count").exists()


def table(walked: Walked, _: Path) -> None:
    """It is of no source, and is the same beside any."""
    assert "CIFAR-10" in walked.train("--mode=table")


def report(walked: Walked, _: Path) -> None:
    """Drawn when a search ends, and again; of any search, so of one that needs no pictures."""
    (walked.runs / "known.csv").write_text("a,reward\nx,0.5\ny,0.25\n")
    said = walked.train("--mode=search", "--space=table", "--table=known.csv", "--strategy=grid", "--workdir=looked up")
    drawn = walked.runs / "looked up" / "report.html"
    assert "  looked up/report.html\n" in said
    assert "</html>" in drawn.read_text()
    drawn.unlink()
    assert walked.train("--mode=report", "--workdir=looked up") == "  looked up/report.html\n"
    assert "</html>" in drawn.read_text()


def compare(walked: Walked, best: Path) -> None:
    """One network with another of its cells, a training each."""
    small = ["--seeds=1", "--steps=2", "--batch_size=4", "--workers=1", "--workdir=compared"]
    models = f"--models={best},{walked.runs.parent / 'genotype.json'}"
    walked.train("--mode=compare", f"--dataset={walked.dataset}", models, "--repeats=1", "--filters=2", *small)
    with (walked.runs / "compared" / "compare.csv").open() as file:
        assert len(list(csv.reader(file))) == 3


WALK = {
    f.__name__: f for f in (search, train, export, evaluate, predict, tune, finetune, count, table, compare, report)
}


@pytest.mark.parametrize("mode", sorted(MODES, key=lambda mode: mode == "finetune"))  # it is printed by tune
def test_a_mode_on_a_source(walked, best, mode):
    WALK[mode](walked, best)
    for config in walked.runs.rglob("config.json"):
        assert check_described(config.parent)
