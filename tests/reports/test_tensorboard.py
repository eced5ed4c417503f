"""What TensorBoard reads of a search and of a tuning, read as it reads it; a drawing as pixels."""

from __future__ import annotations

import contextlib
import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.plugins.hparams import metadata

from cells.drawing import cell, chain, svg
from cells.genotype.chain import ChainGenotype
from cells.zoo.cells import NASNET_A
from nasnet.modes.flags import resolve
from nasnet.modes.tables.report import setup_of
from nasnet.reports.tensorboard.picture import png
from nasnet.reports.tensorboard.search import SearchEvents
from nasnet.reports.tensorboard.table import TableEvents
from nasnet.reports.tensorboard.tuning import write_tuned
from nasnet.trials.journal import Journal
from tests.support.events import expected, read, same, scalars
from tests.support.searches import written_search


def write(folder, events) -> Journal:
    journal = Journal(folder / "journal.jsonl")
    with SearchEvents(events, journal, setup_of(folder).space((8, 8, 3)), 20) as search:
        search.write()
    return journal


def test_each_trial_is_there_once_whatever_was_killed_when(tmp_path):
    """From journals cut short, and events whose last record is torn; at last of a search begun anew there."""
    written_search(tmp_path / "run", 45, seed=5, blocks=1)
    path, events = tmp_path / "run" / "journal.jsonl", tmp_path / "run" / "tb"
    lines = path.read_text().splitlines(keepends=True)
    updates = [line for line in lines if '"update"' in line]
    trials = [line for line in lines if '"update"' not in line]
    for end in (10, 10, 61, len(trials)):
        path.write_text("".join([*trials[:end], *(updates if end > 60 else [])]))
        journal = write(tmp_path / "run", events)
        same(scalars(events), expected(journal))
        last = max(events.iterdir())
        last.write_bytes(last.read_bytes()[:-3])
    journal = write(tmp_path / "run", events)
    same(scalars(events), expected(journal))
    bests = [step for step, value in expected(journal)["search/best"]]
    best = [value for step, value in expected(journal)["search/best"]]
    shown = [picture.step for picture in read(events).Images("search/best_network")]
    assert shown == [step for i, step in enumerate(bests) if i == 0 or best[i] > best[i - 1]]
    for kept in (10, max(at for at, line in enumerate(trials[:10]) if '"kind": "trial"' in line)):
        path.write_text("".join(trials[:kept]))  # the second time of one trial less
        journal = write(tmp_path / "run", events)
        same(scalars(events), expected(journal))


def test_what_ended_after_the_last_write_is_there_unless_an_error_left_it(tmp_path):
    """Of an error the journal may know more than was told; what goes on from it writes that."""
    written_search(tmp_path / "run", 6, blocks=1)
    journal, space = Journal(tmp_path / "run" / "journal.jsonl"), setup_of(tmp_path / "run").space((8, 8, 3))
    with pytest.raises(ZeroDivisionError), SearchEvents(tmp_path / "tb", journal, space, 20):
        raise ZeroDivisionError
    assert scalars(tmp_path / "tb") == {}
    with SearchEvents(tmp_path / "tb", journal, space, 20):
        pass
    same(scalars(tmp_path / "tb"), expected(journal))


def test_a_table_s_search_has_the_same_scalars_each_once(tmp_path):
    """Begun, gone on with, begun anew; a failed start leaves what was there."""
    written_search(tmp_path / "run", 45, seed=5, blocks=1)
    path, folder = tmp_path / "run" / "journal.jsonl", tmp_path / "tb"
    lines = path.read_text().splitlines(keepends=True)
    for end in (61, len(lines), 10):
        path.write_text("".join(lines[:end]))
        journal = Journal(path)
        with contextlib.suppress(KeyError), TableEvents(folder, journal, 20) as events:
            if end == 61:
                events.write()
            if end == 10:
                raise KeyError
        same(scalars(folder), expected(journal))
        assert read(folder).FirstEventTimestamp() > 0


def test_a_picture_is_that_of_the_best_network(tmp_path):
    written_search(tmp_path / "run", 5, failing=0, reward=lambda number: -number, blocks=1)
    journal = write(tmp_path / "run", tmp_path / "tb")
    [picture] = read(tmp_path / "tb").Images("search/best_network")[:1]
    best = next(iter(journal.trials.values()))
    genotype = setup_of(tmp_path / "run").space((8, 8, 3)).decode(best.proposal.tokens)
    drawn = cell.draw(genotype, title=f"trial {best.proposal.trial_id}, reward {best.reward:.4f}")
    assert picture.encoded_image_string == png(drawn)
    size = Image.open(io.BytesIO(picture.encoded_image_string)).size
    assert (
        (picture.width, picture.height) == size == tuple(int(ET.fromstring(drawn).get(s)) for s in ("width", "height"))
    )


