"""The page around a report: its colours in the light and in the dark, on any width; it asks for no network."""

from __future__ import annotations

from collections.abc import Sequence

from nasnet.reports.page.html import Markup, element, escaped, joined

_LIGHT = {
    "ink": "#1f2328", "muted": "#59636e", "line": "#d0d7de", "paper": "#ffffff", "panel": "#f6f8fa",
    "one": "#0969da", "two": "#bc4c00", "three": "#1a7f37", "four": "#8250df", "bad": "#cf222e",
    "output": "#e6e9ed", "separable": "#cfe3fb", "convolution": "#fddfbd", "pooling": "#d3edcd", "identity": "#f4eeb0",
    "first": "#0b6e75", "second": "#a1286a",
}  # fmt: skip
_DARK = {
    "ink": "#e6edf3", "muted": "#9aa4af", "line": "#3d444d", "paper": "#0d1117", "panel": "#161b22",
    "one": "#58a6ff", "two": "#f0883e", "three": "#3fb950", "four": "#b58cff", "bad": "#ff7b72",
    "output": "#2b323b", "separable": "#173a63", "convolution": "#58360f", "pooling": "#1d4420", "identity": "#4a4512",
    "first": "#5fd0d8", "second": "#f48fc2",
}  # fmt: skip


def _colours(of: dict[str, str]) -> str:
    return "".join(f"--c-{name}:{colour};" for name, colour in of.items())


_STYLE = f"""
:root{{color-scheme:light dark;{_colours(_LIGHT)}}}
@media (prefers-color-scheme:dark){{:root{{{_colours(_DARK)}}}}}
*{{box-sizing:border-box}}
body{{margin:0;background:var(--c-paper);color:var(--c-ink);
font:16px/1.5 system-ui,"Segoe UI",Helvetica,Arial,sans-serif;overflow-wrap:anywhere}}
header,main,nav,footer{{max-width:1080px;margin:0 auto;padding:0 16px}}
.skip{{position:absolute;left:-9999px}}
.skip:focus{{left:8px;top:8px;padding:8px;background:var(--c-paper);z-index:1}}
h1{{font-size:1.6rem;line-height:1.25;margin:24px 0 8px}}
h2{{font-size:1.25rem;margin:40px 0 8px;padding-top:8px;border-top:1px solid var(--c-line)}}
h3{{font-size:1.05rem;margin:24px 0 8px}}
a{{color:var(--c-one)}}
:focus-visible{{outline:3px solid var(--c-one);outline-offset:2px}}
nav ul{{list-style:none;padding:0;margin:8px 0;display:flex;flex-wrap:wrap;gap:4px 16px}}
.lead{{font-size:1.1rem;margin:8px 0 16px}}
.facts{{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:8px;margin:16px 0}}
.facts div{{background:var(--c-panel);border:1px solid var(--c-line);border-radius:8px;padding:8px 12px}}
.facts dt{{color:var(--c-muted);font-size:.85rem}}
.facts dd{{margin:0;font-size:1.15rem;font-weight:600}}
.facts small{{display:block;font-weight:400;font-size:.8rem;color:var(--c-muted)}}
.pair{{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:8px 24px;align-items:start}}
figure{{margin:8px 0 16px;min-width:0}}
figcaption,.note{{color:var(--c-muted);font-size:.9rem}}
figcaption{{margin:4px 0}}
.plot{{display:block;width:100%;height:auto;max-width:600px}}
.plot *{{stroke-linejoin:round}}
.plot text{{font-family:system-ui,"Segoe UI",Helvetica,Arial,sans-serif!important}}
.scroll{{overflow-x:auto;max-width:100%;margin:0 0 12px}}
.drawing{{display:block;height:auto;width:max(100%,min(var(--c-width),900px));max-width:var(--c-width)}}
table{{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}}
caption{{text-align:left;color:var(--c-muted);padding:4px 0}}
th,td{{padding:4px 10px;border-bottom:1px solid var(--c-line);text-align:left;vertical-align:top;font-weight:400}}
thead th{{font-weight:600;border-bottom:2px solid var(--c-line)}}
.number{{text-align:right;white-space:nowrap}}
td.words,th.words{{min-width:7em}}
summary{{cursor:pointer;padding:4px 0;color:var(--c-one)}}
pre{{background:var(--c-panel);border:1px solid var(--c-line);border-radius:8px;padding:12px;
overflow-x:auto;overflow-wrap:normal}}
.key{{display:inline-block;width:22px;height:0;border-top:3px solid;vertical-align:middle;margin-right:6px}}
.dot{{display:inline-block;width:9px;height:9px;border-radius:50%;background:currentColor;margin:0 8px 1px 6px}}
.keys{{list-style:none;display:flex;flex-wrap:wrap;gap:2px 18px;padding:0;margin:4px 0;font-size:.9rem}}
@media print{{nav,.skip{{display:none}}}}
"""
# No script runs and nothing is fetched, whatever a name that is shown in here should be taken for.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(title: str, lead: Sequence[object], sections: Sequence[tuple[str, str, Markup]], footer: str) -> str:
    """The whole file.

    Args:
        title: of the page.
        lead: what stands under it.
        sections: the id, the name for the list of links, and the markup of each.
        footer: the last line.
    """
    links = element("ul", *(element("li", element("a", name, href=f"#{id_}")) for id_, name, _ in sections if name))
    body = joined(
        (
            element("a", "Skip to the report", class_="skip", href="#main"),
            element("header", element("h1", title), *lead),
            element("nav", links, aria_label="Sections"),
            element("main", joined(part for *_, part in sections), id="main", tabindex="-1"),
            element("footer", element("p", footer, class_="note")),
        )
    )
    head = (
        '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{escaped(title)}</title>\n<style>{_STYLE}</style>"
    )
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'


def keys(*of: tuple[str, str, str]) -> Markup:
    """What the lines and dots of a picture are: `line` or `dot`, a colour's name, and the words."""
    items = []
    for kind, colour, words in of:
        shape, _, dashes = kind.partition(" ")
        style = f"color:var(--c-{colour})" + (f";border-top-style:{dashes}" if dashes else "")
        swatch = element("span", class_="key" if shape == "line" else "dot", style=style, aria_hidden="true")
        items.append(element("li", swatch, words))
    return element("ul", *items, class_="keys")
