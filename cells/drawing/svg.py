"""Boxes and lines of text as elements of an SVG."""

from __future__ import annotations

import re
import textwrap
import xml.etree.ElementTree as ET

MARGIN = 24
TITLE_SIZE = 17
FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


INK, EDGE, FRAME, FRAME_FILL, PAPER = "#1f2328", "#59636e", "#c6ccd3", "#f7f8fa", "#ffffff"


DEAD, DEAD_INK = "#b4bac1", "#6e7781"


def page(width: int, body: int, title: str, name: str) -> tuple[ET.Element, int]:
    """An empty picture with a title, and at what height there is room for `body` pixels of drawing.

    Args:
        width: of the picture, in pixels.
        body: height of what is drawn under the title, with the margin below it.
        title: any text; lines are broken where they would be wider than the picture.
        name: what the picture is called where there is no title.
    """
    title = re.sub(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", title)  # what XML cannot hold
    lines = textwrap.wrap(title, (width - 2 * MARGIN) // TITLE_SIZE)  # no character is wider than it is high
    top = MARGIN + (28 * len(lines) + 14 if lines else 0)
    height = top + body
    svg = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "width": str(width),
            "height": str(height),
            "viewBox": f"0 0 {width} {height}",
            "role": "img",
            "font-family": FONT,
        },
    )
    add(svg, "title", title or name)
    add(svg, "rect", class_="paper", width=width, height=height, fill=PAPER)  # or a dark page would show through
    for index, line in enumerate(lines):
        write(svg, line, MARGIN, MARGIN + 10 + 28 * index, size=TITLE_SIZE, anchor="start", font_weight="bold")
    return svg, top


def document(svg: ET.Element) -> str:
    """The picture as the text of a file."""
    ET.indent(svg)
    return ET.tostring(svg, encoding="unicode") + "\n"


def rectangle(
    parent: ET.Element,
    kind: str,
    place: tuple[int, int, int, int],
    colours: tuple[str, str],
    live: bool = True,
    rx: int = 5,
) -> ET.Element:
    """A rectangle at left, top, width, height. What is not live is grey and dashed, whatever its colours."""
    fill, stroke = colours if live else (FRAME_FILL, DEAD)
    dashes = {} if live else {"stroke_dasharray": "5 4"}
    x, y, width, height = place
    return add(
        parent, "rect", class_=kind, x=x, y=y, width=width, height=height, rx=rx, fill=fill, stroke=stroke, **dashes
    )


def caption(group: ET.Element, x: int, y: int, text: str) -> int:
    """A word of a legend; where the next may begin."""
    write(group, text, x, y, anchor="start")
    return x + round(text_width(text)) + 20


def mark(group: ET.Element, kind: str, x: int, y: int, text: str, ink: str = INK) -> None:
    """A dark pill with a short text, its middle at x, y."""
    width = max(22, round(text_width(text, 10)) + 8)
    add(group, "rect", class_=kind, x=x - width // 2, y=y - 7, width=width, height=14, rx=7, fill=ink)
    write(group, text, x, y, size=10, fill=PAPER, font_weight="bold")


def write(
    parent: ET.Element,
    text: str,
    x: int,
    y: int,
    size: int = 12,
    fill: str = INK,
    anchor: str = "middle",
    **more: object,
) -> None:
    """A line of text whose middle is at height `y`. (dominant-baseline would say so, but not every reader knows it.)"""
    add(parent, "text", text, x=x, y=y + round(0.35 * size), font_size=size, fill=fill, text_anchor=anchor, **more)


def text_width(text: str, size: int = 12) -> float:
    """About the width in pixels of a text of ours in DejaVu Sans, the widest font of `FONT`."""
    return 0.62 * size * len(text)


def add(parent: ET.Element, tag: str, text: str | None = None, **attributes: object) -> ET.Element:
    """A child element. `class_` is written class, `stroke_width` stroke-width."""
    named = {name.rstrip("_").replace("_", "-"): str(value) for name, value in attributes.items()}
    element = ET.SubElement(parent, tag, named)
    element.text = text
    return element
