"""Many points as a picture, drawn in numpy: a million in some hundredths of a second."""

from collections.abc import Sequence

import numpy as np

NONE = (0x9A, 0x9A, 0x9A)
"""Grey: images without a label, or of which a value is not known."""

PAPER = (0xFF, 0xFF, 0xFF)
INK = (0x22, 0x22, 0x22)
RIGHT, WRONG = (0x56, 0xB4, 0xE9), (0xD5, 0x5E, 0x00)
STEPS = 256
"""Colours of a scale."""

PALE = 0.78
"""How much nearer to the paper is what is not selected, where something is."""

Colour = tuple[int, int, int]


def packed(colours: Sequence[Colour] | np.ndarray) -> np.ndarray:
    """(K,) uint32: opaque colours (K, 3) of red, green and blue in 0…255 as the four bytes of a pixel, RGBA."""
    red, green, blue = np.asarray(colours, np.uint32).reshape(-1, 3).T
    return red | green << 8 | blue << 16 | np.uint32(0xFF000000)


def paler(colours: np.ndarray) -> np.ndarray:
    """(K,) uint32: packed colours that are lighter by ``PALE``."""
    parts = [(colours >> shift & 0xFF).astype(np.float64) for shift in (0, 8, 16)]
    return packed(np.stack([np.round(part + PALE * (0xFF - part)) for part in parts], axis=1))


def scale(low: Colour, middle: Colour, high: Colour) -> np.ndarray:
    """(``STEPS``,) uint32: colours from one to another, by way of a third in the middle."""
    at = np.linspace(0, 2, STEPS)
    stops = np.array([low, middle, high], float)
    return packed(np.stack([np.round(np.interp(at, [0, 1, 2], stops[:, part])) for part in range(3)], axis=1))


SCALE = scale((0xF0, 0xE4, 0x42), (0x00, 0x9E, 0x73), (0x1A, 0x1A, 0x6E))
"""Yellow is 0, blue is 1: in brightness alone, too, so that the colour-blind can read it."""


