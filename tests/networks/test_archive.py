"""A trained network's folder from somewhere else: nothing of it is run, nothing beside it is read."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from bench.drawn import cheap_genotype
from cells.count import count
from cells.walks.stack import CellNetwork
from cells.zoo.lenet import LeNet5Of1998
from nasnet.networks.export.archive import check_hdf5
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.saved import load_trained, save_trained, save_weights
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.errors import UserError

CLASSES = ("a", "b", "c")


def described(architecture, shape=(8, 8, 1)):
    return NetworkSpec(architecture, CLASSES, shape, (127.5,) * shape[2], (64.0,) * shape[2])


SPEC = described(CellNetwork(cheap_genotype(), 1, 4, classes=3))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("from_elsewhere")
    save_trained(folder, SPEC, build(SPEC))
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return Path(shutil.copytree(written, tmp_path / "best"))


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path, found, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in found.items():
            archive.writestr(name, content)


def with_layer(folder, layer):
    """Puts an object in the place of the network's whitening, as its config would say it."""
    found = members(folder / "model.keras")
    config = json.loads(found["config.json"])
    place = next(i for i, old in enumerate(config["config"]["layers"]) if old["name"] == "whitening")
    config["config"]["layers"][place] |= layer
    found["config.json"] = json.dumps(config).encode()
    rewrite(folder / "model.keras", found)


def with_weights(folder, change):
    found = members(folder / "model.keras")
    content = io.BytesIO(found["model.weights.h5"])
    with h5py.File(content, "r+") as file:
        change(file)
    rewrite(folder / "model.keras", {**found, "model.weights.h5": content.getvalue()})


def refused(folder):
    with pytest.raises(UserError) as error:
        load_trained(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_a_network_without_cells_is_made_of_opens(tmp_path):
    """Those of cells, and every operation: tests/networks/test_opens.py."""
    spec = described(LeNet5Of1998(classes=3), (16, 17, 1))
    save_trained(tmp_path, spec, build(spec))
    load_trained(tmp_path)


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        ({"module": "keras.layers", "class_name": "Lambda", "config": {"function": "x"}}, "keras.layers.Lambda"),
        ({"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/x"}}, "keras.layers.TFSMLayer"),
        (
            {"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
            "keras.layers.StringLookup",
        ),
        ({"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}, "os.function"),
        ({"module": "nasnet.networks.layers", "class_name": "Shift", "config": {}}, "nasnet.networks.layers.Shift"),
        ({"module": "antigravity", "class_name": "Conv2D", "config": {}}, "antigravity.Conv2D"),
        ({"module": None, "class_name": "__lambda__", "config": {"value": "x"}}, "__lambda__"),
        ({"registered_name": "mine>Evil"}, "keras.layers.Rescaling"),
        ({"module": ["keras", "layers"]}, "['keras', 'layers'].Rescaling"),
        ({"class_name": {"Rescaling": 1}}, "keras.layers.{'Rescaling': 1}"),
    ],
)
def test_a_layer_that_is_none_of_ours_is_refused_by_name(folder, layer, named):
    with_layer(folder, layer)
    assert f"model.keras: cannot be opened (asks for {named}, which" in refused(folder)


def test_an_object_deep_inside_of_a_layer_is_found_too(folder):
    inner = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
    with_layer(folder, {"config": {"name": "whitening", "scale": [{"a": [inner]}], "offset": 0}})
    assert "asks for os.function" in refused(folder)


def test_a_lambda_that_keras_wrote_is_never_called(folder, tmp_path):
    mark = tmp_path / "mark"
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, keras.layers.Lambda(lambda x, mark=str(mark): (Path(mark).touch(), x)[1])(image))
    model.save(folder / "model.keras")
    mark.unlink()  # it was called to be built
    assert "asks for keras.layers.Lambda" in refused(folder)
    assert not mark.exists()


WIDEST = max(side for weight in count(SPEC.architecture, SPEC.image_shape).weights for side in weight.shape)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("Dense", "units", 10**12),
        ("Dense", "units", WIDEST + 1),
        ("Conv2D", "filters", WIDEST + 1),
        ("DepthwiseConv2D", "depth_multiplier", WIDEST + 1),
        ("Conv2D", "kernel_size", [1, 2**16 + 1]),
        ("ZeroPadding2D", "padding", [[0, 0], [0, 10**9]]),
        ("RepeatVector", "n", 10**9),
        ("MaxPooling2D", "pool_size", 10**9),
        ("Pad", "pad_width", [[0, 0], [0, 10**9], [0, 0], [0, 0]]),
    ],
)
def test_more_than_the_network_has_is_never_made(folder, name, key, value):
    module = "keras.src.ops.numpy" if name == "Pad" else "keras.layers"
    with_layer(folder, {"module": module, "class_name": name, "registered_name": name, "config": {key: value}})
    assert f"{name} has {key} {value}, more than such a network has" in refused(folder)


def test_as_much_as_the_network_has_is_not_too_much(folder):
    with_layer(folder, {"config": {"name": "whitening", "scale": 1.0, "offset": 0.0, "units": WIDEST, "n": 2**16}})
    assert "more than such" not in refused(folder)  # Keras knows no such key


@pytest.mark.parametrize("config", ["[1]", "3", '{"class_name": "Sequential", "config": {}}'])
def test_what_is_no_functional_model_is_refused(folder, config):
    rewrite(folder / "model.keras", {**members(folder / "model.keras"), "config.json": config.encode()})
    assert "config.json is no functional model" in refused(folder)


