"""The picture of a chain is read back: who reads whom, sizes, padding; and nothing lies on top of anything else."""

from __future__ import annotations

import itertools
import random
import re
import xml.etree.ElementTree as ET

import pytest

from cells.count import count
from cells.drawing.chain import draw, layer_label
from cells.drawing.parts import draw as draw_parts
from cells.genotype.chain import ChainGenotype, ConvLayer, Pool
from cells.spaces.settings import SettingsSpace
from cells.walks.chain import ChainNetwork
from cells.walks.stack import CellNetwork
from cells.zoo.cells import NASNET_A
from tests.cells.test_drawing import SVG, box, inside, overlap, parse, text_box
from tests.support.chains import drawn_chain

SHAPE = (19, 16, 3)
DENSELY = ChainGenotype(tuple(ConvLayer(3, 3, filters=64, inputs=tuple(range(i))) for i in range(39)))
ALEXNET = SettingsSpace("alexnet", (224, 224, 3))
CHAINS = [
    DENSELY,
    ChainGenotype((ConvLayer(1, 1),)),
    ChainGenotype((ConvLayer(1, 1),) * 12),  # all read the image, all go to the classifier
    ALEXNET.decode(ALEXNET.published),
    *(drawn_chain(random.Random(seed), 12) for seed in range(20)),
]


def reads_of(genotype: ChainGenotype) -> set[tuple[str, str]]:
    found = {
        (read, str(index))
        for index, layer in enumerate(genotype.layers)
        for read in (map(str, layer.inputs) if layer.inputs else ["image"])
    }
    return found | {(str(layer), "head 0") for layer in genotype.loose}


def edges_of(root: ET.Element, kind: str = "edge") -> list[ET.Element]:
    return [path for path in root.iter(f"{SVG}path") if path.get("class") == kind]


@pytest.mark.parametrize("genotype", CHAINS)
def test_edges_are_the_genotypes(genotype):
    root = parse(draw(genotype))
    found = [(path.attrib["data-from"], path.attrib["data-to"]) for path in edges_of(root)]
    between = [pair for pair in found if pair[0].startswith("head")]
    assert len(set(found)) == len(found)
    assert set(found) - set(between) == reads_of(genotype)
    # The rows over the layers: joined, averaged or flattened, hidden layers, classes; each reads the one below.
    rows = (len(genotype.loose) > 1) + 1 + len(genotype.dense) + 1
    assert between == [(f"head {row}", f"head {row + 1}") for row in range(rows - 1)]


@pytest.mark.parametrize("genotype", CHAINS)
def test_layers_say_what_they_are_and_make(genotype):
    counts = count(ChainNetwork(genotype, 2), (224, 224, 3))
    root = parse(draw(genotype, image_shape=(224, 224, 3)))
    layers = [group for group in root.iter(f"{SVG}g") if group.get("class") == "layer"]
    assert len(layers) == len(genotype.layers)
    for index, (group, layer) in enumerate(zip(layers, genotype.layers, strict=True)):
        texts = [text.text for text in group.iter(f"{SVG}text")]
        assert texts[:2] == [f"layer {index}", "x".join(map(str, counts.endpoints[f"layer_{index}"]))]
        assert layer_label(layer) in texts
        if layer.pool:
            assert any(f"{layer.pool.kind} {layer.pool.size}x{layer.pool.size}" in (text or "") for text in texts)
        strides = [s for s in [(layer.stride_height, layer.stride_width)] if s != (1, 1)]
        strides += [(layer.pool.stride,) * 2] if layer.pool and layer.pool.stride > 1 else []
        shown = [text for text in texts if text and text.startswith("/")]
        assert shown == [f"/{a}" if a == b else f"/{a}x{b}" for a, b in strides]


def test_zeros_are_marked_on_the_edges_that_have_them():
    small, large = ConvLayer(1, 1, 2, 1), ConvLayer(1, 1)
    genotype = ChainGenotype((small, large, ConvLayer(3, 3, inputs=(0, 1)), ConvLayer(3, 3, inputs=(1, 2))))
    marks = [
        rect for rect in parse(draw(genotype, image_shape=SHAPE)).iter(f"{SVG}rect") if rect.get("class") == "zeros"
    ]
    assert len(marks) == 1  # layer 0 for layer 2; what the classifier reads is layer 3 alone
    assert "zeros around" in draw(genotype, image_shape=SHAPE)
    assert "zeros around" not in draw(genotype)
    assert "zeros around" not in draw(ChainGenotype((large, large)), image_shape=SHAPE)


