"""The picture is read back: what it shows is what the genotype says, and nothing lies on top of anything else."""

from __future__ import annotations

import collections
import itertools
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cells.drawing.cell import FAMILIES, draw, family, label
from cells.genotype.cell import Block, Cell, CellGenotype
from cells.operations import COMBINERS, NASNET_OPERATIONS, OPERATIONS
from cells.zoo.cells import AMOEBANET_A, NASNET_A

SVG = "{http://www.w3.org/2000/svg}"
SEP5 = "5x5 depthwise-separable conv"
# No shrinking: it takes minutes where a check takes a tenth of a second, and the genotype is printed anyway.
SEEDED = settings(deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
Box = tuple[float, float, float, float]  # left, top, right, bottom


@st.composite
def cells(draw_value, most_blocks=12):
    blocks = tuple(
        Block(
            draw_value(st.integers(0, index + 1)),
            draw_value(st.integers(0, index + 1)),
            draw_value(st.sampled_from(NASNET_OPERATIONS)),
            draw_value(st.sampled_from(NASNET_OPERATIONS)),
            draw_value(st.sampled_from(COMBINERS)),
        )
        for index in range(draw_value(st.integers(1, most_blocks)))
    )
    states = st.integers(0, len(blocks) + 1)
    return Cell(blocks, tuple(draw_value(st.lists(states, min_size=1, max_size=len(blocks) + 2, unique=True))))


genotypes = st.builds(CellGenotype, cells(), cells())


def chain(blocks: int) -> Cell:
    return Cell(tuple(Block(b + 1 if b else 0, b, SEP5, "identity") for b in range(blocks)), (blocks + 1,))


def fan(blocks: int) -> Cell:
    return Cell(tuple(Block(1, 1, SEP5, SEP5) for _ in range(blocks)), tuple(range(blocks + 2)))


EXTREMES = [
    NASNET_A,
    AMOEBANET_A,
    CellGenotype(chain(12), fan(12)),
    CellGenotype(fan(1), chain(1)),
    CellGenotype(Cell((Block(0, 0, SEP5, SEP5),), (1,)), Cell((Block(1, 1, SEP5, SEP5),) * 12, (0, 1))),
]


def parse(text: str) -> ET.Element:
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    return root


def both_cells(text: str) -> list[ET.Element]:
    found = parse(text).findall(f"{SVG}g[@class='cell']")
    assert len(found) == 2
    return found


def box(rect: ET.Element) -> Box:
    left, top, width, height = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
    return left, top, left + width, top + height


def text_box(text: ET.Element) -> Box:
    """Where a text may reach: the mean character of the widest font is below 0.62 of the font's size."""
    size = float(text.attrib["font-size"])
    width = 0.62 * size * len(text.text or "")
    left = float(text.attrib["x"]) - (width / 2 if text.attrib["text-anchor"] == "middle" else 0)
    return left, float(text.attrib["y"]) - 0.75 * size, left + width, float(text.attrib["y"]) + 0.22 * size


def overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def inside(inner: Box, outer: Box) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and inner[2] <= outer[2] and inner[3] <= outer[3]


def rects(element: ET.Element, *kinds: str) -> list[ET.Element]:
    return [rect for rect in element.iter(f"{SVG}rect") if rect.get("class") in kinds]


def points(path: str) -> list[tuple[float, float]]:
    """Points along a path made of M, V and C, close enough together to hit any box that it passes."""
    found: list[tuple[float, float]] = []
    for command, numbers in re.findall(r"([MVC])([\d. ]+)", path):
        at = [float(number) for number in numbers.split()]
        if command == "M":
            found.append((at[0], at[1]))
        elif command == "V":
            x, y = found[-1]
            found += [(x, y + (at[0] - y) * step / 20) for step in range(1, 21)]
        else:
            ends = [found[-1], *zip(at[::2], at[1::2], strict=True)]
            for t in (step / 60 for step in range(1, 61)):
                weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
                x, y = (sum(w * end[axis] for w, end in zip(weights, ends, strict=True)) for axis in (0, 1))
                found.append((x, y))
    return found


@pytest.mark.parametrize("op", NASNET_OPERATIONS)
def test_labels_are_short_and_keep_the_sizes(op):
    assert len(label(op)) <= 8
    assert re.findall(r"\d+x\d+", label(op)) == re.findall(r"\d+x\d+", op)


def test_labels_and_families_tell_operations_apart():
    assert len({label(op) for op in OPERATIONS}) == len(OPERATIONS)
    sizes = collections.Counter(map(family, NASNET_OPERATIONS))
    assert sizes == {"separable": 3, "convolution": 5, "pooling": 4, "identity": 1}
    assert set(sizes) == set(FAMILIES)
    others = {op: family(op) for op in OPERATIONS if op not in NASNET_OPERATIONS}
    assert others == {
        "2x2 max pooling": "pooling",
        "skip connection": "identity",
        "3x3 dilated separable conv": "separable",
        "5x5 dilated separable conv": "separable",
        "factorized identity": "identity",
    }


@settings(SEEDED, max_examples=60)
@given(genotypes)
def test_every_block_is_there_with_its_operations_and_combiner(genotype):
    for cell, drawn, stride in zip(
        (genotype.normal, genotype.reduction), both_cells(draw(genotype)), (1, 2), strict=True
    ):
        groups = {int(group.attrib["data-state"]): group for group in drawn.findall(f"{SVG}g")}
        assert sorted(groups) == list(range(2, len(cell.blocks) + 2))
        for state, block in enumerate(cell.blocks, 2):
            live = state in cell.live
            assert groups[state].attrib["class"] == ("block" if live else "block dead")
            texts = groups[state].findall(f"{SVG}text[@class='op']")
            assert [text.text for text in texts] == [label(block.left_op), label(block.right_op)]
            assert [text.text for text in groups[state].findall(f"{SVG}text[@class='combiner']")] == [block.combine]
            assert len(rects(groups[state], "stride")) == (stride - 1) * ((block.left < 2) + (block.right < 2))
            for rect in rects(groups[state], "frame", "op", "combiner"):
                assert ("stroke-dasharray" in rect.attrib) != live
            xs = [float(text.attrib["x"]) for text in texts]
            assert block.combine == "add" or xs[0] < xs[1]  # concatenation has an order
        for state, rect in enumerate(rects(drawn, "input")):
            assert ("stroke-dasharray" in rect.attrib) != (state in cell.live)


@pytest.mark.parametrize(("combine", "mirrored"), [("add", True), ("concat", False)])
def test_only_a_sum_stands_mirrored_where_that_uncrosses_its_edges(combine, mirrored):
    cell = Cell((Block(0, 1, SEP5, "identity", combine),), (2,))  # state 1 stands on the left
    for drawn in both_cells(draw(CellGenotype(cell, cell))):
        x = {text.text: float(text.attrib["x"]) for text in drawn.iter(f"{SVG}text")}
        assert (x["sep 5x5"] > x["identity"]) == mirrored
        assert x["h[i] (previous cell)"] > x["h[i-1] (the one before)"]


@settings(SEEDED, max_examples=60)
@given(genotypes)
def test_edges_are_those_of_the_genotype_and_end_where_they_say(genotype):
    for cell, drawn in zip((genotype.normal, genotype.reduction), both_cells(draw(genotype)), strict=True):
        expected = [(r, str(s)) for s, b in enumerate(cell.blocks, 2) for r in (b.left, b.right)]
        expected += [(state, "output") for state in cell.outputs]
        edges = [path for path in drawn.findall(f"{SVG}path") if path.attrib["class"].startswith("edge")]
        found = [(int(edge.attrib["data-from"]), edge.attrib["data-to"]) for edge in edges]
        assert sorted(found) == sorted(expected)
        boxes: dict[str, list[Box]] = {str(state): [box(rect)] for state, rect in enumerate(rects(drawn, "input"))}
        for group in drawn.findall(f"{SVG}g"):
            boxes[group.attrib["data-state"]] = [box(rect) for rect in rects(group, "op", "combiner")]
        boxes["output"] = [box(rect) for rect in rects(drawn, "output")]
        free = collections.Counter({"output": len(cell.outputs) - 1})
        for edge in edges:
            (x, y), *_, (end_x, end_y) = points(edge.attrib["d"])
            assert any(left < x < right and y == top for left, top, right, _ in boxes[edge.attrib["data-from"]])
            targets = boxes[edge.attrib["data-to"]]
            hit = [b for b in targets if b[0] < end_x < b[2] and end_y == b[3]]
            assert len(hit) == 1
            if free[edge.attrib["data-to"]] == 0:  # each operation has one edge, the output as many as states
                targets.remove(hit[0])
            else:
                free[edge.attrib["data-to"]] -= 1
            dead = edge.attrib["data-to"] != "output" and int(edge.attrib["data-to"]) not in cell.live
            assert ("stroke-dasharray" in edge.attrib) == dead


def check_layout(genotype: CellGenotype, title: str) -> None:
    root = parse(draw(genotype, title=title))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert root.attrib["viewBox"] == f"0 0 {width:.0f} {height:.0f}"
    page = (0.0, 0.0, width, height)
    small = [box(rect) for rect in rects(root, "input", "op", "combiner", "output", "swatch")]
    large = [box(rect) for rect in rects(root, "input", "frame", "output", "swatch")]
    marks = [box(rect) for rect in rects(root, "stride")]
    texts = [text_box(text) for text in root.iter(f"{SVG}text")]
    for boxes in (small, large, marks, texts):
        for a, b in itertools.combinations(boxes, 2):
            assert not overlap(a, b)
    assert all(inside(b, page) for b in small + large + marks + texts)
    for drawn in root.findall(f"{SVG}g[@class='cell']"):
        for group in drawn.findall(f"{SVG}g"):
            (frame,) = map(box, rects(group, "frame"))
            assert all(inside(box(rect), frame) for rect in rects(group, "op", "combiner", "stride"))
            holders = [box(rect) for rect in rects(group, "op", "combiner")]
            for text in group.findall(f"{SVG}text[@class]"):
                assert sum(inside(text_box(text), holder) for holder in holders) == 1
        frames = {g.attrib["data-state"]: box(rects(g, "frame")[0]) for g in drawn.findall(f"{SVG}g")}
        frames |= {str(state): box(rect) for state, rect in enumerate(rects(drawn, "input"))}
        for edge in drawn.findall(f"{SVG}path"):
            ends = (edge.attrib["data-from"], edge.attrib["data-to"])
            others = [frame for state, frame in frames.items() if state not in ends]
            for x, y in points(edge.attrib["d"]):
                assert not any(left < x < right and top < y < bottom for left, top, right, bottom in others)


@settings(SEEDED, max_examples=60)
@given(genotypes, st.text(max_size=200))
def test_nothing_overlaps_is_cut_off_or_is_crossed_by_an_edge(genotype, title):
    check_layout(genotype, title)


@pytest.mark.parametrize("genotype", EXTREMES)
def test_extreme_cells_are_laid_out_as_well(genotype):
    check_layout(genotype, "A long title " * 20)


@settings(SEEDED, max_examples=100)
@given(st.text())
def test_any_title_survives(title):
    root = parse(draw(NASNET_A, title=title))
    control = r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"  # what XML 1.0 cannot hold (hypothesis draws no surrogates)
    shown = [text.text or "" for text in root.findall(f"{SVG}text")]
    assert "".join("".join(shown).split()) == "".join(re.sub(control, "\ufffd", title).split())


def test_a_title_is_escaped():
    text = draw(NASNET_A, title="<script>alert('&amp;')</script>")
    assert "<script" not in text
    assert parse(text).findtext(f"{SVG}title") == "<script>alert('&amp;')</script>"


@settings(SEEDED, max_examples=20)
@given(genotypes)
def test_the_same_genotype_gives_the_same_text(genotype):
    assert draw(genotype, title="a") == draw(CellGenotype.from_json(genotype.to_json()), title="a")


def test_nothing_is_loaded_from_elsewhere():
    text = draw(NASNET_A, title="a")
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<(script|style|image|use|foreignObject)|href|url\(|@import", text)