@pytest.mark.parametrize("kind", ["cell", "chain"])
def test_a_drawing_is_the_same_in_pixels(kind):
    """Each box has its colour inside its left edge, each text some ink where it stands, and there is no box beside."""
    if kind == "cell":
        text = cell.draw(NASNET_A, title="a $title$")
    else:
        space = setup_space()
        genotype = space.decode(tuple(decision.size // 2 for decision in space.decisions[: space.length(0)]))
        assert isinstance(genotype, ChainGenotype)
        text = chain.draw(genotype, image_shape=(32, 32, 3))
    pixels = np.asarray(Image.open(io.BytesIO(png(text, 2.0))).convert("RGB")).astype(int)
    root = ET.fromstring(text)
    assert pixels.shape == (2 * int(root.get("height")), 2 * int(root.get("width")), 3)
    boxes = [e for e in root.iter() if e.tag.endswith("rect") and e.get("class") in ("op", "input", "output", "layer")]
    assert boxes
    for box in boxes:
        x, y, height = (float(box.get(name)) for name in ("x", "y", "height"))
        fill = [*bytes.fromhex(box.get("fill", "").removeprefix("#"))]
        assert np.abs(pixels[int(2 * y + height), int(2 * x + 6)] - fill).max() < 8
    for line in (e for e in root.iter() if e.tag.endswith("text")):
        x, y, size = (float(line.get(name)) for name in ("x", "y", "font-size"))
        left = {"start": 0, "middle": -size, "end": -2 * size}[line.get("text-anchor")]
        place = pixels[int(2 * (y - 0.8 * size)) : int(2 * y), int(2 * (x + left)) : int(2 * (x + left + 2 * size))]
        assert place.max() - place.min() > 60, line.text
    assert (pixels[0] == 255).all()
    assert (pixels[:, -1] == 255).all()


def setup_space():
    from nasnet.networks.config import NetworkConfig
    from nasnet.trials.config import ChainConfig, SearchConfig
    from nasnet.trials.spaces import make_space

    config = resolve("search", 0, {"space": "chain", "start_layers": 5})
    return make_space(config.group(SearchConfig), config.group(ChainConfig), config.group(NetworkConfig), (32, 32, 3))


def test_a_path_goes_where_it_says():
    """Each kind of step, by points on its way: of the two curves the middles, which are sums of their corners."""
    root, _ = svg.page(120, 100, "", "name")
    way = "M10 90V50H40L60 30C60 10 100 10 100 30Q100 70 60 70"
    svg.add(root, "path", d=way, fill="none", stroke="#ff0000", stroke_width=4)
    svg.add(root, "path", d="M10 10H30", fill="none", stroke="#0000ff", stroke_width=4, stroke_dasharray="5 4")
    pixels = np.asarray(Image.open(io.BytesIO(png(svg.document(root)))).convert("RGB")).astype(int)
    for x, y in ((10, 70), (25, 50), (50, 40), (80, 15), (90, 60)):
        assert np.abs(pixels[y - 1 : y + 1, x - 1 : x + 1] - [255, 0, 0]).max() < 120, (x, y)
    for x, y in ((30, 70), (40, 30), (80, 40), (100, 10), (60, 50)):
        assert (pixels[y, x] == 255).all(), (x, y)
    dashes = (pixels[10, 8:32, 0] < 128).astype(int)
    assert np.count_nonzero(np.diff(dashes)) >= 4


def test_what_no_drawing_has_is_refused():
    root, _ = svg.page(100, 50, "", "name")
    svg.add(root, "path", d="M1 1A2 2")
    with pytest.raises(ValueError, match="A2 2"):
        png(svg.document(root))
    root, _ = svg.page(100, 50, "", "name")
    svg.add(root, "circle")
    with pytest.raises(ValueError, match="<circle>"):
        png(svg.document(root))


def test_a_tuning_is_under_hparams_once(tmp_path):
    for accuracy in (0.25, 0.75):
        write_tuned(tmp_path / "trial_0003", {"learning_rate": 0.1, "label_smoothing": 0.0}, 4, accuracy)
    write_tuned(tmp_path / "trial_0004", {"learning_rate": 0.2}, 4, None)
    events = read(tmp_path / "trial_0003")
    [point] = events.Tensors("valid/accuracy")
    assert (point.step, float(tf.make_ndarray(point.tensor_proto))) == (4, 0.75)
    said = events.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    info = metadata.parse_session_start_info_plugin_data(said)
    assert {name: value.number_value for name, value in info.hparams.items()} == {
        "learning_rate": 0.1,
        "label_smoothing": 0.0,
        "epochs": 4,
    }
    assert info.group_name == "trial_0003"
    assert "valid/accuracy" not in read(tmp_path / "trial_0004").Tags()["tensors"]