class Painter:
    """Draws N points of the plane, in one fixed random order, so that none of their kinds lies over the others.

    Args:
        points: (N, 2) float32.
    """

    def __init__(self, points: np.ndarray) -> None:
        self.order = np.random.default_rng(0).permutation(len(points))
        self._place = np.empty(len(points), np.int64)  # of each point in that order
        self._place[self.order] = np.arange(len(points))
        self._x, self._y = (np.ascontiguousarray(points[self.order, axis]) for axis in range(2))

    def draw(
        self, index: np.ndarray, colours: np.ndarray, x: tuple[float, float], y: tuple[float, float],
        size: tuple[int, int], selected: np.ndarray | None = None, marked: np.ndarray | None = None,
    ) -> np.ndarray:  # fmt: skip
        """A picture (height, width) uint32 of RGBA pixels, the lowest row first, transparent where no point is.

        Args:
            index: (N,) whole numbers, of each point's colour.
            colours: (K,) uint32, packed.
            x, y: the ranges that it shows.
            size: its width and height.
            selected: (N,) bool: those that keep their colours, while others are paler; None: all.
            marked: rows of points that are drawn last, larger, with a dark rim: those with a label.
        """
        width, height = size
        picture = np.zeros((height, width), np.uint32)
        flat = picture.reshape(-1)
        column, row, shown = self._pixels(x, y, size)
        own = index[self.order[shown]]
        kinds = np.asarray(colours, np.uint32)
        if selected is not None:
            chosen = selected[self.order[shown]]
            self._stamp(flat, size, column[~chosen], row[~chosen], paler(kinds)[own[~chosen]], len(shown))
            self._stamp(flat, size, column[chosen], row[chosen], kinds[own[chosen]], len(shown))
        else:
            self._stamp(flat, size, column, row, kinds[own], len(shown))
        if marked is not None and len(marked):
            self._mark(picture, index, kinds, x, y, marked, selected)
        return picture

    def _pixels(
        self, x: tuple[float, float], y: tuple[float, float], size: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Column and row (n,) int32 of the points that are shown, and which of the order these are."""
        parts = []
        for values, (low, high), pixels in ((self._x, x, size[0]), (self._y, y, size[1])):
            factor = np.float32(pixels / (high - low))
            place = values - np.float32(low)
            place *= factor
            parts.append(place)
        inside = (parts[0] >= 0) & (parts[0] < size[0]) & (parts[1] >= 0) & (parts[1] < size[1])
        shown = np.flatnonzero(inside)
        if len(shown) == len(self._x):
            return parts[0].astype(np.int32), parts[1].astype(np.int32), shown
        return parts[0][shown].astype(np.int32), parts[1][shown].astype(np.int32), shown

    @staticmethod
    def _stamp(
        flat: np.ndarray, size: tuple[int, int], column: np.ndarray, row: np.ndarray, colour: np.ndarray, count: int
    ) -> None:
        """Draw points: one pixel each where they are many, small discs where they are few."""
        width, height = size
        for across, up in _disc(count):
            there_x, there_y = column + np.int32(across), row + np.int32(up)
            if across or up:
                within = (there_x >= 0) & (there_x < width) & (there_y >= 0) & (there_y < height)
                flat[there_y[within] * width + there_x[within]] = colour[within]
            else:
                flat[there_y * width + there_x] = colour

    def _mark(
        self, picture: np.ndarray, index: np.ndarray, colours: np.ndarray, x: tuple[float, float],
        y: tuple[float, float], marked: np.ndarray, selected: np.ndarray | None,
    ) -> None:  # fmt: skip
        height, width = picture.shape
        at = self._place[marked]
        column = ((self._x[at] - x[0]) * (width / (x[1] - x[0]))).astype(np.int64)
        row = ((self._y[at] - y[0]) * (height / (y[1] - y[0]))).astype(np.int64)
        shown = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        few = shown.sum() <= 2_000
        ink = packed([INK])[0]
        for radius, colour in ((3.6 if few else 1.5, None), (2.3 if few else 0.5, colours[index[marked]])):
            reach = int(radius)
            for across in range(-reach, reach + 1):
                for up in range(-reach, reach + 1):
                    if across * across + up * up > radius * radius:
                        continue
                    there_x, there_y = column + across, row + up
                    within = shown & (there_x >= 0) & (there_x < width) & (there_y >= 0) & (there_y < height)
                    picture[there_y[within], there_x[within]] = ink if colour is None else colour[within]


def _disc(count: int) -> list[tuple[int, int]]:
    """Steps from the middle of a point to its pixels, where so many points are shown."""
    if count > 200_000:
        return [(0, 0)]
    if count > 20_000:
        return [(1, 0), (0, 1), (1, 1), (0, 0)]
    radius = 1 if count > 5_000 else 2
    steps = range(-radius, radius + 1)
    found = [(across, up) for across in steps for up in steps if across * across + up * up <= radius * radius + 1]
    return sorted(found, key=lambda step: -(step[0] ** 2 + step[1] ** 2))


def limits(points: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """Ranges of both axes that show points (N, 2), with a margin; they have a length also where points have none."""
    found = []
    for axis in range(2):
        low, high = float(points[:, axis].min()), float(points[:, axis].max())
        margin = 0.04 * (high - low) or max(1.0, abs(low))
        found.append((low - margin, high + margin))
    return found[0], found[1]


def mosaic(
    images: np.ndarray, columns: int, rows: int, side: int, rims: Sequence[Colour | None],
    faded: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Tiles as one picture (rows · side, columns · side) uint32, RGBA, its lowest row of pixels first.

    Args:
        images: (n, C, H, W) uint8, C being 1 or 3; ``columns · rows`` of them have room, from left to right.
        columns, rows: of tiles.
        side: pixels of a tile.
        rims: of each image the colour of its rim; None for none.
        faded: (n,) bool: images that are shown paler.
    """
    whole = np.zeros((rows * side, columns * side), np.uint32)
    room = side - 8
    for place, image in enumerate(images[: columns * rows]):
        tile = np.full((side, side), packed([PAPER])[0] & 0x00FFFFFF, np.uint32)
        if (rim := rims[place]) is not None:
            tile[1:-1, 1:-1] = packed([rim])[0]
            tile[3:-3, 3:-3] = packed([PAPER])[0]
        shown = fitted(image, room)
        if faded is not None and faded[place]:
            shown = paler(shown.reshape(-1)).reshape(shown.shape)
        top, left = (side - shown.shape[0]) // 2, (side - shown.shape[1]) // 2
        tile[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
        row, column = divmod(place, columns)
        whole[row * side : (row + 1) * side, column * side : (column + 1) * side] = tile
    return whole[::-1]


def fitted(image: np.ndarray, side: int) -> np.ndarray:
    """(h, w) uint32, RGBA, the highest row first: an image (C, H, W) uint8, its longer side being ``side`` pixels."""
    _, height, width = image.shape
    factor = side / max(height, width)
    tall, wide = max(1, round(height * factor)), max(1, round(width * factor))
    down = np.minimum((np.arange(tall) + 0.5) * height / tall, height - 1).astype(int)
    across = np.minimum((np.arange(wide) + 0.5) * width / wide, width - 1).astype(int)
    if factor < 1:  # the mean of the pixels around each, or thin lines would vanish
        image = _averaged(image, int(np.ceil(1 / factor)))
    pixels = image[:, down[:, None], across[None, :]]
    pixels = np.broadcast_to(pixels, (3, *pixels.shape[1:])).reshape(3, -1).T
    return packed(pixels).reshape(tall, wide)


def _averaged(image: np.ndarray, reach: int) -> np.ndarray:
    """(C, H, W) uint8: each pixel the mean of ``reach`` × ``reach`` ones around it."""
    wide = np.pad(image.astype(np.float64), ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    sums = np.pad(wide.cumsum(axis=1).cumsum(axis=2), ((0, 0), (1, 0), (1, 0)))
    _, height, width = image.shape
    top, left = reach - reach // 2, reach - reach // 2
    down, across = top + np.arange(height), left + np.arange(width)
    boxes = (
        sums[:, down[:, None] + reach, across + reach] - sums[:, down[:, None], across + reach]
        - sums[:, down[:, None] + reach, across] + sums[:, down[:, None], across]
    )  # fmt: skip
    return np.round(boxes / reach**2).astype(np.uint8)
