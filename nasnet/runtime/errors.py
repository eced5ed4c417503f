"""What a run can fail of. Each message is one line that a person can act on."""

from __future__ import annotations

from collections.abc import Callable


class UserError(Exception):
    """Bad input. The message is one line: the setting or file, the value received, what was expected. Exit code 2.

    Args:
        message: that line. It names settings as a library's caller knows them, not as flags.
        see: settings that would mend it.
    """

    def __init__(self, message: str, see: tuple[str, ...] = ()) -> None:
        super().__init__(message, see)
        self.message, self.see = message, see

    def line(self, name: Callable[[str], str] = str) -> str:
        """The whole message, with each setting's name written by `name`."""
        return shortened(self.message, 2000) + (f" (see {', '.join(map(name, self.see))})" if self.see else "")

    def __str__(self) -> str:
        return self.line()


class SettingError(UserError):
    """A setting with a value that it cannot have.

    Args:
        name: of the setting's field.
        value: what was received.
        rule: what was expected, in plain English.
        see: other settings that would mend it.
    """

    def __init__(self, name: str, value: object, rule: str, see: tuple[str, ...] = ()) -> None:
        super().__init__(rule, see)
        self.args = (name, value, rule, see)  # what pickle makes it anew from
        self.name, self.value, self.rule = name, value, rule

    def line(self, name: Callable[[str], str] = str) -> str:
        """The whole message, with each setting's name written by `name`."""
        return f"{name(self.name)}={shortened(self.value)}: {super().line(name)}"


class RunError(Exception):
    """A run that failed for a reason that is no fault of its input. The message is one line. Exit code 1."""


class PeerGone(RunError):
    """Another process that trains the same network is gone. TensorFlow's own exit would wait for it."""


class DivergedError(RunError):
    """The loss of a training is no longer a finite number."""


def shortened(value: object, most: int = 200) -> str:
    """A value that was received, as a message says it: of what is too long to read, its beginning and its end."""
    text = str(value)
    if len(text) <= most:
        return text
    return f"{text[: most - most // 5]} ... {text[-(most // 5) :]} ({len(text)} characters)"


def first_line(error: BaseException, most: int = 300) -> str:
    """The first line of an error's message, at most so many characters; the name of its type where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:most] if lines else type(error).__name__