def test_a_member_that_is_there_twice_is_refused(folder):
    """Which of the two Keras would read is not ours to know."""
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(folder / "model.keras", "a") as archive:
        archive.writestr("config.json", members(folder / "model.keras")["config.json"])
    assert "holds 'config.json'; expected metadata.json, config.json, model.weights.h5, each once" in refused(folder)


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "assets/words.txt"])
def test_other_members_are_refused(folder, name):
    rewrite(folder / "model.keras", {**members(folder / "model.keras"), name: b"x"})
    assert f"holds {name!r}; expected metadata.json" in refused(folder)
    assert not (folder.parent / "escaped").exists()


@pytest.mark.parametrize(
    ("name", "length"), [("config.json", 2**27 + 1), ("model.weights.h5", 2**26), ("metadata.json", 2**16 + 1)]
)
def test_a_zip_bomb_is_not_unpacked(folder, name, length):
    found = {**members(folder / "model.keras"), name: b" " * length}
    rewrite(folder / "model.keras", found, zipfile.ZIP_DEFLATED)
    assert (folder / "model.keras").stat().st_size < 2**20
    assert f"{name} is of {length} bytes, more than such a network has" in refused(folder)


def test_weights_in_other_files_are_not_read(folder, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros(3)

    def link(to):
        def change(file):
            file["layers/elsewhere"] = to

        return change

    original = (folder / "model.keras").read_bytes()
    for to in (h5py.ExternalLink(str(tmp_path / "other.h5"), "x"), h5py.SoftLink("/layers")):
        with_weights(folder, link(to))
        assert "/layers/elsewhere is a link to another place" in refused(folder)
        (folder / "model.keras").write_bytes(original)
    outside = [(str(tmp_path / "raw"), 0, 24)]
    (tmp_path / "raw").write_bytes(b"\0" * 24)
    with_weights(folder, lambda file: file.create_dataset("raw", (3,), "f8", external=outside))
    assert "/raw is an array that lies in another file" in refused(folder)
    (folder / "model.keras").write_bytes(original)
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (3,))
    with_weights(folder, lambda file: file.create_virtual_dataset("virtual", layout))
    assert "/virtual is an array that lies in another file" in refused(folder)
    (folder / "model.keras").write_bytes(original)
    with_weights(folder, lambda file: file.create_dataset("huge", (10**12,), "f4", chunks=(1024,)))
    assert "its arrays say that they are of more than" in refused(folder)


def test_arrays_are_counted_in_bytes_and_together(tmp_path):
    """And a group that stands at two places once: thirty of them, each twice in the next, are 2^30 to walk through."""
    with h5py.File(tmp_path / "some.h5", "w") as file:
        file["group/a"], file["b"], file["c"] = np.zeros(10, "f4"), np.zeros((5, 2), "f8"), np.float64(1)
    check_hdf5(tmp_path / "some.h5", 40 + 80 + 8)
    with pytest.raises(ValueError, match="more than 127 bytes"):
        check_hdf5(tmp_path / "some.h5", 127)
    with h5py.File(tmp_path / "some.h5", "a") as file:
        for depth in range(30):
            file[f"{depth + 1}/left"] = file[f"{depth + 1}/right"] = file.require_group(str(depth))
    with pytest.raises(ValueError, match=r"is a group that is there twice"):
        check_hdf5(tmp_path / "some.h5")


def test_another_network_than_genotype_json_says_is_refused(folder):
    """It would name other classes, or the right ones by other pixels, and say nothing."""
    smaller = described(CellNetwork(cheap_genotype(), 1, 2, classes=3))
    build(smaller).save(folder / "model.keras")
    assert "not the weights of the network beside it" in refused(folder)
    other = NetworkSpec(CellNetwork(cheap_genotype(), 1, 4, classes=3), CLASSES, (16, 16, 1), (0.0,), (1.0,))
    build(other).save(folder / "model.keras")
    assert "not the network of genotype.json beside it" in refused(folder)


def test_python_objects_in_weights_are_not_unpickled(folder, tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "mark",))

    values = {name: np.asarray(value) for name, value in named_weights(build(SPEC)).items()}
    save_weights(folder, SPEC.to_json(), values)
    load_trained(folder)
    name = next(iter(values))
    save_weights(folder, SPEC.to_json(), {**values, name: np.array([Evil()], object)})
    assert "weights.npz: not the weights of the network beside it (Object arrays cannot be loaded" in refused(folder)
    assert not (tmp_path / "mark").exists()
    save_weights(folder, SPEC.to_json(), {**values, name: np.array(["a"])})
    assert f"{name} is no array of floats" in refused(folder)
    np.savez_compressed(folder / "weights.npz", **values, more=np.zeros(2**24))
    assert "holds more than the network beside it has" in refused(folder)


def test_a_network_that_does_not_fit_its_weights_is_never_built(folder):
    """genotype.json asks for more than there is memory for: it is held against its weights first."""
    values = {name: np.asarray(value) for name, value in named_weights(build(SPEC)).items()}
    save_weights(folder, described(CellNetwork(cheap_genotype(), 1, 10**8, classes=3)).to_json(), values)
    assert "weights.npz: not the weights of the network beside it" in refused(folder)
