"""Pictures as SVG inside of a page: Matplotlib's, and the drawings of networks, in the page's own colours and words."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

from cells.drawing import svg as drawn
from nasnet.reports.page.html import Markup, element, escaped

COLOURS = ("ink", "muted", "line", "paper", "panel", "one", "two", "three", "four", "bad")
"""Names of the page's colours: `style.py` says what each is, in the light and in the dark."""
COLOUR = {name: f"#0{place:x}0{place:x}0{place:x}" for place, name in enumerate(COLOURS, 1)}
"""What a colour is called while Matplotlib draws: a stand-in, which becomes the page's own."""
_OF_DRAWINGS = {
    drawn.INK: "ink",
    drawn.EDGE: "muted",
    drawn.FRAME: "line",
    drawn.FRAME_FILL: "panel",
    drawn.PAPER: "paper",
    drawn.DEAD: "line",
    drawn.DEAD_INK: "muted",
    "#e6e9ed": "output",
    "#cfe3fb": "separable",
    "#fddfbd": "convolution",
    "#d3edcd": "pooling",
    "#f4eeb0": "identity",
    "#0b6e75": "first",
    "#a1286a": "second",
    "#8a5a00": "two",
    "#3d5fc9": "one",
    "#7a3e9d": "four",
    "#3a7d34": "three",
}
"""The colours of `cells/drawing`, which are made for white paper -> those of the page."""
_SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "report", "font.size": 11.0, "text.parse_math": False}
_NUMBER = re.compile(r"(\d+\.\d)\d+")
_DOT = re.compile(r"M (-?\d+(?:\.\d)?)(\d*) (-?\d+(?:\.\d)?)(\d*) \nL \1\2 \3\4 \n?")
_SPACE = re.compile(r"\s*([MLzCQ])\s*")


def settings() -> Any:  # noqa: ANN401 - matplotlib's own context
    """What Matplotlib is told while a picture is drawn: a context manager."""
    import matplotlib

    return matplotlib.rc_context(_SETTINGS)


def plotted(figure: Any, name: str, title: str, words: Mapping[str, str] | None = None) -> Markup:  # noqa: ANN401
    """A Matplotlib figure as an element of a page.

    Args:
        figure: drawn with the stand-ins of `COLOUR`.
        name: another one for each picture of a page: its ids begin with it.
        title: what it shows, for those who do not see it.
        words: stand-ins of texts that are not ours -> those texts. Matplotlib measures texts, and has not every letter.
    """
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'\bd="([^"]*)"', lambda path: f'd="{_shorter(path[1])}"', text)
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda mark: f' id="{name}-{mark[1]}"' if mark[1] in used else "", text)
    text = re.sub(r'(href="|url\()#', rf"\1#{name}-", text).replace("xlink:href", "href")
    text = re.sub(r">\s+<", "><", text)
    for colour, stand_in in COLOUR.items():
        text = text.replace(stand_in, f"var(--c-{colour})")
    for stand_in, word in (words or {}).items():
        text = text.replace(f">{stand_in}<", f">{escaped(word)}<")
    return _titled(text, name, title, "plot")


def drawing(svg: str, name: str, title: str) -> Markup:
    """A drawing of `cells/drawing` as an element of a page."""
    text = re.sub(
        r'(fill|stroke)="(#[0-9a-f]{6})"',
        lambda of: f'{of[1]}="var(--c-{_OF_DRAWINGS[of[2]]})"' if of[2] in _OF_DRAWINGS else of[0],
        svg[svg.index("<svg") :],
    )
    text = re.sub(r"<title>.*?</title>", "", text, count=1, flags=re.DOTALL)
    return _titled(re.sub(r">\s+<", "><", text), name, title, "drawing")


def _titled(text: str, name: str, title: str, kind: str) -> Markup:
    """The same with a title; without what is said of SVG files alone, and without a size of its own but its shape."""
    head, rest = text.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    assert box is not None
    width = round(float(box[0].split()[2]))
    named = element("title", title, id=f"{name}-words")
    opened = f'<svg class="{kind}" role="img" aria-labelledby="{name}-words" {box[0]} style="--c-width:{width}px">'
    return Markup(f"{opened}{named}{rest}".strip())


def _shorter(path: str) -> str:
    """A path to a tenth of a point; a dot, which is a line of no length, in a word."""
    return _SPACE.sub(r"\1", _NUMBER.sub(r"\1", _DOT.sub(r"M\1 \3h0", path))).strip()
