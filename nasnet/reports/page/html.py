"""HTML as text: every word of a person or of a file is escaped here, and nothing that is written asks for a network."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import TypeGuard

_NOT_TEXT = re.compile("[^\t\n\r -\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Markup(str):
    """Text that is HTML already. Whatever is not one is escaped."""


NOTHING = Markup("")
_LARGEST = 1e300


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value of a file is a number that can be drawn: finite, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def escaped(value: object) -> Markup:
    """A value as HTML: markup as it is, anything else as text. What HTML cannot hold becomes a question mark."""
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(_NOT_TEXT.sub("\ufffd", str(value))))


def element(tag: str, *content: object, **attributes: object) -> Markup:
    """`<tag attribute="...">content</tag>`. An attribute `class_` is written class, `aria_label` aria-label."""
    named = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escaped(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{tag}{named}>{''.join(map(escaped, content))}</{tag}>")


def joined(parts: Iterable[object]) -> Markup:
    """Several after one another."""
    return Markup("\n".join(map(escaped, parts)))


def table(caption: str, head: Sequence[object], rows: Iterable[Sequence[object]], text: int = 1) -> Markup:
    """A table in a frame that scrolls sideways, and takes the keyboard's focus for that.

    Args:
        caption: what it shows.
        head: of the columns.
        rows: the first cell of each names it.
        text: how many of the columns, from the first, hold words; the rest are numbers, to the right.
    """
    kinds = ["words" if place < text else "number" for place in range(len(head))]
    first = element(
        "tr", *(element("th", name, scope="col", class_=kind) for name, kind in zip(head, kinds, strict=True))
    )
    body = [
        element(
            "tr",
            element("th", row[0], scope="row", class_=kinds[0]),
            *(element("td", value, class_=kind) for value, kind in zip(row[1:], kinds[1:], strict=True)),
        )
        for row in rows
    ]
    inner = element("table", element("caption", caption), element("thead", first), element("tbody", *body))
    return element("div", inner, class_="scroll", tabindex="0", role="region", aria_label=caption)


def folded(summary: str, *content: object) -> Markup:
    """What is shown when its line is pressed, by mouse or by keyboard."""
    return element("details", element("summary", summary), *content)


def figure(picture: Markup, caption: str, numbers: Markup | None = None, legend: Markup = NOTHING) -> Markup:
    """A picture with what its colours are, what it shows in words, and its numbers, folded away."""
    more = [] if numbers is None else [folded("The numbers", numbers)]
    return element("figure", picture, legend, element("figcaption", caption), *more)


def section(name: str, title: str, *content: object) -> Markup:
    """A part of the page under a heading, which links can go to."""
    return element(
        "section", element("h2", title, id=f"{name}-title"), *content, id=name, aria_labelledby=f"{name}-title"
    )
