"""The graph of the nearest neighbours: which points are near one another, and how near.

Source of the weights: Calder, Cook, Thorpe & Slepčev 2020, section 4; exp(−4) is that of the farthest neighbour.
"""

import numpy as np
from scipy.sparse import coo_array, csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import NearestNeighbors

from latentcli.classifiers.chunks import rows_at_once
from latentcli.classifiers.graph.laplacian import Graph
from latentcli.core.errors import UsageError
from latentcli.core.progress import Progress, silent

EXACT = 100_000
"""Points up to which all pairs are compared, which takes time in N²: 45 s for this number in 32 dimensions."""

FEW_DIMENSIONS = 4
"""Up to so many dimensions a k-d tree is exact, and fast however many points there are."""

BLOCK = 10_240
"""Points whose neighbours are searched at a time."""

LINKS, CANDIDATES = 16, 64
"""Of the approximate search: links of each point, and how many candidates are kept in building and in searching."""

STEEPNESS = 4.0


def nearest(
    queries: np.ndarray, points: np.ndarray, k: int, progress: Progress = silent, device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray]:
    """The k points (N, D) nearest to each query (n, D), nearest first: rows (n, k), and distances (n, k) float64.

    All pairs are compared, unless there are few dimensions; on ``device``, where that is an accelerator.
    """
    if device != "cpu":
        from latentcli.classifiers.graph import device_search

        rows, distances = _by_distance(queries, points, device_search.candidates(queries, points, k, device, progress))
        return rows[:, :k], distances[:, :k]
    search = NearestNeighbors(n_neighbors=k, algorithm="kd_tree" if points.shape[1] <= FEW_DIMENSIONS else "brute")
    search.fit(points)
    found = np.empty((len(queries), k), np.int64)
    with progress("finding neighbours", len(queries)) as advance:
        for at in range(0, len(queries), BLOCK):
            found[at : at + BLOCK] = search.kneighbors(queries[at : at + BLOCK], return_distance=False)
            advance(len(found[at : at + BLOCK]))
    return _by_distance(queries, points, found)


def neighbours(
    points: np.ndarray, k: int, progress: Progress = silent, device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray]:
    """As ``nearest``, of each point among all others; without an accelerator beyond ``EXACT`` points by an approximate
    search.

    Raises:
        UsageError: there are more points, and the library for these is not installed.
    """
    many = len(points) > EXACT and points.shape[1] > FEW_DIMENSIONS and device == "cpu"
    rows = _approximately(points, k + 1, progress) if many else nearest(points, points, k + 1, progress, device)[0]
    itself_last = np.argsort(rows == np.arange(len(points))[:, None], axis=1, kind="stable")
    return _by_distance(points, points, np.take_along_axis(rows, itself_last, axis=1)[:, :k])


def _approximately(points: np.ndarray, k: int, progress: Progress) -> np.ndarray:
    """(N, k) the nearest to each of the points (N, D), itself among them, or nearly always so.

    One thread builds the index, as its order decides what is found. 0.9999 of the neighbours are the right ones of
    50,000 points in 32 dimensions, 10 of which vary much.

    Source: Malkov & Yashunin 2018 (hierarchical navigable small worlds).
    """
    try:
        from usearch.index import Index
    except ImportError as error:
        problem = f"more than {EXACT:,} points need the package usearch to find their neighbours"
        remedy = "install it: pip install 'latentcli[graph]'; or take latents of fewer images"
        raise UsageError(problem, f"found {len(points):,} points, and no usearch", remedy) from error
    vectors = (points - points.mean(axis=0, dtype=np.float64)).astype(np.float32)
    index = Index(
        ndim=points.shape[1], metric="l2sq", dtype="f32", connectivity=LINKS, expansion_add=CANDIDATES,
        expansion_search=CANDIDATES,
    )  # fmt: skip
    found = np.empty((len(points), k), np.int64)
    with progress("finding neighbours", 2 * len(points)) as advance:
        for at in range(0, len(points), BLOCK):
            block = vectors[at : at + BLOCK]
            index.add(np.arange(at, at + len(block)), block, threads=1)
            advance(len(block))
        for at in range(0, len(points), BLOCK):
            matches = index.search(vectors[at : at + BLOCK], k)
            found[at : at + BLOCK] = matches.keys.reshape(-1, k)
            advance(len(matches))
    return found


def _by_distance(queries: np.ndarray, points: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, k) in the order of their distances, which are computed from differences: squares would cancel."""
    distances = np.empty(rows.shape)
    step = max(1, rows_at_once(points.shape[1]) // rows.shape[1])
    for at in range(0, len(rows), step):
        differences = points[rows[at : at + step]].astype(np.float64) - queries[at : at + step, None]
        distances[at : at + step] = np.sqrt(np.einsum("nkd,nkd->nk", differences, differences))
    order = np.lexsort((rows, distances), axis=1)
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)


def nearness(distances: np.ndarray) -> np.ndarray:
    """(n, k) weights in [e⁻⁴, 1] of neighbours at these distances (n, k), ascending: exp(−4 d² / d_k²)."""
    farthest = distances[:, -1:]
    relative = np.divide(distances, farthest, out=np.zeros_like(distances), where=farthest > 0)
    return np.exp(-STEEPNESS * relative**2)


def graph_of(points: np.ndarray, rows: np.ndarray, distances: np.ndarray) -> tuple[Graph, np.ndarray]:
    """The graph of points (N, D) with these neighbours (N, k), W = (A + Aᵀ) / 2 of their weights A; connected.

    Where it falls into components, each is bridged to the one whose mean is nearest, between points of the two that are
    near each other, until one is left. A bridge weighs e⁻⁴, as much as a point's farthest neighbour.

    Returns:
        the graph, and the component (N,) of each point before there were bridges.
    """
    count, k = rows.shape
    start, end, weight = np.repeat(np.arange(count), k), rows.ravel(), nearness(distances).ravel()
    near = csr_matrix(coo_array((weight, (start, end)), shape=(count, count)))
    weights = csr_matrix((near + near.T) / 2)
    number, components = connected_components(weights, directed=False)
    first = components
    while number > 1:
        ends = _bridges(points, components, number)
        bridge = coo_array((np.full(len(ends), np.exp(-STEEPNESS)), (ends[:, 0], ends[:, 1])), shape=(count, count))
        bridge = csr_matrix(bridge)
        weights = csr_matrix(weights.maximum(bridge).maximum(bridge.T))
        number, components = connected_components(weights, directed=False)
    return Graph(weights), first


def _bridges(points: np.ndarray, components: np.ndarray, number: int) -> np.ndarray:
    """(number, 2) rows of points: from each component to that whose mean is nearest."""
    order = np.argsort(components, kind="stable")
    members = np.split(order, np.searchsorted(components[order], np.arange(1, number)))
    means = np.array([points[rows].mean(axis=0, dtype=np.float64) for rows in members])
    others, _ = neighbours(means, 1)
    ends = []
    for here, there in enumerate(others[:, 0]):
        start = _closest(points, members[here], means[there])
        end = _closest(points, members[there], points[start])
        ends.append((_closest(points, members[here], points[end]), end))
    return np.array(ends)


def _closest(points: np.ndarray, rows: np.ndarray, to: np.ndarray) -> int:
    return int(rows[np.square(points[rows].astype(np.float64) - to).sum(axis=1).argmin()])
