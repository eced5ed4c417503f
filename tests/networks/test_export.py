from __future__ import annotations

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from bench.drawn import drawn_genotypes
from cells.walks.stack import CellNetwork
from nasnet.networks.export import folder as export_module
from nasnet.networks.export.folder import export
from nasnet.networks.keras_model import build
from nasnet.networks.saved import load_trained, save_trained
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.errors import RunError, UserError


@pytest.fixture(scope="module")
def spec():
    return NetworkSpec(
        CellNetwork(drawn_genotypes(1, 6, blocks=3)[0], 1, 4, 3),
        ("a", "b", "c"),
        (12, 10, 2),
        (50.0, 60.0),
        (70.0, 80.0),
    )


@pytest.fixture(scope="module")
def exported(spec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "best"
    model = build(spec, seed=1)
    export(folder, spec, model, {"version": 1})
    return folder, model


def test_the_folder_is_whole(exported):
    folder, _ = exported
    assert sorted(path.name for path in folder.iterdir()) == [
        "cell.svg",
        "genotype.json",
        "metrics.json",
        "model.keras",
        "saved_model",
    ]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["best"]
    check = json.loads((folder / "metrics.json").read_text())["export_check"]
    assert max(check.values()) < 1e-5


def test_it_opens_and_trains_in_a_process_that_has_nothing_of_ours(exported, tmp_path):
    """Fine-tunes the exported file with Adam by plain Keras; batch norm's statistics move, the loss falls."""
    folder, model = exported
    images = np.random.default_rng(0).integers(0, 256, (32, 12, 10, 2)).astype(np.float32)
    np.savez(tmp_path / "in.npz", images=images, labels=np.arange(32) % 3)
    code = """
import sys, keras, numpy as np
try:
    import nasnet
except ImportError:
    pass
else:
    raise SystemExit("nasnet can be imported here")
data = np.load("in.npz")
model = keras.models.load_model(sys.argv[1], safe_mode=True)
np.save("logits.npy", model.predict(data["images"], verbose=0))
before = [np.array(v) for v in model.non_trainable_variables]
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(1e-2), loss)
losses = model.fit(data["images"], data["labels"], epochs=8, verbose=0).history["loss"]
assert losses[-1] < losses[0], losses
assert any((a != np.array(b)).any() for a, b in zip(before, model.non_trainable_variables))
"""
    command = [sys.executable, "-I", "-c", code, str(folder / "model.keras")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), model.predict(images, verbose=0), atol=1e-5)


def test_it_is_read_back(exported, spec):
    folder, model = exported
    again_spec, again = load_trained(folder)
    assert again_spec == spec
    images = np.random.default_rng(0).integers(0, 256, (4, 12, 10, 2)).astype(np.float32)
    np.testing.assert_array_equal(again(images), model(images))


def test_an_existing_folder_is_left_alone(exported, spec):
    folder, model = exported
    with pytest.raises(UserError, match="exists already"):
        export(folder, spec, model, {})


class Foreign(keras.layers.Layer):
    def call(self, x):
        return x * 2


def test_a_model_that_does_not_open_elsewhere_is_not_exported(spec, tmp_path):
    inner = build(spec, seed=1)
    model = keras.Model(inner.input, Foreign()(inner.output))
    with pytest.raises(RunError, match="does not open in a fresh process"):
        export(tmp_path / "best", spec, model, {})
    assert list(tmp_path.iterdir()) == []


def test_a_difference_is_not_exported(spec, tmp_path, monkeypatch):
    """A check that cannot fail is none: with a tolerance below zero everything differs."""
    monkeypatch.setattr(export_module, "TOLERANCE", -1.0)
    with pytest.raises(RunError, match="differs from the trained model"):
        export(tmp_path / "best", spec, build(spec, seed=1), {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("model.keras", None, "holds no model.keras"),
        ("genotype.json", None, "holds no genotype.json"),
        ("model.keras", b"PK\x03\x04 not a zip", r"model\.keras: cannot be opened"),
        ("genotype.json", b"{", r"genotype\.json: not JSON"),
        ("genotype.json", b"{}", r"genotype\.json: not a genotype"),
    ],
)
def test_damaged_folders_are_named(spec, tmp_path, name, content, words):
    save_trained(tmp_path, spec, build(spec))
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words):
        load_trained(tmp_path)
