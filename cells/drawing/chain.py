"""A chain as a picture: its layers one above the other in one self-contained SVG. Data flows upwards."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET

from cells.count import count
from cells.drawing.cell import FAMILIES, INPUT_COLOURS, OUTPUT
from cells.drawing.svg import (
    DEAD_INK,
    EDGE,
    FRAME,
    FRAME_FILL,
    MARGIN,
    PAPER,
    add,
    caption,
    document,
    mark,
    page,
    rectangle,
    text_width,
    write,
)
from cells.genotype.chain import ChainGenotype, ConvLayer
from cells.walks.chain import ChainNetwork

# Pixels. A layer is a frame with its convolution and above that its pooling.
PAD, GAP, BOX_HEIGHT, NAME_HEIGHT = 8, 36, 30, 16
LANE_WIDTH, FIRST_LANE, STEP, CORNER = 14, 34, 13, 5
LANE_COLOURS = (EDGE, "#0b6e75", "#8a5a00", "#3d5fc9", "#7a3e9d", "#3a7d34")

Sizes = dict[int, tuple[int, ...]]
"""Row -> `[height, width, channels]` of what it makes. Row 0 is the image, row i + 1 layer i."""


def draw(genotype: ChainGenotype, *, image_shape: tuple[int, int, int] | None = None, title: str = "") -> str:
    """Draws the layers from the image at the bottom to the classifier at the top.

    A layer's edge to the next one is straight. All its other readers are reached by one lane to the right; what reads
    the image, by a lane to the left. A mark "/2" is a stride, "/2x1" one of rows and columns. The same arguments give
    the same bytes.

    Args:
        genotype: the chain.
        image_shape: `(height, width, channels)`; with it each layer says the size that it makes, and an edge whose
            picture is zero-padded to the largest bears a mark "0".
        title: any text; lines are broken where they would be wider than the picture.

    Returns:
        An SVG document without scripts, style sheets or outside references.
    """
    sizes: Sizes = {}
    if image_shape is not None:
        endpoints = count(ChainNetwork(genotype, 2), image_shape).endpoints
        sizes = {0: image_shape, **dict(enumerate(endpoints.values(), 1))}
    column = _Column(genotype, sizes)
    legend = _legend_words(genotype, padded=bool(column.padded))
    words = "each convolution: " + ("batch norm, ReLU" if genotype.batch_norm else "bias, ReLU")
    least = max(round(text_width(words)), round(sum(text_width(word) + 50 for word, _ in legend)))
    width = max(column.width, least) + 2 * MARGIN
    svg, top = page(width, column.height + 100, title, "Layers from the image to the classifier")
    column.draw(svg, MARGIN + (width - 2 * MARGIN - column.width) // 2, top + column.height)
    floor = top + column.height + 100 - MARGIN
    write(svg, words, MARGIN, floor - 26, anchor="start", fill=DEAD_INK)
    _legend(svg, floor, legend)
    return document(svg)


def layer_label(layer: ConvLayer) -> str:
    """What a layer's convolution is, short enough for a box."""
    words = f"conv {layer.height}x{layer.width}, {layer.filters}"
    if layer.padding == "same":
        return words
    return words + (f", {layer.padding} around" if layer.padding else ", valid")


@dataclasses.dataclass(frozen=True)
class _Edge:
    """From a row to a row above it; `lane` is None for the next row, -1 for the image's lane, else its number."""

    source: int
    target: int
    lane: int | None


