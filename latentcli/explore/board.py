"""What the person is told, and whether anything that is shown has changed."""

from latentcli.core.errors import LatentError


class Board:
    """Messages for the person.

    Attributes:
        version: a number that is larger after each change of anything that is shown.
        told: the messages, the latest last: each whether it is of trouble, and its text.
    """

    def __init__(self) -> None:
        self.version = 0
        self.told: list[tuple[bool, str]] = []

    def tell(self, text: str, trouble: bool = False) -> None:
        """A message for the person."""
        self.told = [*self.told[-19:], (trouble, text)]
        self.version += 1

    def refuse(self, error: Exception) -> None:
        """The message of an error, which is raised where it is none that a person can do something about."""
        if not isinstance(error, LatentError):
            self.tell(f"{type(error).__name__}: {error}; the terminal has more of it", trouble=True)
            raise error
        self.tell(" · ".join(part for part in (error.problem, error.found, error.remedy) if part), trouble=True)
