"""Pictures made alike, and made to fit a network: grey and colour, bits, sizes, classes by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nasnet.data.dataset import open_dataset
from nasnet.data.likeness import Like
from nasnet.data.pictures import Preparation, prepare
from nasnet.runtime.errors import UserError
from tests.support.png import png_16_bit_colour

NAMES = ("cat", "dog")


def draw(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write(folder: Path, count: int = 12, channels: int = 3, names: tuple[str, ...] = NAMES) -> str:
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for index, picture in enumerate(draw(number, count, 6, 5, channels)):
            Image.fromarray(picture.squeeze()).save(folder / name / f"{index:02}.png")
    return f"folder:{folder}"


def pictures(data) -> dict[str, np.ndarray]:
    """Each picture by its name."""
    whole = data.whole()
    return dict(zip(whole.names, whole.images, strict=True))


def test_everything_becomes_rgb_where_one_picture_has_colour(tmp_path):
    spec = write(tmp_path, channels=1)
    colour = Image.fromarray(draw(9, 6, 5, 3))
    colour.save(tmp_path / "cat" / "colour.png")
    colour.convert("P").save(tmp_path / "cat" / "palette.png")
    colour.convert("CMYK").save(tmp_path / "cat" / "cmyk.tif")
    clear = colour.copy()
    clear.putalpha(Image.fromarray(draw(8, 6, 5)))
    clear.save(tmp_path / "dog" / "clear.png")
    Image.fromarray(draw(7, 6, 5) > 99).save(tmp_path / "dog" / "bits.png")
    Image.fromarray(draw(6, 6, 5)).save(tmp_path / "dog" / "grey.gif")
    data = open_dataset(spec, allow_test=True)
    assert data.image_shape == (6, 5, 3)
    found = pictures(data)
    assert len(found) == 30
    np.testing.assert_array_equal(found["cat/03.png"], np.repeat(draw(0, 12, 6, 5, 1)[3], 3, axis=2))
    np.testing.assert_array_equal(found["cat/colour.png"], draw(9, 6, 5, 3))
    np.testing.assert_array_equal(found["dog/bits.png"][..., 0] == 255, draw(7, 6, 5) > 99)
    for name, picture in found.items():
        np.testing.assert_array_equal(picture, prepare(tmp_path / name, (6, 5, 3), data.preparation))


def test_how_many_were_turned_is_said(tmp_path):
    """Of train and valid when the set is opened, of test in the test split."""
    spec = write(tmp_path / "train", channels=1)
    del spec
    write(tmp_path / "valid", 2, channels=3)
    write(tmp_path / "test", 3, channels=1)
    clear = Image.fromarray(draw(9, 6, 5, 3))
    clear.putalpha(99)
    clear.save(tmp_path / "train" / "dog" / "clear.png")
    data = open_dataset(f"folder:{tmp_path}", allow_test=True)
    turned = "25 of 29 pictures were turned into RGB: 24 grey, 1 with transparency, laid over white"
    assert data.notes == (turned,)
    assert data.test().notes == ("6 of 6 pictures were turned into RGB: 6 grey",)
    grey = open_dataset(f"folder:{tmp_path}", channels="1", allow_test=True)
    assert grey.image_shape == (6, 5, 1)
    assert grey.notes == ("5 of 29 pictures were turned into grey: 4 RGB, 1 with transparency, laid over white",)
    assert grey.test().notes == ()


@pytest.mark.parametrize(("channels", "asked"), [(1, "3"), (3, "1"), (1, "auto"), (3, "auto")])
def test_channels_as_asked_for_in_any_source(tmp_path, channels, asked):
    x = draw(0, 40, 4, 4, channels)
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(40) % 2)
    for spec in (write(tmp_path / "files", channels=channels), f"npz:{tmp_path / 'a.npz'}"):
        data = open_dataset(spec, channels=asked)
        wanted = channels if asked == "auto" else int(asked)
        assert data.image_shape[2] == data.train.images.shape[3] == wanted
        assert len(data.notes) == (wanted != channels)
    assert open_dataset("digits", channels="3").image_shape == (8, 8, 3)


def test_colour_in_valid_alone_makes_everything_rgb(tmp_path):
    x, y = draw(0, 40, 4, 4), np.arange(40) % 2
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_valid=draw(1, 10, 4, 4, 3), y_valid=y[:10])
    data = open_dataset(f"npz:{tmp_path / 'a.npz'}")
    assert data.image_shape == (4, 4, 3)
    np.testing.assert_array_equal(data.valid.images, draw(1, 10, 4, 4, 3))


def test_test_pictures_take_the_channels_of_train(tmp_path):
    """A search cannot look at them: colour among them alone is turned into grey."""
    x, y = draw(0, 40, 4, 4), np.arange(40) % 2
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=draw(1, 10, 4, 4, 3), y_test=y[:10])
    test = open_dataset(f"npz:{tmp_path / 'a.npz'}", allow_test=True).test()
    assert test.images.shape == (10, 4, 4, 1)
    assert test.notes == ("10 of 10 pictures were turned into grey: 10 RGB",)


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_other_numbers_of_channels_stay_as_they_are(tmp_path, channels):
    x = draw(0, 40, 4, 4, channels)
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(40) % 2)
    assert open_dataset(f"npz:{tmp_path / 'a.npz'}").image_shape == (4, 4, channels)
    with pytest.raises(UserError, match=rf"a\.npz: x\[\d+\] has {channels} channel\(s\); expected 3"):
        open_dataset(f"npz:{tmp_path / 'a.npz'}", channels="3")


def test_12_bits_in_16_bit_files_beside_8_bits(tmp_path):
    """Seen: 4,096 grey levels became 17. White is that of the data set; 8-bit files keep their own."""
    spec = write(tmp_path, channels=1)
    deep = np.random.default_rng(5).integers(0, 4096, (6, 5)).astype(np.uint16)
    deep[0, 0] = 4095
    for name in ("a", "b"):
        Image.fromarray(deep).save(tmp_path / "cat" / f"{name}.png")
        deep = deep[::-1].copy()
    Image.fromarray(deep).save(tmp_path / "dog" / "c.tif")
    data = open_dataset(spec, allow_test=True)
    assert data.preparation == Preparation(white=4095)
    found = pictures(data)
    np.testing.assert_array_equal(found["cat/a.png"][..., 0], np.floor(deep * (255 / 4095) + 0.5))
    np.testing.assert_array_equal(found["cat/03.png"][..., 0], draw(0, 12, 6, 5, 1)[3, ..., 0])
    assert any("have 16 bits a value: 0 to 4095 became 0 to 255" in note for note in data.notes)
    for size in (None, 4):
        data = open_dataset(spec, image_size=size, allow_test=True)
        for name, picture in pictures(data).items():
            np.testing.assert_array_equal(picture, prepare(tmp_path / name, data.image_shape, data.preparation))


def test_16_bit_colour_that_uses_few_of_its_bits_is_refused(tmp_path):
    """Its upper 8 bits alone are read: of 12-bit data 16 levels would be left."""
    rng = np.random.default_rng(0)
    for most, name in ((4096, "dark"), (65536, "full")):
        for number, of_class in enumerate(NAMES):
            (tmp_path / name / of_class).mkdir(parents=True)
            for index in range(6):
                pixels = rng.integers(0, most, (4, 4, 3)).astype(np.uint16)
                (tmp_path / name / of_class / f"{index}.png").write_bytes(png_16_bit_colour(pixels + number))
    with pytest.raises(UserError, match=r"colour pictures of 16 bits a channel use \d+ of 65535 at most"):
        open_dataset(f"folder:{tmp_path / 'dark'}")
    notes = open_dataset(f"folder:{tmp_path / 'full'}").notes
    assert any(note.endswith("colour pictures of 16 bits a channel the upper 8 bits are read") for note in notes)


class TestLike:
    """A network of the classes dog and cat, in that order, 8x7 pixels, grey."""

    like = Like(("dog", "cat"), (8, 7, 1))

    def test_size_channels_and_classes_are_the_network_s(self, tmp_path):
        data = open_dataset(write(tmp_path), like=self.like, allow_test=True)
        assert (data.classes, data.image_shape) == (("dog", "cat"), (8, 7, 1))
        whole = data.whole()
        for name, image, label in zip(whole.names, whole.images, whole.labels, strict=True):
            assert name.startswith(data.classes[label])
            np.testing.assert_array_equal(image, prepare(tmp_path / name, (8, 7, 1), Preparation()))

    @pytest.mark.parametrize("names", [("cats", "dog"), ("cat", "dog", "eel"), ("a", "b")])
    def test_other_names_are_refused_with_both_lists(self, tmp_path, names):
        said = (
            rf"has the classes \[{', '.join(map(repr, names))}\], the network \['dog', 'cat'\]; expected the same names"
        )
        with pytest.raises(UserError, match=said):
            open_dataset(write(tmp_path, names=names), like=self.like)

    def test_an_npz_file_against_a_folder_is_mapped_by_name(self, tmp_path):
        """A folder's classes are sorted as text: 10 before 2."""
        names = tuple(map(str, range(12)))
        folder = open_dataset(write(tmp_path / "files", 3, names=names))
        assert folder.classes[:4] == ("0", "1", "10", "11")
        x = draw(0, 120, 6, 5)
        x[:, 0, 0] = np.arange(120) % 12
        np.savez(tmp_path / "a.npz", x=x, y=np.arange(120) % 12)
        like = Like(folder.classes, (6, 5, 1))
        whole = open_dataset(f"npz:{tmp_path / 'a.npz'}", like=like, allow_test=True).whole()
        assert [folder.classes[label] for label in whole.labels] == [str(image[0, 0, 0]) for image in whole.images]

    @pytest.mark.parametrize("count", [1, 2, 40])
    def test_fewer_classes_and_few_pictures_will_do(self, tmp_path, count):
        """To be scored, all of them; a split may be empty then."""
        data = open_dataset(write(tmp_path, count, names=("cat",)), like=self.like, allow_test=True)
        assert len(data.whole()) == count
        assert set(data.whole().labels) == {1}
        assert data.has_test or count < 3
        assert data.notes[-1] == "1 of the network's 2 classes have no pictures here: dog"

    def test_a_split_is_the_same_as_without_the_network(self, tmp_path):
        spec = write(tmp_path, 30)
        plain, fitted = open_dataset(spec, allow_test=True), open_dataset(spec, like=self.like, allow_test=True)
        assert (fitted.train.names, fitted.test().names) == (plain.train.names, plain.test().names)
        assert fitted.fingerprint == plain.fingerprint

    @pytest.mark.parametrize(
        ("options", "said"), [({"image_size": 9}, "image_size=9: the network takes pictures of 8x7")]
    )
    def test_another_size_is_refused(self, tmp_path, options, said):
        with pytest.raises(UserError, match=said):
            open_dataset(write(tmp_path), like=self.like, **options)
        with pytest.raises(UserError, match=r"channels=3: the network takes pictures of 1 channel"):
            open_dataset(write(tmp_path / "b"), like=self.like, channels="3")
        square = Like(("dog", "cat"), (9, 9, 1))
        assert open_dataset(f"folder:{tmp_path / 'b'}", like=square, image_size=9, channels="1").image_shape == (
            9,
            9,
            1,
        )

    @pytest.mark.parametrize(("own", "network", "said"), [(4095, 4095, None), (1000, 4095, "1000"), (4095, 255, None)])
    def test_the_white_is_the_network_s(self, tmp_path, own, network, said):
        x = np.random.default_rng(0).integers(0, own + 1, (40, 8, 7)).astype(np.uint16)
        x[:, 0, 0] = own
        np.savez(tmp_path / "a.npz", x=x, y=np.arange(40) % 2, classes=np.array(NAMES))
        like = Like(("dog", "cat"), (8, 7, 1), Preparation(white=network))
        if network < own:
            with pytest.raises(UserError, match="with values up to 4095; the network was trained on values up to 255"):
                open_dataset(f"npz:{tmp_path / 'a.npz'}", like=like)
            return
        data = open_dataset(f"npz:{tmp_path / 'a.npz'}", like=like)
        assert data.preparation.white == network
        assert data.train.images.max() == round(own * 255 / network)
        assert any("values go up to 1000, and the network" in note for note in data.notes) == (said is not None)
