"""Which class each component of a mixture belongs to, when there are more components than classes.

A few labels fall into a few of the components. The others take their class from their neighbours: components that
share samples belong to one class, since classes meet where samples are few. With A_jk = Σ_i r_ij r_ik, how many samples
two components share, and M_kc, the labelled mass of class c in component k, the class scores f_k minimise

    Σ_jk A_jk |f_j - f_k|² / 2 + λ Σ_k Σ_c M_kc |f_k - e_c|²

which is a linear system: the harmonic function on the graph of components, with the labels attached to it. A label
that fell among another class's samples is thereby outvoted by the components around it. λ is a small part of the
samples that a label stands for, N / L: in trials on two-dimensional latents of handwritten digits the whole of it
let single odd labels decide, and anything from a tenth to a hundredth did as well as the next.

Source: Zhu, Ghahramani & Lafferty 2003, sections 2 and 5 (external classifiers attached to the graph).
"""

import numpy as np

_LABEL_WEIGHT = 0.03  # of the N / L samples that a label stands for
_MIN_SHARED = 1e-9  # of the samples, between any two components: one that shares none still gets a class


def assign_classes(shared: np.ndarray, labelled_mass: np.ndarray, samples: int) -> np.ndarray:
    """(K,) int, the class of each component: one-to-one where the counts match, else at least one for every class.

    ``shared`` is A (K, K), summed over so many samples, and ``labelled_mass`` M (K, C); every class has some.
    """
    from scipy.optimize import linear_sum_assignment

    components, classes = labelled_mass.shape
    weight = _LABEL_WEIGHT * samples / labelled_mass.sum()
    affinity = shared + _MIN_SHARED * samples
    np.fill_diagonal(affinity, 0.0)
    laplacian = np.diag(affinity.sum(axis=1)) - affinity
    system = laplacian + weight * np.diag(labelled_mass.sum(axis=1))
    assigned = np.linalg.solve(system, weight * labelled_mass).argmax(axis=1)  # of scores (K, C), rows sum to 1
    if components == classes or len(np.unique(assigned)) < classes:
        matched, their_classes = linear_sum_assignment(-labelled_mass)
        assigned[matched] = their_classes
    return assigned.astype(np.int64)
