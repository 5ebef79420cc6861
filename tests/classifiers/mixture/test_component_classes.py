"""How components learn their classes from those that have labels."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from latentcli.classifiers.mixture.component_classes import assign_classes


def chain(length, links):
    """Components in a row, each sharing so many samples with the next."""
    shared = np.eye(length) * 100.0
    for first, link in enumerate(links):
        shared[first, first + 1] = shared[first + 1, first] = link
    return shared


def test_a_class_ends_where_few_samples_are_shared():
    mass = np.zeros((6, 2))
    mass[0, 0] = mass[5, 1] = 5.0
    assert_array_equal(assign_classes(chain(6, [30, 30, 30, 1, 30]), mass, 600), [0, 0, 0, 0, 1, 1])


def test_an_odd_label_is_outvoted():
    mass = np.zeros((6, 2))
    mass[[0, 1, 3]] = [[2.0, 0.0], [2.0, 0.0], [0.0, 0.4]]  # an outlier of class 1 among class 0
    mass[5, 1] = 4.6
    assert_array_equal(assign_classes(chain(6, [40, 40, 40, 1, 40]), mass, 6000), [0, 0, 0, 0, 1, 1])


def test_one_to_one_where_the_counts_match():
    mass = np.array([[3.0, 2.9], [2.0, 0.1]])  # both components lean to class 0
    assert_array_equal(assign_classes(chain(2, [10]), mass, 200), [1, 0])


def test_what_is_cut_off_gets_a_class():
    mass = np.array([[5.0, 0.0], [0.0, 5.0], [0.0, 0.0]])
    assert assign_classes(np.eye(3), mass, 300)[2] in (0, 1)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(0, 6))
def test_every_class_has_a_component_and_order_does_not_matter(seed, classes, further):
    generator = np.random.default_rng(seed)
    components = classes + further
    shared = generator.gamma(0.3, 10.0, size=(components, components))
    shared = shared + shared.T
    mass = generator.gamma(0.2, 1.0, size=(components, classes)) + 1e-3
    assigned = assign_classes(shared, mass, 1000)
    assert set(assigned) == set(range(classes))
    order = generator.permutation(components)
    assert_array_equal(assign_classes(shared[np.ix_(order, order)], mass[order], 1000), assigned[order])
