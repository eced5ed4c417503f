"""Find a network's cell on your own data, train it, export it, fine-tune it. One --mode of six; see the README."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from absl import flags

from nasnet.modes.flags import RUN_FLAGS, Flag, in_flags, resolve
from nasnet.modes.flags import flags as config_flags
from nasnet.modes.help import help_text
from nasnet.modes.inputs import check_inputs
from nasnet.modes.runners import runner
from nasnet.modes.workdir import check_workdir, resolved_before
from nasnet.runtime.errors import PeerGone, RunError, UserError
from nasnet.runtime.signals import Stopped

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
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def main(argv: list[str]) -> int:
    """Runs one mode.

    Returns:
        The exit code: 0, 1 for a run that failed, 2 for bad input, 130 or 143 for one stopped, 141 for one whose
        reader went away, as `| head` does.
    """
    try:
        code = _main(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        if not _reader_is_gone():
            raise
        # What is still held back would be tried once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLOSED_PIPE
    return code


def _reader_is_gone() -> bool:
    """Whether nobody reads the standard output any more; a broken pipe might be another one."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return bool(poll.poll(0))


def _main(argv: list[str]) -> int:
    names = define_flags()
    try:
        extra = flags.FLAGS([argument for argument in argv if argument not in _HELP])[1:]
        if extra:
            raise UserError(f"{extra[0]!r} is not a flag; flags look like --trials=24")
        if any(argument in _HELP for argument in argv):
            print(__doc__, help_text(flags.FLAGS.mode if flags.FLAGS["mode"].present else None), sep="\n\n")
            return 0
        values = {name: flags.FLAGS[name].value for name in names}
        workdir = Path(flags.FLAGS.workdir or f"runs/{flags.FLAGS.mode}")
        given = {name: value for name, value in values.items() if value is not None}
        config = resolve(flags.FLAGS.mode, flags.FLAGS.seed, given, resolved_before(workdir))
        check_workdir(workdir, config)
        check_inputs(config)
        with quiet():
            import tensorflow as tf  # not before everything cheap has been checked

            tf.config.list_physical_devices()  # looking for GPUs writes lines too
            run = runner(config.mode)

        run(config, workdir)
    except flags.Error as error:
        print(f"train.py: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except UserError as error:
        print(f"train.py: {in_flags(error)}", file=sys.stderr)
        return 2
    except RunError as error:
        print(f"train.py: {error}", file=sys.stderr, flush=True)
        if isinstance(error, PeerGone):
            os._exit(1)
        return 1
    except Stopped as stopped:
        print(f"train.py: {stopped}", file=sys.stderr)
        return stopped.code
    except KeyboardInterrupt:
        print("\ntrain.py: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
