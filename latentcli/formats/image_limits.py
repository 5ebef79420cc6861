"""How large image files may be, and the error of those that cannot be used."""

MAX_PIXELS = 64_000_000  # in one image, by its header: a file of fifty kilobytes can claim a hundred times as many
MAX_PAGES = 10_000  # of one file; its header may claim any number


class UnreadableImage(Exception):
    """A file is not an image that can be used; the message says why, without its path."""
