"""What leaves the house: whole, the same as what was trained, and of use where nothing of ours is."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import sklearn.datasets
import tensorflow as tf
from PIL import Image
from scipy.special import softmax

from bench.drawn import cheap_genotype, drawn_genotypes
from cells.drawing.chain import draw as draw_chain
from cells.genotype.chain import ChainGenotype, ConvLayer, Pool
from cells.walks.chain import ChainNetwork
from cells.walks.stack import CellNetwork
from nasnet.data.fingerprint import Fingerprint
from nasnet.data.pictures import Preparation, prepare
from nasnet.networks.export import folder as export_module
from nasnet.networks.export.folder import export, is_export_of
from nasnet.networks.keras_model import build
from nasnet.networks.saved import load_trained, save_trained
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.errors import RunError, UserError
from nasnet.runtime.files import read_json
from tests.support.pictures import unsure


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
        "classes.txt",
        "genotype.json",
        "metrics.json",
        "model.keras",
        "saved_model",
    ]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["best"]
    assert (folder / "classes.txt").read_text() == "a\nb\nc\n"
    check = json.loads((folder / "metrics.json").read_text())["export_check"]
    assert max(check.values()) < 1e-5


def test_a_chain_has_its_layers_drawn(tmp_path):
    """Skips over a stride, so with zeros around; without batch norm, flattened. It opens as any other does."""
    layers = (ConvLayer(3, 1, 2, 1, 4), ConvLayer(3, 3, 1, 1, 5), ConvLayer(1, 1, 1, 3, 6, Pool(), (0, 1)))
    chain = ChainGenotype(layers, (7,), flatten=True, batch_norm=False)
    spec = NetworkSpec(ChainNetwork(chain, 3), ("a", "b", "c"), (12, 10, 2), (50.0, 60.0), (70.0, 80.0))
    folder = tmp_path / "run" / "best"
    export(folder, spec, build(spec, seed=1), {"version": 1})
    assert max(read_json(folder / "metrics.json")["export_check"].values()) < 1e-5
    assert NetworkSpec.from_json(read_json(folder / "genotype.json")) == spec
    assert (folder / "network.svg").read_text() == draw_chain(chain, image_shape=spec.image_shape, title="run")
    assert not (folder / "cell.svg").exists()


PHOTOGRAPHS = sorted(str(path) for path in (Path(sklearn.datasets.__file__).parent / "images").glob("*.jpg"))
DATA = Fingerprint(("temple", "dahlia", "猫"), {"train": {"temple/a.png": "9:0123456789abcdef"}})


@pytest.fixture(scope="module")
def of_photographs(tmp_path_factory):
    """An export of a network that takes RGB, and what it says of two photographs: probabilities `[2, 3]`."""
    spec = NetworkSpec(CellNetwork(cheap_genotype(), 1, 4, 3), DATA.classes, (20, 28, 3), (120.0,) * 3, (60.0,) * 3)
    model = unsure(build(spec, seed=1))
    folder = tmp_path_factory.mktemp("run") / "best"
    export(folder, spec, model, {"version": 1}, data=DATA)
    images = np.stack([prepare(Path(path), spec.image_shape, spec.preparation) for path in PHOTOGRAPHS])
    return folder, spec, model, softmax(model.predict(images.astype(np.float32), verbose=0), axis=1)


def test_its_signature_for_encoded_pictures_says_what_the_network_says(of_photographs):
    """Names and probabilities, the likeliest first; the default signature stays the one for pixels."""
    folder, spec, model, probabilities = of_photographs
    saved = tf.saved_model.load(str(folder / "saved_model"))
    assert set(saved.signatures) == {"serve", "classify", "serving_default"}
    answer = saved.signatures["classify"](image_bytes=tf.constant([Path(path).read_bytes() for path in PHOTOGRAPHS]))
    names = [[name.decode() for name in row] for row in answer["classes"].numpy()]
    assert names == [[spec.classes[k] for k in row] for row in np.argsort(-probabilities, axis=1)]
    np.testing.assert_allclose(answer["probabilities"], -np.sort(-probabilities), atol=0.01)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 20, 28, 3)).astype(np.float32)
    [logits] = saved.signatures["serving_default"](tf.constant(pixels)).values()
    np.testing.assert_allclose(logits, model(pixels), atol=1e-5)


def of_all_kinds(folder: Path, white: int) -> list[str]:
    """Files of one photograph as people have them: turned by EXIF, transparent, with a palette, of 16 bits."""
    with Image.open(PHOTOGRAPHS[0]) as photograph:
        small = photograph.resize((40, 30))
    turned = Image.Exif()
    turned[274] = 6  # a quarter turn
    small.save(folder / "turned.jpg", exif=turned)
    small.quantize(20).save(folder / "palette.png")
    small.convert("L").save(folder / "grey.png")
    alpha = Image.linear_gradient("L").resize(small.size)
    Image.merge("RGBA", (*small.split(), alpha)).save(folder / "transparent.png")
    deep = np.asarray(small.convert("L"), np.uint16).astype(np.float64) * white / 255
    Image.fromarray(deep.astype(np.uint16)).save(folder / "deep.png")
    return sorted(map(str, folder.glob("*.*")))


def check_its_predict_py(folder: Path, spec: NetworkSpec, model: keras.Model, tmp_path: Path) -> None:
    """By a copy of the export, where nothing of ours can be imported; against `prepare` and the model itself."""
    shutil.copytree(folder, tmp_path / "elsewhere")
    (tmp_path / "pictures").mkdir()
    paths = [*PHOTOGRAPHS, *of_all_kinds(tmp_path / "pictures", spec.preparation.white)]
    images = np.stack([prepare(Path(path), spec.image_shape, spec.preparation) for path in paths])
    probabilities = softmax(model.predict(images.astype(np.float32), verbose=0), axis=1)
    command = [sys.executable, "-I", "-X", "utf8", str(tmp_path / "elsewhere" / "predict.py"), *paths]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", env=environment)
    assert done.returncode == 0, done.stderr
    for line, path, row in zip(done.stdout.splitlines(), paths, probabilities, strict=True):
        said = dict(part.rsplit(" ", 1) for part in line.removeprefix(f"{path}: ").split(", "))
        assert list(said) == [spec.classes[k] for k in np.argsort(-row)]
        np.testing.assert_allclose([float(said[name]) for name in spec.classes], row, atol=1e-4)


def test_its_predict_py_says_the_same_where_nothing_of_ours_is(of_photographs, tmp_path):
    folder, spec, model, _ = of_photographs
    check_its_predict_py(folder, spec, model, tmp_path)
    assert sum(bool(line.strip()) for line in (folder / "predict.py").read_text().splitlines()) <= 30


@pytest.mark.slow
def test_its_predict_py_says_the_same_for_a_network_that_takes_grey(tmp_path):
    """Of 12 bits, and over black."""
    preparation = Preparation(white=4095, background=0)
    spec = NetworkSpec(
        CellNetwork(cheap_genotype(), 1, 4, 3), DATA.classes, (20, 28, 1), (120.0,), (60.0,), preparation=preparation
    )
    model = unsure(build(spec, seed=1))
    export(tmp_path / "run" / "best", spec, model, {"version": 1}, data=DATA)
    check_its_predict_py(tmp_path / "run" / "best", spec, model, tmp_path)


def test_its_predict_py_goes_on_after_a_file_that_is_no_picture(of_photographs, tmp_path):
    folder, _, _, _ = of_photographs
    (tmp_path / "no.jpg").write_bytes(Path(PHOTOGRAPHS[0]).read_bytes()[:100])
    (tmp_path / "half.jpg").write_bytes(Path(PHOTOGRAPHS[0]).read_bytes()[:9000])
    Image.fromarray(np.full((9, 9), 256, np.uint16)).save(tmp_path / "too deep.png")  # above the white of 255
    (tmp_path / "huge.ppm").write_bytes(b"P6 40000 40000 255\n")
    broken = [str(tmp_path / name) for name in ("no.jpg", "half.jpg", "too deep.png", "huge.ppm", "")]
    paths = [PHOTOGRAPHS[0], *broken, *PHOTOGRAPHS[1:]]
    command = [sys.executable, "-I", "-X", "utf8", str(folder / "predict.py"), *paths]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    for path, line in zip(PHOTOGRAPHS, done.stdout.splitlines(), strict=True):
        assert line.startswith(f"{path}: ")
    for path, line in zip(broken, done.stderr.splitlines()[-len(broken) :], strict=True):  # where they are seen
        assert line.startswith(f"{path} is not a readable picture (")


def test_whose_export_it_is(of_photographs, tmp_path):
    """Of this network, these weights, these pictures, and whole; anything else is another's."""
    folder, spec, model, _ = of_photographs
    assert is_export_of(folder, spec, model, DATA)
    other = build(spec, seed=2)
    assert not is_export_of(folder, spec, other, DATA)
    assert not is_export_of(folder, spec, model, None)
    assert not is_export_of(folder, spec, model, DATA, scored_on="of other pictures")
    assert not is_export_of(folder, spec, model, Fingerprint(DATA.classes, {"train": {"temple/a.png": "9:ff"}}))
    assert not is_export_of(folder, dataclasses.replace(spec, mean=(121.0,) * 3), model, DATA)
    assert not is_export_of(tmp_path / "none", spec, model, DATA)
    for number, (name, content) in enumerate(
        [("model.keras", b"PK"), ("classes.txt", None), ("saved_model/saved_model.pb", b""), ("metrics.json", b"{}")]
    ):
        copy = tmp_path / str(number)
        shutil.copytree(folder, copy)
        assert is_export_of(copy, spec, model, DATA)
        (copy / name).unlink()
        if content is not None:
            (copy / name).write_bytes(content)
        assert not is_export_of(copy, spec, model, DATA), name