class _Column:
    """All rows of the picture: measured when made, then drawn where there is room for them."""

    def __init__(self, genotype: ChainGenotype, sizes: Sizes) -> None:
        self.genotype, self.sizes = genotype, sizes
        layers = genotype.layers
        self.head = _head_labels(genotype)
        self.reads = {index + 1: [read + 1 for read in layer.inputs] or [0] for index, layer in enumerate(layers)}
        self.reads[len(layers) + 1] = [read + 1 for read in genotype.loose]
        self.reads.update({row: [row - 1] for row in range(len(layers) + 2, len(layers) + 1 + len(self.head))})
        self.edges = _edges(self.reads)
        self.ends = {
            row: sorted(_lane(e) for e in self.edges if e.target == row and _lane(e) >= 0) for row in self.reads
        }
        self.padded = {edge for edge in self.edges if self._is_padded(edge)}
        labels = [*map(layer_label, layers), *self.head, "image " + _size(sizes.get(0))]
        named = [f"layer {len(layers)}   {_size(sizes.get(index + 1))}" for index in range(len(layers))]
        wide = max(*(text_width(text) + 40 for text in labels), *(text_width(text, 10) + 40 for text in named), 170)
        self.box_width = 2 * round(wide / 2)
        self.left_lane = FIRST_LANE if any(edge.lane == -1 for edge in self.edges) else 0
        lanes = max([edge.lane for edge in self.edges if edge.lane is not None], default=-1) + 1
        right_lanes = FIRST_LANE + lanes * LANE_WIDTH if lanes else 0
        self.width = self.left_lane + self.box_width + 2 * PAD + right_lanes
        self.bottoms = [0]  # row -> how far its lower side is above the image's lower side
        for row in range(len(self.reads)):
            self.bottoms.append(self.bottoms[row] + self._height(row) + GAP)
        self.height = self.bottoms[-1] + self._height(len(self.reads))
        self.left = self.floor = 0

    def draw(self, svg: ET.Element, left: int, floor: int) -> None:
        """Draws with the column's left side at `left` and the lower side of the image at `floor`."""
        self.left, self.floor = left + self.left_lane, floor
        group = add(svg, "g", class_="chain")
        for source in range(len(self.reads)):
            mine = [edge for edge in self.edges if edge.source == source]
            for stroke, width, kind in ((PAPER, 6.0, "halo"), (None, 1.6, "edge")):  # crossings show which is above
                for edge in mine:
                    self._edge(group, edge, kind, stroke, width)
        for edge in sorted(self.padded, key=lambda edge: (edge.target, edge.source)):
            x, y = self._entry(edge)
            mark(group, "zeros", *((x, y + 13) if edge.lane is None else (x + 17, y)), "0")
        self._box(group, "input", 0, "image " + _size(self.sizes.get(0)), (PAPER, INPUT_COLOURS[0]))
        for index, layer in enumerate(self.genotype.layers):
            self._layer(group, index, layer)
        for row, label in enumerate(self.head, len(self.genotype.layers) + 1):
            self._box(group, "output", row, label, OUTPUT)

    def _is_padded(self, edge: _Edge) -> bool:
        joined = [self.sizes[row][:2] for row in self.reads[edge.target] if row in self.sizes]
        largest = tuple(max(side) for side in zip(*joined, strict=True))
        return edge.source in self.sizes and self.sizes[edge.source][:2] != largest

    def _height(self, row: int) -> int:
        """Room for what is in a row, and at its right side for each lane that ends there and the one that begins."""
        layers = self.genotype.layers
        height = BOX_HEIGHT
        if 1 <= row <= len(layers):
            pooled = layers[row - 1].pool is not None
            height = NAME_HEIGHT + PAD + BOX_HEIGHT + (BOX_HEIGHT + PAD if pooled else 0) + PAD
        return max(height, STEP * (len(self.ends.get(row, ())) + 1) + PAD)

    def _bottom(self, row: int) -> int:
        return self.floor - self.bottoms[row]

    def _top(self, row: int) -> int:
        return self._bottom(row) - self._height(row)

    @property
    def _middle(self) -> int:
        return self.left + PAD + self.box_width // 2

    def _side(self, sign: int) -> int:
        """Where the boxes end, to the left (-1) or the right."""
        return self._middle + sign * (self.box_width // 2 + PAD)

    def _entry(self, edge: _Edge) -> tuple[int, int]:
        """Where an edge meets its reader. Of the lanes on the right the inner ones end lower: none crosses another."""
        bottom = self._bottom(edge.target)
        if edge.lane is None:
            return self._middle, bottom
        if edge.lane == -1:
            return self._side(-1), bottom - PAD - BOX_HEIGHT // 2
        return self._side(1), bottom - PAD - STEP * self.ends[edge.target].index(edge.lane)

    def _edge(self, group: ET.Element, edge: _Edge, kind: str, stroke: str | None, width: float) -> None:
        x, y = self._entry(edge)
        if edge.lane is None:
            route, colour = f"M{x} {self._top(edge.source)}V{y}", INPUT_COLOURS[0] if edge.source == 0 else EDGE
        else:
            sign = -1 if edge.lane == -1 else 1
            lane = x + sign * (FIRST_LANE if sign == 1 else FIRST_LANE - 10) + sign * max(edge.lane, 0) * LANE_WIDTH
            start = self._top(edge.source) + (BOX_HEIGHT // 2 if edge.source == 0 else PAD)
            near = lane - sign * CORNER
            route = f"M{x} {start}H{near}Q{lane} {start} {lane} {start - CORNER}V{y + CORNER}Q{lane} {y} {near} {y}H{x}"
            colour = INPUT_COLOURS[0] if sign == -1 else LANE_COLOURS[edge.lane % len(LANE_COLOURS)]
        add(
            group,
            "path",
            class_=kind,
            data_from=self._name(edge.source),
            data_to=self._name(edge.target),
            d=route,
            fill="none",
            stroke=stroke or colour,
            stroke_width=width,
        )

    def _name(self, row: int) -> str:
        """The image, a layer by its number, the rows above them."""
        if row == 0:
            return "image"
        return str(row - 1) if row <= len(self.genotype.layers) else f"head {row - 1 - len(self.genotype.layers)}"

    def _box(self, group: ET.Element, kind: str, row: int, text: str, colours: tuple[str, str]) -> None:
        top, height = self._top(row), self._height(row)
        rectangle(group, kind, (self._side(-1), top, self._side(1) - self._side(-1), height), colours)
        write(group, text, self._middle, top + height // 2, class_=kind)

    def _layer(self, column: ET.Element, index: int, layer: ConvLayer) -> None:
        row = index + 1
        top, bottom = self._top(row), self._bottom(row)
        group = add(column, "g", class_="layer", data_layer=index)
        frame = (self._side(-1), top, self._side(1) - self._side(-1), bottom - top)
        rectangle(group, "frame", frame, (FRAME_FILL, FRAME))
        write(group, f"layer {index}", frame[0] + PAD, top + 10, size=10, fill=DEAD_INK, anchor="start")
        size = _size(self.sizes.get(row))
        write(group, size, frame[0] + frame[2] - PAD, top + 10, size=10, fill=DEAD_INK, anchor="end", class_="size")
        stride = (layer.stride_height, layer.stride_width)
        self._step(group, "convolution", layer_label(layer), bottom - PAD - BOX_HEIGHT, stride)
        if layer.pool is not None:
            words = f"{layer.pool.kind} {layer.pool.size}x{layer.pool.size}"
            words += ", valid" if layer.pool.padding == "valid" else ""
            y = bottom - 2 * (PAD + BOX_HEIGHT)
            add(group, "path", class_="wire", d=f"M{self._middle} {y + BOX_HEIGHT + PAD}V{y + BOX_HEIGHT}", stroke=EDGE)
            self._step(group, "pooling", words, y, (layer.pool.stride, layer.pool.stride))

    def _step(self, group: ET.Element, family: str, text: str, y: int, stride: tuple[int, int]) -> None:
        box = (self._middle - self.box_width // 2, y, self.box_width, BOX_HEIGHT)
        rectangle(group, "op", box, FAMILIES[family])
        write(group, text, self._middle, y + BOX_HEIGHT // 2, class_="op")
        if stride != (1, 1):
            mark(group, "stride", box[0] + box[2] - 18, y + BOX_HEIGHT, _stride(stride))


def _lane(edge: _Edge) -> int:
    """Its lane on the right, or -1."""
    return -1 if edge.lane is None else edge.lane


def _edges(reads: dict[int, list[int]]) -> list[_Edge]:
    """Who reads whom, each with its lane. A row has one lane for all its readers; the shortest lanes lie innermost."""
    last: dict[int, int] = {}
    for target, sources in reads.items():
        last.update({source: target for source in sources if source < target - 1})  # targets ascend
    lanes: dict[int, int] = {0: -1}
    for source in sorted(last.keys() - {0}, key=lambda row: (last[row] - row, row)):
        taken = {lanes[o] for o in lanes if o and o in last and o <= last[source] and source <= last[o]}
        lanes[source] = next(lane for lane in range(len(reads)) if lane not in taken)
    return [
        _Edge(source, target, lanes[source] if source < target - 1 else None)
        for target, sources in reads.items()
        for source in sources
    ]


def _head_labels(genotype: ChainGenotype) -> list[str]:
    joined = [f"concat of {len(genotype.loose)} layers"] if len(genotype.loose) > 1 else []
    dense = [f"dense {units}, ReLU" for units in genotype.dense]
    return [*joined, "all pixels" if genotype.flatten else "average of all pixels", *dense, "classifier"]


def _size(size: tuple[int, ...] | None) -> str:
    return "" if size is None else "x".join(map(str, size))


def _stride(stride: tuple[int, int]) -> str:
    return f"/{stride[0]}" if stride[0] == stride[1] else f"/{stride[0]}x{stride[1]}"


def _legend_words(genotype: ChainGenotype, padded: bool) -> list[tuple[str, str]]:
    """What the legend explains, each word with the family or the mark that stands before it."""
    strides = {(layer.stride_height, layer.stride_width) for layer in genotype.layers}
    strides |= {(layer.pool.stride, layer.pool.stride) for layer in genotype.layers if layer.pool is not None}
    words = [("convolution", "convolution")]
    if any(layer.pool is not None for layer in genotype.layers):
        words.append(("pooling", "pooling"))
    if strides - {(1, 1)}:
        words.append(("stride", "/2"))
    return [*words, ("zeros around, to the largest", "0")] if padded else words


def _legend(svg: ET.Element, y: int, words: list[tuple[str, str]]) -> None:
    group = add(svg, "g", class_="legend")
    x = MARGIN
    for word, sign in words:
        if sign in FAMILIES:
            rectangle(group, "swatch", (x, y - 8, 22, 16), FAMILIES[sign])
        else:
            mark(group, "sign", x + 11, y, sign)
        x = caption(group, x + 30, y, word)
