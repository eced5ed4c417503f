"""Find a network on your own data, train it, export it, fine-tune it, count it. See the README."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import signal
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from absl import flags

from nasnet.modes.count import list_models, lists_models
from nasnet.modes.flags import (
    ONCE,
    ONLY_SAY,
    RUN_FLAGS,
    WITH_PATHS,
    WITHOUT_TENSORFLOW,
    Flag,
    RunConfig,
    in_flags,
    resolve,
)
from nasnet.modes.flags import flags as config_flags
from nasnet.modes.help import help_text, modes_text, versions_text
from nasnet.modes.inputs import check_inputs
from nasnet.modes.runners import makes_table, needs_tensorflow, runner
from nasnet.modes.workdir import check_workdir, resolved_before
from nasnet.runtime import devices
from nasnet.runtime.console import be_quiet, close_output, complain, open_streams, say, stderr_to
from nasnet.runtime.environment import check_temporary_folder, import_keras, set_variables
from nasnet.runtime.errors import PeerGone, RunError, UserError
from nasnet.runtime.files import check_utf8, expanded
from nasnet.runtime.signals import Stopped

_VERSION = "--version"
_HELP = ("--help", "-help", "-h", "--helpfull")
_CLOSED_PIPE = 128 + signal.SIGPIPE


class _Parser(flags.ArgumentParser):
    """A flag's text, read by its own words and not by absl's."""

    def __init__(self, flag: Flag) -> None:
        self._flag = flag

    def parse(self, argument: Any) -> Any:  # noqa: ANN401 - as absl's; a default comes as a value
        return self._flag.read(argument) if isinstance(argument, str) else argument


def define_flags() -> tuple[str, ...]:
    """Defines every flag; returns the names of those that a config's field makes."""
    for flag in (*RUN_FLAGS, *config_flags()):
        if flag.kind is bool:
            flags.DEFINE_boolean(flag.name, flag.default, flag.help)
            flags.FLAGS[flag.name].parser = _Parser(flag)
        else:
            flags.DEFINE(_Parser(flag), flag.name, flag.default, flag.help, serializer=flags.ArgumentSerializer())
    return tuple(flag.name for flag in config_flags())


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Holds back what TensorFlow's libraries write while they load, where no setting reaches; not if that fails."""
    with tempfile.TemporaryFile() as held:
        try:
            with stderr_to(held):
                yield
        except UserError:
            raise  # it says all
        except BaseException:
            held.seek(0)
            os.write(2, held.read())
            raise


def main(argv: list[str]) -> int:
    """Runs one mode.

    Returns:
        The exit code: 0, 1 for a run that failed, 2 for bad input, 130 or 143 for one stopped, 141 for one whose
        reader went away, as `| head` does.
    """
    open_streams()
    try:
        _main(argv)
    except flags.Error as error:
        complain(f"train.py: {' '.join(str(error).split())}")
        return 2
    except UserError as error:
        complain(f"train.py: {in_flags(error)}")
        return 2
    except RunError as error:
        complain(f"train.py: {error}")
        if isinstance(error, PeerGone):
            os._exit(1)
        return 1
    except Stopped as stopped:
        complain(f"train.py: {stopped}")
        return stopped.code
    except KeyboardInterrupt:
        complain("\ntrain.py: stopped; the same command goes on from here")
        return 130
    except BrokenPipeError:
        if not _reader_is_gone():
            raise
        return _CLOSED_PIPE
    finally:
        close_output()
    return 0


def _reader_is_gone() -> bool:
    """Whether nobody reads the standard output any more; a broken pipe might be another one."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return bool(poll.poll(0))


def _read(argv: list[str]) -> list[str]:
    """Reads the flags; returns what is beside them."""
    try:
        return flags.FLAGS(argv)[1:]
    except RecursionError as error:  # of absl, which looks for what such a long name might have meant
        raise UserError("a flag's name is longer than that of any flag; flags look like --trials=24") from error


def _main(argv: list[str]) -> None:
    if len(argv) == 1:
        say(f"{__doc__}\n\n{modes_text()}")
        return
    if _VERSION in argv:
        say(versions_text())
        return
    names = define_flags()
    flags.FLAGS.set_gnu_getopt()  # paths may stand before flags
    extra = _read([argument for argument in argv if argument not in _HELP])
    if extra and flags.FLAGS.mode not in WITH_PATHS:
        raise UserError(f"{extra[0]!r} is not a flag; flags look like --trials=24")
    if any(argument in _HELP for argument in argv):
        say(f"{__doc__}\n\n{help_text(flags.FLAGS.mode if flags.FLAGS['mode'].present else None)}")
        return
    values = {name: flags.FLAGS[name].value for name in names}
    workdir = expanded(flags.FLAGS.workdir or f"runs/{flags.FLAGS.mode}")
    check_utf8(workdir)
    given = {name: value for name, value in values.items() if value is not None}

    mode, light = flags.FLAGS.mode, flags.FLAGS.mode in WITHOUT_TENSORFLOW

    def resolved() -> RunConfig:
        config = resolve(mode, flags.FLAGS.seed, given, {} if light else resolved_before(workdir))
        return dataclasses.replace(config, paths=tuple(extra))

    try:
        config = resolved()
        lists = lists_models(config)
        if not lists:
            check_inputs(config)  # before the workdir: what can be nowhere is not told as another config there
            if mode not in (*ONCE, *WITHOUT_TENSORFLOW) and not makes_table(config):
                check_workdir(workdir, config)
    except OSError as error:  # a name that is too long, a folder that is not ours to look into
        raise UserError(f"{error.filename}: cannot be looked at ({error.strerror})") from error
    if flags.FLAGS.quiet and (lists or mode in ONLY_SAY):
        raise UserError(f"--quiet has no meaning with --mode={mode} here: what it finds it says, and writes no files")
    be_quiet(flags.FLAGS.quiet)
    if lists:  # not in there: what a reader that goes away raises is an OSError too
        list_models(config)
        return
    if not needs_tensorflow(config):
        runner(config)(config, workdir)
        return
    check_temporary_folder()
    set_aside = set_variables()
    with quiet():
        import_keras()
        import tensorflow as tf  # not before everything cheap has been checked

        usable = len(tf.config.list_physical_devices("GPU"))  # looking for GPUs writes lines too
        run = runner(config)
    unused = devices.hide_unusable_gpus(usable)
    for note in (*set_aside, *([unused] if unused else [])):
        say(note)
    if unused:
        config = resolved()  # on what is left
    run(config, workdir)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
