"""Find a network's cell on your own data, train it, export it, fine-tune it. One --mode of six; see the README."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from absl import flags

from nasnet.modes.flags import MODES, resolve
from nasnet.modes.flags import flags as config_flags
from nasnet.modes.inputs import check_inputs
from nasnet.modes.runners import runner
from nasnet.modes.workdir import check_workdir, resolved_before
from nasnet.runtime.errors import PeerGone, RunError, UserError
from nasnet.runtime.signals import Stopped

_DEFINE = {int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_boolean, str: flags.DEFINE_string}


def define_flags() -> tuple[str, ...]:
    """Defines every flag; returns the names of those that a config's field makes."""
    flags.DEFINE_enum("mode", "search", MODES, "what to do (default search)")
    flags.DEFINE_string("workdir", None, "folder of this run; the same command on it resumes (default runs/MODE)")
    flags.DEFINE_integer("seed", 0, "seed of everything that is drawn (default 0)")
    for flag in config_flags():
        if flag.choices:
            flags.DEFINE_enum(flag.name, None, flag.choices, flag.help)
        else:
            _DEFINE[flag.kind](flag.name, None, flag.help)
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
    """Runs one mode. Returns the exit code: 0, 1 for a run that failed, 2 for bad input, 130 or 143 for one stopped."""
    names = define_flags()
    if any(argument in ("--help", "-help", "-h", "--helpfull") for argument in argv[1:]):
        print(__doc__, flags.FLAGS.get_help(include_special_flags=False), sep="\n")
        return 0
    try:
        extra = flags.FLAGS(argv)[1:]
        if extra:
            raise UserError(f"{extra[0]!r} is not a flag; flags look like --trials=24")
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
    except (flags.Error, UserError) as error:
        print(f"train.py: {' '.join(str(error).split())}", file=sys.stderr)
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
