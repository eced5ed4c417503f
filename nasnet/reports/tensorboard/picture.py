"""The SVG of a network's drawing as pixels: TensorBoard shows no other pictures. No TensorFlow."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from typing import Any

_SVG = "{http://www.w3.org/2000/svg}"
_STEP = re.compile(r"([MLHVCQ])([-\d. ]+)")
_POINTS = 72  # of an inch: a pixel of the drawing is one
_ANCHORS = {"start": "left", "middle": "center", "end": "right"}


def png(svg: str, scale: float = 1.0) -> bytes:
    """A drawing of `cells/drawing` as a PNG, each of its pixels `scale` wide and high.

    Raises:
        ValueError: for an element, or a step of a path, that those drawings do not have.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    root = ET.fromstring(svg)
    width, height = (int(root.get(side, "")) for side in ("width", "height"))
    figure = Figure(figsize=(width / _POINTS, height / _POINTS), dpi=scale * _POINTS)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    for element in root.iter():
        tag = element.tag.removeprefix(_SVG)
        if tag == "rect":
            _rectangle(axes, element)
        elif tag == "path":
            _path(axes, element)
        elif tag == "text":
            _text(axes, element)
        elif tag not in ("svg", "g", "title"):
            raise ValueError(f"<{tag}> is no element of a drawing")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=scale * _POINTS)
    return buffer.getvalue()


def _number(element: ET.Element, name: str, default: float = 0.0) -> float:
    return float(element.get(name, default))


def _line(element: ET.Element) -> dict[str, Any]:
    dashes, width = element.get("stroke-dasharray"), _number(element, "stroke-width", 1.0)
    # Matplotlib's are in widths of the line.
    style = (0, tuple(float(dash) / width for dash in dashes.split())) if dashes else "solid"
    return {"edgecolor": element.get("stroke", "none"), "linewidth": width, "linestyle": style}


def _rectangle(axes: Any, element: ET.Element) -> None:  # noqa: ANN401 - Matplotlib has few types
    from matplotlib.patches import FancyBboxPatch

    x, y, width, height, radius = (_number(element, name) for name in ("x", "y", "width", "height", "rx"))
    style = f"round,pad=0,rounding_size={radius}" if radius else "square,pad=0"
    fill = element.get("fill", "none")
    axes.add_artist(FancyBboxPatch((x, y), width, height, boxstyle=style, facecolor=fill, **_line(element)))


def _path(axes: Any, element: ET.Element) -> None:  # noqa: ANN401
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    route = element.get("d", "")
    if _STEP.sub("", route).strip():
        raise ValueError(f"{route!r} has a step that no drawing has")
    points: list[tuple[float, float]] = []
    codes: list[Any] = []
    for step, text in _STEP.findall(route):
        numbers = [*map(float, text.split())]
        if step in "HV":
            x, y = points[-1]
            numbers = [numbers[0], y] if step == "H" else [x, numbers[0]]
        found = [*zip(numbers[::2], numbers[1::2], strict=True)]
        points += found
        kinds = {"M": Path.MOVETO, "C": Path.CURVE4, "Q": Path.CURVE3}
        codes += [kinds.get(step, Path.LINETO)] * len(found)
    axes.add_artist(PathPatch(Path(points, codes), facecolor=element.get("fill", "none"), **_line(element)))


def _text(axes: Any, element: ET.Element) -> None:  # noqa: ANN401
    size = _number(element, "font-size")
    axes.text(
        _number(element, "x"),
        _number(element, "y"),
        element.text or "",
        color=element.get("fill"),
        fontsize=size,
        fontweight=element.get("font-weight", "normal"),
        ha=_ANCHORS[element.get("text-anchor", "start")],
        va="baseline",
        parse_math=False,
    )
