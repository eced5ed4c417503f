"""What a person is told to type: what `--help` prints, and the command that goes on after a run. No TensorFlow."""

from __future__ import annotations

import importlib.metadata
import itertools
import os
import platform
import shlex
import shutil
import sys
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path

from nasnet.data.config import DataConfig
from nasnet.modes.flags import GROUPS, MODES, ONLY_SAY, RUN_FLAGS, Flag, RunConfig, flag_names, flags, resolve
from nasnet.runtime.console import say
from nasnet.training.config import RecipeConfig

_WIDTH = 100  # characters a line
_VALUES = {int: "=N", float: "=X", str: "=TEXT"}
_OWN_SIDE = 32  # pixels that own pictures, which are of many sizes, are made after a search; the network's, if larger
_SCRIPT = Path(__file__).resolve().parents[2] / "train.py"
_SHORTEST = {
    "search": ("find a network, train it and export it", ""),
    "train": ("train a published network, or one that was found", "--model=nasnet_a"),
    "evaluate": ("score a trained network, class by class", "--from=runs/search"),
    "predict": ("name what pictures show", "--from=runs/search PATH"),
    "export": ("make of a trained network a folder to serve it from", "--from=runs/train"),
    "finetune": ("train a network on, on other pictures", "--from=runs/search/best"),
    "tune": ("find a recipe for that", "--from=runs/search/best"),
    "compare": ("train several networks and tell them apart", "--models=resnet20,nasnet_a"),
    "report": ("draw a search as one page, also while it runs", "--workdir=runs/search"),
    "count": ("count a network's parameters and mult-adds", "--model=nasnet_a"),
    "table": ("show the papers' numbers beside this program's", ""),
}
"""What each mode does, and the flags of its shortest command: on the embedded digits, where it takes pictures."""


def modes_text() -> str:
    """What the modes are and the shortest command of each, for who calls the program with nothing."""
    program = shlex.join(_program())
    lines = [f"{program} --mode=MODE [--FLAG=VALUE ...]; the modes, with the shortest command of each:", ""]
    for mode, (what, words) in _SHORTEST.items():
        lines += [f"{mode}: {what}", f"    {program} {f'--mode={mode} {words}'.strip()}"]
    return "\n".join(
        [
            *lines,
            "",
            "pictures are the embedded digits, or your own, a folder for each class, PATH/CLASS/*.png:",
            "    --dataset=folder:PATH --image_size=32",
            "all flags of a mode, such as search:",
            f"    {program} --mode=search --help",
        ]
    )


def versions_text() -> str:
    """The versions of this program and of what its numbers hang on; none of it is imported."""
    project = _SCRIPT.parent / "pyproject.toml"  # where it runs from its sources; else it is installed
    own = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"] if project.exists() else None
    libraries = {"TensorFlow": _version("tensorflow"), "Keras": _version("keras")}
    versions = {"nasnet": own or _version("nasnet"), **libraries, "Python": platform.python_version()}
    return "\n".join(f"{name} {number}" for name, number in versions.items())


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "is not installed"


def help_text(mode: str | None) -> str:
    """The help of one mode, or of all: first how to call it, then each flag once."""
    named = mode or "MODE"
    paths = {"predict": " PATH ...", "report": " [WORKDIR ...]"}.get(mode or "", "")
    lines = [f"python train.py --mode={named} [--FLAG=VALUE ...]{paths}"]
    if mode is None:
        lines.append("python train.py --mode=MODE --help shows the flags of that mode alone, --version the versions")
    run = (flag for flag in RUN_FLAGS if flag.name != "quiet" or mode not in ONLY_SAY)
    shown = (*run, *flags((mode,) if mode else MODES))
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


def command_after(config: RunConfig, workdir: Path, mode: str, given: Mapping[str, object]) -> str:
    """The command of another mode that goes on from a run, as a shell takes it.

    Args:
        config: of the run. Its pictures are the command's unless `given` names others, and its seed is where the mode
            trains.
        workdir: of the run. The command's is a folder beside it that is not there yet, named by the mode.
        mode: of the command.
        given: flags of the command that come with this run. What is unset or the mode's default is left out.
    """
    defaults = resolve(mode, 0, {}).values
    carried = () if "dataset" in given else flag_names(DataConfig).values()
    pictures = {name: config.values[name] for name in carried if name in defaults}
    seed = {"seed": config.seed} if RecipeConfig in GROUPS[mode] and config.seed else {}
    values = {**pictures, **given, **seed}
    words = [_word(name, value) for name, value in values.items() if value not in (None, defaults.get(name))]
    return shlex.join([*_program(), f"--mode={mode}", *words, f"--workdir={_free(workdir.parent, mode)}"])


def command_again(config: RunConfig, workdir: Path) -> str:
    """The command that makes the same run anew, in a folder beside its own, as a shell takes it.

    What a recipe set is given flag by flag: its file may be another one by now. Where this machine decides what is
    unset, that is given as it was.
    """
    values = {name: value for name, value in config.values.items() if name != "recipe"}
    space = {"space": values["space"]} if "space" in values else {}
    defaults = resolve(config.mode, config.seed, space).values
    given = {name: value for name, value in values.items() if value is not None and value != defaults[name]}
    if space != {name: resolve(config.mode, 0, {}).values[name] for name in space}:
        given |= space
    if values.get("rungs") is not None:
        given.pop("steps", None)  # which the rungs say
    elif values.get("steps") is None and defaults.get("steps") is not None:
        given["epochs"] = values["epochs"]  # which sets the steps aside
    # The first is another default on another machine, the second has been another one.
    given |= {name: values[name] for name in ("deterministic", "strategy") if values.get(name) is not None}
    words = [_word(name, given[name]) for name in values if name in given]
    seed = [f"--seed={config.seed}"]
    folder = f"--workdir={_free(workdir.parent, f'{workdir.name}_again')}"
    return shlex.join([*_program(), f"--mode={config.mode}", *words, *seed, folder])


def say_after_search(config: RunConfig, workdir: Path, side: int) -> None:
    """Says the commands that go on with `workdir/best`: after a search on own pictures, to name what others show, too.

    Args:
        config: of the search.
        workdir: of the search.
        side: pixels of the network's pictures, along the longer side.
    """
    if config.group(DataConfig).dataset.startswith("folder:"):
        say("next, name what other pictures show, PATH being a file or a folder of them:")
        say(f"  {command_after(config, workdir, 'predict', {'from': workdir})} PATH")
    own = {"from": workdir / "best", "dataset": "folder:PATH", "image_size": max(_OWN_SIDE, side)}
    say("next, fine-tune it on your own pictures, a folder for each class, PATH/CLASS/*.png:")
    say(f"  {command_after(config, workdir, 'finetune', own)}")


def _word(name: str, value: object) -> str:
    return f"--{'' if value else 'no'}{name}" if isinstance(value, bool) else f"--{name}={value}"


def _free(parent: Path, name: str) -> Path:
    """The first of `name`, `name_2`, `name_3`, ... in a folder that is not there."""
    names = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
    return next(path for path in (parent / name for name in names) if not os.path.lexists(path))


def _program() -> list[str]:
    """How this program is called from here: with this Python, which `python` need not be where nothing is activated."""
    found = shutil.which("python")
    same = found is not None and Path(found).absolute() == Path(sys.executable).absolute()
    return ["python" if same else _from_here(Path(sys.executable)), _from_here(_SCRIPT)]


def _from_here(path: Path) -> str:
    """A path, relative where it lies below this folder."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
