"""The errors that a user can do something about: one class per exit code, each message saying what to do."""


class LatentError(Exception):
    """What all of them are; unprintable characters in its lines are escaped, see ``printable``.

    Args:
        problem, found, remedy: what is wrong, what was expected and found, and what to do about it, a line each.
    """

    exit_code = 1

    def __init__(self, problem: str, found: str | None = None, remedy: str | None = None) -> None:
        self.problem, self.found, self.remedy = problem, found, remedy
        super().__init__("\n  ".join(printable(text) for text in (problem, found, remedy) if text))


def printable(text: str, keep: str = "") -> str:
    """The text with unprintable characters escaped, except those in ``keep``.

    Names of files and classes may hold line breaks and a terminal's escape sequences.
    """
    return "".join(letter if letter.isprintable() or letter in keep else repr(letter)[1:-1] for letter in text)


class UsageError(LatentError):
    """The call is wrong: an unknown name, a value out of range."""

    exit_code = 2


class DataError(LatentError):
    """The data is missing, unreadable, empty or of another shape."""

    exit_code = 3


class ModelFileError(LatentError):
    """A model file is missing, corrupt, unsafe or does not belong to this checkpoint."""

    exit_code = 4


class FitError(LatentError):
    """A fit failed: the loss is not finite, a component collapsed."""

    exit_code = 5


class OutputError(LatentError):
    """An output cannot be written."""

    exit_code = 6


class GateError(LatentError):
    """Everything was done, but a reported metric misses its gate."""

    exit_code = 7
