"""Seeded mutations of files and of command lines: what disks, networks, editors and strangers make of them."""

from __future__ import annotations

import json
import random
from typing import Any

HOSTILE: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2**31, 2**63, 10**30, -(10**18), 0.5, -0.0, 1e308, float("nan"), float("inf")),
    *("", "0", "nan", "../../escaped", "/etc/passwd", "\0", "ä\ud800", "x" * 5000, "--mode=search", "$(touch escaped)"),
    *([], {}, [[]], [None], {"": None}, [1, "a"], {"class_name": "Lambda", "config": {}, "module": "keras.layers"}),
)
"""Values of every type, put in the place of any value."""

TEXTS = ("", "0", "-1", "1e400", "nan", "1" * 5000, "../../escaped", "ä", "true", "digits")
"""Values that no flag takes, or few do."""


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A file's content with something wrong: of its bytes, its lines or, where it is JSON, its values."""
    text = _as_text(content)
    if text is None:
        return rng.choice((_flipped, _cut, _overwritten, _emptied))(content, rng)
    ways = (_flipped, _cut, _encoded, _emptied, _lines, _lines)
    if content[:1] in b"{[" and rng.random() < 0.75:
        return _values(text, rng)
    return rng.choice(ways)(content, rng)


def _as_text(content: bytes) -> str | None:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _flipped(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 3, 20))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(content: bytes, rng: random.Random) -> bytes:
    end = rng.randrange(len(content) + 1)
    return content[:end] if rng.random() < 0.7 else content[end:]


def _overwritten(content: bytes, rng: random.Random) -> bytes:
    changed, length = bytearray(content), rng.choice((4, 8, 100))
    at = rng.randrange(len(content) + 1)
    changed[at : at + length] = rng.choice((b"\xff", b"\0")) * length
    return bytes(changed)


def _emptied(content: bytes, rng: random.Random) -> bytes:
    return rng.choice((b"", b"\n", b"\0" * 100, content + content, b"\x80\x04\x95", b"PK\3\4"))


def _encoded(content: bytes, rng: random.Random) -> bytes:
    return content.decode().encode(rng.choice(("utf-16", "utf-8-sig", "utf-32"))) if rng.random() < 0.8 else b"\xe4"


def _lines(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(5):
        case 0:
            lines.insert(to, lines[at])
        case 1:
            lines[at], lines[to] = lines[to], lines[at]
        case 2:
            del lines[at]
        case 3:
            lines[at] = lines[at].replace(b",", b";").replace(b"0", b"9" * rng.choice((1, 400)), 1)
        case 4:
            try:
                lines[at] = _values(lines[at].decode(), rng)
            except ValueError:
                lines[at] += b"\r"
    return b"\n".join(lines)


def _values(text: str, rng: random.Random) -> bytes:
    """JSON with one or a few of its values, or keys, others; or nested deeper than any reader's stack."""
    if rng.random() < 0.06:
        opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
        depth = rng.choice((500, 100_000))
        return (opening * depth + "1" + closing * depth * (rng.random() < 0.5)).encode()
    if (line := text.partition("\n")[0]) and text.count("\n") > 1 and line.endswith("}"):
        return _lines(text.encode(), rng)
    value = json.loads(text)
    for _ in range(rng.choice((1, 1, 2, 5))):
        value = _changed(value, rng)
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _changed(value: Any, rng: random.Random) -> Any:  # noqa: ANN401 - any JSON
    inside = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    if not inside or rng.random() < 0.12:
        if type(value) is int and rng.random() < 0.4:
            return rng.choice((value + 1, value - 1, -value, value * 10**9, str(value), float(value)))
        return rng.choice(HOSTILE)
    key, of = rng.choice(inside)
    drawn = rng.random()
    if isinstance(value, dict) and drawn < 0.15:
        return {name: item for name, item in value.items() if name != key}
    if isinstance(value, dict) and drawn < 0.22:
        return {**value, rng.choice(("unknown", "", "version", "kind")): rng.choice(HOSTILE)}
    if isinstance(value, list) and drawn < 0.2:
        return rng.choice((value + [of], value[::-1], value[:-1], [*value] * 50))
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[key] = _changed(of, rng)
    return changed


def command_line(names: list[str], modes: tuple[str, ...], rng: random.Random) -> list[str]:
    """Flags with values of every kind, some of them of no flag."""
    given = [f"--mode={rng.choice((*modes, 'nothing'))}"]
    for _ in range(rng.choice((1, 1, 2, 4))):
        value = rng.choice(TEXTS)
        given.append(rng.choice((f"--{rng.choice(names)}={value}", f"--{rng.choice(names)}", f"--no{value}", value)))
    return given
