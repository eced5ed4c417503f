"""Boxes and lines of text as elements of an SVG."""

from __future__ import annotations

import xml.etree.ElementTree as ET

FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


INK, EDGE, FRAME, FRAME_FILL, PAPER = "#1f2328", "#59636e", "#c6ccd3", "#f7f8fa", "#ffffff"


DEAD, DEAD_INK = "#b4bac1", "#6e7781"


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