def test_the_check_has_the_packages_of_this_run_and_none_of_ours(spec, tmp_path, monkeypatch):
    """As `pip install --user` or PYTHONPATH put them there, which an isolated process does not look at."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "only_here.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "packages")
    ours = "".join(
        f"\ntry:\n    import {name}\n    raise SystemExit({name!r})\nexcept ImportError:\n    pass" for name in OURS
    )
    setting_up, imports = export_module._CHECK.split("import keras, numpy", 1)
    monkeypatch.setattr(export_module, "_CHECK", f"{setting_up}import only_here{ours}\nimport keras, numpy{imports}")
    export(tmp_path / "best", spec, build(spec, seed=1), {})
    assert (tmp_path / "best" / "metrics.json").exists()


OURS = ("cells", "controller", "nasnet", "train")


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


def test_what_is_no_export_is_left_alone(spec, tmp_path):
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="is no export"):
        export(tmp_path / "best", spec, build(spec), {}, replace=True)
    assert [path.name for path in (tmp_path / "best").iterdir()] == ["thesis.tex"]


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
    """A check that cannot fail is none: with a tolerance below zero everything differs. What was there stays."""
    save_trained(tmp_path / "best", spec, build(spec, seed=1))
    before = sorted(path.read_bytes() for path in (tmp_path / "best").iterdir())
    monkeypatch.setattr(export_module, "TOLERANCE", -1.0)
    with pytest.raises(RunError, match="differs from the trained model"):
        export(tmp_path / "best", spec, build(spec, seed=2), {}, replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["best"]
    assert sorted(path.read_bytes() for path in (tmp_path / "best").iterdir()) == before


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
