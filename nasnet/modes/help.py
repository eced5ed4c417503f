"""What `--help` prints: the flags under what they are about, all or those of one mode. No TensorFlow."""

from __future__ import annotations

import itertools
import textwrap

from nasnet.modes.flags import MODES, RUN_FLAGS, Flag, flags

_WIDTH = 100  # characters a line
_VALUES = {int: "=N", float: "=X", str: "=TEXT"}


def help_text(mode: str | None) -> str:
    """The help of one mode, or of all: first how to call it, then each flag once."""
    named = mode or "MODE"
    lines = [f"python train.py --mode={named} [--FLAG=VALUE ...]"]
    if mode is None:
        lines.append("python train.py --mode=MODE --help shows the flags of that mode alone")
    shown = (*RUN_FLAGS, *flags((mode,) if mode else MODES))
    for title, of_title in itertools.groupby(shown, lambda flag: flag.title):
        lines += ["", f"{title}:"]
        for flag in of_title:
            lines += [
                f"  {_form(flag)}",
                textwrap.fill(flag.help, _WIDTH, initial_indent="      ", subsequent_indent="      "),
            ]
    return "\n".join(lines)


def _form(flag: Flag) -> str:
    """How a flag is written, such as --epochs=N or --[no]flip."""
    if flag.kind is bool:
        return f"--[no]{flag.name}"
    return f"--{flag.name}" + (f"={'|'.join(flag.choices)}" if flag.choices else _VALUES[flag.kind])
