"""A page, read as a browser reads it."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

VOID = ("meta", "link", "br", "hr", "img", "input")


@dataclasses.dataclass
class Tag:
    """An element: its name, attributes, what it holds."""

    name: str
    attributes: dict[str, str | None]
    inside: list[Tag | str] = dataclasses.field(default_factory=list)

    @property
    def text(self) -> str:
        """All of its text, the spaces as a browser shows them."""
        said = "".join(part if isinstance(part, str) else f" {part.text} " for part in self.inside)
        return " ".join(said.split())

    def all(self, name: str) -> list[Tag]:
        """Every element of this name inside of it."""
        found: list[Tag] = []
        for part in self.inside:
            if isinstance(part, Tag):
                found += [part] * (part.name == name) + part.all(name)
        return found

    def table(self, caption: str) -> list[list[str]]:
        """The rows of the only table whose caption begins so, its head first."""
        [found] = [of for of in self.all("table") if of.all("caption")[0].text.startswith(caption)]
        return [[cell.text for cell in row.inside if isinstance(cell, Tag)] for row in found.all("tr")]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Tag("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Tag(tag, dict(attrs))
        assert len(made.attributes) == len(attrs), f"an attribute stands twice in {tag}"
        self.open[-1].inside.append(made)
        if tag not in VOID:
            self.open.append(made)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].inside.append(Tag(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.open[-1].inside.append(data)


def read_part(text: str) -> Tag:
    """A part of a page. Raises AssertionError where an element is not closed."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    [part] = reader.open
    return part


def read_page(text: str) -> Tag:
    """A whole page. Raises AssertionError as `read_part` and `check_page`."""
    page = read_part(text)
    check_page(page, text)
    return page


def check_page(page: Tag, text: str) -> None:
    """Nothing is asked for from elsewhere, nothing runs, ids are one each, pictures have words, tables heads."""
    every = [page, *_below(page)]
    assert not {tag.name for tag in every} & {"script", "link", "iframe", "object", "embed", "img", "image", "base"}
    for tag in every:
        for name, value in tag.attributes.items():
            assert not name.startswith("on"), (tag.name, name)
            if name in ("src", "href", "xlink:href", "data", "action", "poster", "srcset"):
                assert (value or "").startswith("#"), (tag.name, name, value)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))
    assert "@import" not in text
    ids = [tag.attributes["id"] for tag in every if "id" in tag.attributes]
    assert len(ids) == len(set(ids))
    for tag in every:
        for name in ("href", "aria-labelledby"):
            if name in tag.attributes:
                assert (tag.attributes[name] or "").removeprefix("#") in ids, (tag.name, tag.attributes)
    for svg in page.all("svg"):
        assert svg.attributes["role"] == "img"
        assert svg.all("title")[0].text
    for of in page.all("table"):
        assert of.all("caption")[0].text
        assert all(head.attributes["scope"] in ("col", "row") for head in of.all("th"))
        assert len({len([part for part in row.inside if isinstance(part, Tag)]) for row in of.all("tr")}) == 1
    assert len(page.all("main")) == len(page.all("h1")) == len(page.all("head")[0].all("title")) == 1
    assert page.all("html")[0].attributes["lang"] == "en"


def _below(tag: Tag) -> list[Tag]:
    found: list[Tag] = []
    for part in tag.inside:
        if isinstance(part, Tag):
            found += [part, *_below(part)]
    return found
