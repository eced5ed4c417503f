"""A genotype as a picture: both cells side by side in one self-contained SVG. Data flows upwards."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from cells.drawing.layout import lay_out
from cells.drawing.svg import (
    DEAD,
    DEAD_INK,
    EDGE,
    FRAME,
    FRAME_FILL,
    INK,
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
from cells.genotype.cell import Cell, CellGenotype

# Pixels. A block is a frame with two operations side by side and the combiner above them.
PAD, BETWEEN = 8, 48
OP_HEIGHT, COMBINER_WIDTH, COMBINER_HEIGHT = 30, 56, 22
INPUT_WIDTH, INPUT_HEIGHT, OUTPUT_HEIGHT = 184, 30, 30
BLOCK_HEIGHT = 3 * PAD + OP_HEIGHT + COMBINER_HEIGHT + 14

INPUT_LABELS = ("h[i] (previous cell)", "h[i-1] (the one before)")
INPUT_COLOURS = ("#0b6e75", "#a1286a")
BLOCK, COMBINER, OUTPUT = (FRAME_FILL, FRAME), (PAPER, EDGE), ("#e6e9ed", EDGE)  # fill, stroke
FAMILIES = {
    "separable": ("#cfe3fb", "#3d7cc9"),
    "convolution": ("#fddfbd", "#c9822b"),
    "pooling": ("#d3edcd", "#4c9a45"),
    "identity": ("#f4eeb0", "#a89a20"),
}
"""Family of operations -> fill, stroke. The labels say the same, so nothing is told by colour alone."""


def family(op: str) -> str:
    """The family of an operation by the words of its name: one of `FAMILIES`."""
    kinds = {"separable": "separable", "pool": "pooling", "conv": "convolution"}
    return next((kind for word, kind in kinds.items() if word in op), "identity")


def label(op: str) -> str:
    """The name of an operation, short enough for a box: "5x5 depthwise-separable conv" is "sep 5x5"."""
    kinds = {"separable": "sep", "dilated": "dil", "average": "avg", "max": "max", "conv": "conv"}
    sizes = re.findall(r"\d+x\d+", op)
    kind = next((short for word, short in kinds.items() if word in op), "")
    if "dilated" in op and kind == "sep":
        kind = "dil sep"
    if not sizes or not kind:
        return op
    return " ".join(sizes) if len(sizes) > 1 else f"{kind} {sizes[0]}"  # "1x7 7x1": two sizes say convolution


def draw(genotype: CellGenotype, *, title: str = "") -> str:
    """Draws the Normal Cell and, to its right, the Reduction Cell.

    Operations of stride 2, those of the Reduction Cell that read a cell input (NASNet, section 3), bear a mark "/2".
    Blocks that reach no output are grey and dashed. The same genotype and title give the same bytes.

    Args:
        genotype: the two cells, with any number of blocks.
        title: any text; lines are broken where they would be wider than the cells.

    Returns:
        An SVG document without scripts, style sheets or outside references: to be saved, or put into an HTML page.
    """
    ops = [op for cell in (genotype.normal, genotype.reduction) for b in cell.blocks for op in (b.left_op, b.right_op)]
    op_width = 2 * round(max(72.0, *(text_width(label(op)) + 12 for op in ops)) / 2)
    panels = [
        _Panel(genotype.normal, "Normal Cell", 1, op_width),
        _Panel(genotype.reduction, "Reduction Cell", 2, op_width),
    ]
    width = sum(panel.width for panel in panels) + BETWEEN + 2 * MARGIN
    drawn = max(panel.height for panel in panels)
    svg, top = page(width, drawn + 100, title, "Normal Cell and Reduction Cell")
    floor = top + drawn
    left = MARGIN
    for panel in panels:
        panel.draw(svg, left, floor)
        left += panel.width + BETWEEN
    _legend(svg, floor + 100 - MARGIN, dead=any(len(panel.cell.live) < len(panel.layout.row_of) for panel in panels))
    return document(svg)


class _Panel:
    """One cell of the picture: measured when made, then drawn where there is room for it."""

    def __init__(self, cell: Cell, name: str, stride: int, op_width: int) -> None:
        self.cell, self.name, self.stride, self.op_width = cell, name, stride, op_width
        self.block_width = 2 * op_width + 3 * PAD
        self.layout = lay_out(cell, INPUT_WIDTH, self.block_width, (op_width + PAD) // 2)
        self.bases = [0]  # row -> how far its lower side is above the inputs' lower side; at the end, the output's
        for row in range(len(self.layout.rows)):
            runs = [self.layout.run(link) for link in self.layout.links if link[0][1] == row]
            # Long sideways runs need height, or they lie flat and hard to follow.
            gap = min(max(44, round(0.2 * max(runs, default=0))), 130)
            self.bases.append(self.bases[row] + self._height(row) + gap)
        self.output_label = "h[i+1] = " + ("concat of states " if len(cell.outputs) > 1 else "state ")
        self.output_label += ", ".join(map(str, cell.outputs))
        self.output_width = round(text_width(self.output_label)) + 24
        self.width = max(self.layout.width, self.output_width)
        self.height = self.bases[-1] + OUTPUT_HEIGHT
        self.left = self.floor = 0

    def draw(self, svg: ET.Element, left: int, floor: int) -> None:
        """Draws with the panel's left side at `left` and the lower side of its inputs at `floor`."""
        self.left, self.floor = left + (self.width - self.layout.width) // 2, floor
        group = add(svg, "g", class_="cell")
        for live in (False, True):  # the grey ones lie below
            self._edges(group, live)
        for state, name in enumerate(INPUT_LABELS):
            self._input(group, state, name)
        for state in range(2, len(self.layout.row_of)):
            self._block(group, state)
        self._output(group, left)
        write(group, self.name, left + self.width // 2, floor + 26, size=16, font_weight="bold")

    @staticmethod
    def _height(row: int) -> int:
        return BLOCK_HEIGHT if row else INPUT_HEIGHT

    def _x(self, state: int, row: int) -> int:
        return self.left + self.layout.x[state, row]

    def _bottom(self, row: int) -> int:
        return self.floor - self.bases[row]

    def _top(self, row: int) -> int:
        return self._bottom(row) - self._height(row)

    def _op_x(self, state: int, side: int) -> int:
        """The middle of an operation; side 0 is the left of the genotype."""
        sign = 1 if (side == 1) != (state in self.layout.mirrored) else -1
        return self._x(state, self.layout.row_of[state]) + sign * (self.op_width + PAD) // 2

    def _edges(self, group: ET.Element, live: bool) -> None:
        end = len(self.layout.rows)
        for state, block in enumerate(self.cell.blocks, 2):
            row = self.layout.row_of[state]
            for side, read in enumerate((block.left, block.right)):
                if (state in self.cell.live) == live:
                    self._edge(group, read, state, row, self._op_x(state, side), self._bottom(row) - PAD)
        for state in self.cell.outputs if live else ():
            self._edge(group, state, None, end, self._x(state, end - 1), self._bottom(end))

    def _edge(self, group: ET.Element, state: int, reader: int | None, row: int, x: int, y: int) -> None:
        """From the top of a state's box through its lanes into the gap below `row`, and on to x, y in that row."""
        own = self.layout.row_of[state]
        route = [f"M{self._x(state, own)} {self._top(own) + (PAD if own else 0)}"]
        for lower in range(own, row):
            at, to = self._x(state, lower), self._x(state, lower + 1) if lower + 1 < row else x
            start, stop = self._top(lower), self._bottom(lower + 1)
            middle = (start + stop) // 2
            route.append(f"V{start}" if at == to else f"V{start}C{at} {middle} {to} {middle} {to} {stop}")
        stroke = INPUT_COLOURS[state] if state < 2 else EDGE
        target = "output" if reader is None else reader
        line = {"data_from": state, "data_to": target, "d": "".join(route) + f"V{y}", "fill": "none"}
        if reader is None or reader in self.cell.live:
            add(group, "path", class_="edge", **line, stroke=stroke, stroke_width=1.6)
        else:
            add(group, "path", class_="edge dead", **line, stroke=DEAD, stroke_width=1.4, stroke_dasharray="5 4")

    def _input(self, group: ET.Element, state: int, name: str) -> None:
        live, colour = state in self.cell.live, INPUT_COLOURS[state]
        middle, top = self._x(state, 0), self._top(0)
        rectangle(group, "input", (middle - INPUT_WIDTH // 2, top, INPUT_WIDTH, INPUT_HEIGHT), (PAPER, colour), live)
        write(group, name, middle, top + INPUT_HEIGHT // 2, fill=colour if live else DEAD_INK)

    def _block(self, cell: ET.Element, state: int) -> None:
        block, live, row = self.cell.blocks[state - 2], state in self.cell.live, self.layout.row_of[state]
        middle, top, ink = self._x(state, row), self._top(row), INK if live else DEAD_INK
        left, roof = middle - self.block_width // 2, top + PAD
        group = add(cell, "g", class_="block" if live else "block dead", data_state=state)
        rectangle(group, "frame", (left, top, self.block_width, BLOCK_HEIGHT), BLOCK, live)
        write(group, f"state {state}", left + PAD - 2, roof + 11, size=10, fill=DEAD_INK, anchor="start")
        for side, (read, op) in enumerate(((block.left, block.left_op), (block.right, block.right_op))):
            x, y = self._op_x(state, side), top + BLOCK_HEIGHT - PAD - OP_HEIGHT
            to = middle + (16 if x > middle else -16)
            wire = f"M{x} {y}C{x} {y - 12} {to} {y - 10} {to} {roof + COMBINER_HEIGHT}"
            add(group, "path", class_="wire", d=wire, fill="none", stroke=EDGE if live else DEAD, stroke_width=1.6)
            box = rectangle(
                group, "op", (x - self.op_width // 2, y, self.op_width, OP_HEIGHT), FAMILIES[family(op)], live
            )
            add(box, "title", f"{op} of state {read}")
            write(group, label(op), x, y + OP_HEIGHT // 2, fill=ink, class_="op")
            if self.stride == 2 and read < 2:
                mark(group, "stride", x + self.op_width // 2 - 6, y + OP_HEIGHT, "/2", ink)
        pill = (middle - COMBINER_WIDTH // 2, roof, COMBINER_WIDTH, COMBINER_HEIGHT)
        rectangle(group, "combiner", pill, COMBINER, live, rx=COMBINER_HEIGHT // 2)
        write(group, block.combine, middle, roof + COMBINER_HEIGHT // 2, fill=ink, class_="combiner")

    def _output(self, group: ET.Element, left: int) -> None:
        """A bar over all the states that are concatenated, so that each edge to it is a straight one."""
        ends = [self._x(state, len(self.layout.rows) - 1) for state in self.cell.outputs]
        width = min(max(self.output_width, max(ends) - min(ends) + 40), self.width)
        x = min(max((min(ends) + max(ends) - width) // 2, left), left + self.width - width)
        top = self._bottom(len(self.layout.rows)) - OUTPUT_HEIGHT
        rectangle(group, "output", (x, top, width, OUTPUT_HEIGHT), OUTPUT)
        write(group, self.output_label, x + width // 2, top + OUTPUT_HEIGHT // 2)


def _legend(svg: ET.Element, y: int, dead: bool) -> None:
    group = add(svg, "g", class_="legend")
    x = MARGIN
    for name, colours in FAMILIES.items():
        rectangle(group, "swatch", (x, y - 8, 22, 16), colours)
        x = caption(group, x + 30, y, name)
    mark(group, "stride", x + 11, y, "/2")
    x = caption(group, x + 30, y, "stride 2")
    if dead:
        rectangle(group, "swatch", (x, y - 8, 22, 16), BLOCK, live=False)
        caption(group, x + 30, y, "reaches no output")