@pytest.mark.parametrize("genotype", CHAINS)
def test_nothing_lies_on_anything_else(genotype):
    shape = (224, 224, 3)
    root = parse(draw(genotype, image_shape=shape, title="a title of many words, longer than the picture is wide " * 2))
    paper = (0.0, 0.0, float(root.attrib["width"]), float(root.attrib["height"]))
    rects = [rect for rect in root.iter(f"{SVG}rect") if rect.get("class") != "paper"]
    assert all(inside(box(rect), paper) for rect in rects)
    texts = [text_box(text) for text in root.iter(f"{SVG}text") if text.text and text.get("text-anchor") != "end"]
    assert all(inside(text, paper) for text in texts)
    assert not any(overlap(a, b) for a, b in itertools.combinations(texts, 2))
    frames = [box(rect) for rect in rects if rect.get("class") in ("frame", "input", "output")]
    assert not any(overlap(a, b) for a, b in itertools.combinations(frames, 2))
    for path in edges_of(root):
        x, *_ = map(float, re.findall(r"[\d.]+", path.attrib["d"]))
        lanes = [float(found) for found in re.findall(r"Q([\d.]+)", path.attrib["d"])]
        # A straight edge runs in a gap, a lane beside all boxes.
        assert all(not frame[0] < lane < frame[2] for lane in lanes for frame in frames)
        assert lanes or all(not frame[0] < x < frame[2] or _outside(path, frame) for frame in frames)
        assert all(0 < lane < paper[2] for lane in lanes)


def _outside(path: ET.Element, frame: tuple[float, float, float, float]) -> bool:
    found = re.fullmatch(r"M[\d.]+ ([\d.]+)V([\d.]+)", path.attrib["d"])
    assert found
    start, stop = map(float, found.groups())
    return start <= frame[1] or stop >= frame[3]


@pytest.mark.parametrize("genotype", CHAINS)
def test_no_two_sources_share_a_lane_at_one_height(genotype):
    spans: dict[float, dict[str, tuple[float, float]]] = {}
    for path in edges_of(parse(draw(genotype))):
        found = re.fullmatch(r"M[\d.]+ ([\d.]+)H.*V[\d.]+Q([\d.]+) ([\d.]+) .*", path.attrib["d"])
        if found:
            start, lane, stop = map(float, found.groups())
            lanes = spans.setdefault(lane, {})
            source = path.attrib["data-from"]
            lanes[source] = (min(stop, lanes.get(source, (stop, 0))[0]), start)
    for lanes in spans.values():
        ordered = sorted(lanes.values())
        assert all(a[1] < b[0] for a, b in itertools.pairwise(ordered))


def test_the_same_bytes_and_any_title():
    assert draw(DENSELY, title="x") == draw(DENSELY, title="x")
    assert "&lt;b&gt; &amp;" in draw(DENSELY, title="<b> &\0")
    parse(draw(DENSELY, title="<b> &\0"))


def test_the_head_says_what_it_is():
    flat = ChainGenotype((ConvLayer(3, 3, padding=0, pool=Pool("average", 3, 1, "valid")),), (7,), True, False)
    text = draw(flat)
    for words in ("all pixels", "dense 7, ReLU", "bias, ReLU", "conv 3x3, 24, valid", "average 3x3, valid"):
        assert f">{words}<" in text or words in text
    assert "concat" not in text
    assert ">concat of 2 layers<" in draw(ChainGenotype((ConvLayer(1, 1),) * 2))


def test_parts_of_any_network():
    network = CellNetwork(NASNET_A, 1, 4, 3)
    counts = count(network, (32, 32, 3))
    root = parse(draw_parts(network, (32, 32, 3), title="nasnet_a"))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert len([rect for rect in root.iter(f"{SVG}rect") if rect.get("class") == "part"]) == len(network.parts) + 1
    assert {*network.parts, "image", "32x32x3"} <= set(texts)
    assert {"x".join(map(str, shape)) for shape in counts.endpoints.values()} <= set(texts)
    told = [int(text.split()[0].replace(",", "")) for text in texts if text and text.endswith("parameters")]
    assert sum(told) == counts.parameters
    paper = (0.0, 0.0, float(root.attrib["width"]), float(root.attrib["height"]))
    assert all(inside(box(rect), paper) for rect in root.iter(f"{SVG}rect") if rect.get("class") == "part")
