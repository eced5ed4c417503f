"""Any network as a picture: its parts one above the other, with what each makes and weighs. Data flows upwards."""

from __future__ import annotations

from cells.architecture import Architecture
from cells.count import count
from cells.drawing.svg import EDGE, FRAME, FRAME_FILL, MARGIN, PAPER, add, document, page, rectangle, text_width, write

BOX_HEIGHT, GAP, PAD, BETWEEN = 30, 22, 12, 40


def draw(architecture: Architecture, image_shape: tuple[int, int, int], *, title: str = "") -> str:
    """Draws the parts of a network from the image at the bottom to the head at the top.

    What happens inside of a part is not shown: the picture is for networks that are neither of cells nor chains.

    Args:
        architecture: any network.
        image_shape: `(height, width, channels)`.
        title: any text; lines are broken where they would be wider than the picture.

    Returns:
        An SVG document without scripts, style sheets or outside references. The same arguments give the same bytes.

    Raises:
        ValueError: if the network cannot be built for pictures of this size.
    """
    counts = count(architecture, image_shape)
    parameters = dict.fromkeys(architecture.parts, 0)
    for weight in counts.weights:
        if weight.trainable:
            parameters[weight.primitive.split(".")[0]] += weight.size
    rows = [("image", "x".join(map(str, image_shape)), "")]
    for part, weights in parameters.items():
        made = counts.endpoints.get(part) or ((architecture.classes,) if part == architecture.parts[-1] else ())
        rows.append((part, "x".join(map(str, made)), f"{weights:,} parameters"))
    columns = [round(max(text_width(row[place]) for row in rows)) for place in range(3)]
    width = max(sum(columns) + 2 * BETWEEN + 2 * PAD, 240)
    body = len(rows) * (BOX_HEIGHT + GAP) - GAP + MARGIN
    svg, top = page(width + 2 * MARGIN, body, title, architecture.describe())
    group = add(svg, "g", class_="parts")
    places = [MARGIN + PAD, MARGIN + PAD + columns[0] + BETWEEN, MARGIN + width - PAD]
    for row, texts in enumerate(reversed(rows)):
        y = top + row * (BOX_HEIGHT + GAP)
        colours = (PAPER, EDGE) if texts[0] == "image" else (FRAME_FILL, FRAME)
        rectangle(group, "part", (MARGIN, y, width, BOX_HEIGHT), colours)
        for text, x, anchor in zip(texts, places, ("start", "start", "end"), strict=True):
            write(group, text, x, y + BOX_HEIGHT // 2, anchor=anchor)
        if row + 1 < len(rows):
            middle = MARGIN + width // 2
            add(group, "path", class_="edge", d=f"M{middle} {y + BOX_HEIGHT + GAP}V{y + BOX_HEIGHT}", stroke=EDGE)
    return document(svg)
