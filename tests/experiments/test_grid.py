"""Points of a grid: all of them, or some that are drawn; and what cannot be swept over."""

import itertools

import pytest

from latentcli.core.errors import UsageError
from latentcli.experiments import grid
from latentcli.experiments.grid import Point, points


def settings(found: list[Point]) -> list[tuple[str, dict]]:
    return [(point.family, dict(point.settings)) for point in found]


def test_a_grid_is_the_product_of_its_values_in_their_order():
    found = points({"codes": [64, 16, 64], "stages": [1, 2, 3]}, "vqvae")
    expected = [{"codes": codes, "stages": stages} for codes, stages in itertools.product([64, 16], [1, 2, 3])]
    assert settings(found) == [("vqvae", each) for each in expected]


def test_each_family_takes_the_settings_that_it_has():
    over = {"model": ["vqvae", "fsq"], "codes": [64, 256], "levels": [5, [8, 6, 5]], "width": [32, 64]}
    found = settings(points(over, "vae"))
    assert [each for each in found if each[0] == "vqvae"] == [
        ("vqvae", {"codes": codes, "width": width}) for codes in (64, 256) for width in (32, 64)
    ]
    assert [each for each in found if each[0] == "fsq"] == [
        ("fsq", {"levels": levels, "width": width}) for levels in (5, (8, 6, 5)) for width in (32, 64)
    ]
    assert len(found) == 8


def test_families_alone_can_be_compared():
    assert settings(points({"model": ["vae", "fsq"]}, "vqvae")) == [("vae", {}), ("fsq", {})]


def test_points_are_drawn_by_the_seed_and_those_of_a_smaller_number_are_among_those_of_a_larger():
    over = {"codes": list(range(2, 52)), "width": list(range(1, 41)), "model": ["vqvae", "vae"]}
    every = points(over, "vqvae")
    assert len(every) == 50 * 40 + 40
    some = points(over, "vqvae", 30, seed=3)
    assert some == points(over, "vqvae", 30, seed=3) != points(over, "vqvae", 30, seed=4)
    assert len(set(some)) == 30
    assert set(some) <= set(every)
    assert sorted(some, key=every.index) == some
    assert set(points(over, "vqvae", 10, seed=3)) < set(some)
    assert points(over, "vqvae", 5_000) == every
    halves = [sum(point in set(every[:1020]) for point in points(over, "vqvae", 40, seed=seed)) for seed in range(50)]
    assert 18 < sum(halves) / 50 < 22


def test_a_grid_that_nobody_could_train_is_drawn_from_and_refused_as_a_whole():
    over = {
        name: list(range(1, 1001)) for name in ("codes", "width", "latent_dim", "batch_size", "epochs", "max_batch")
    }
    assert len(points(over, "vqvae", 3)) == 3
    with pytest.raises(UsageError, match="there are 10,001 points") as refused:
        points({"codes": range(2, 10_003)}, "vqvae")
    assert "`random`" in str(refused.value)
    for count in (None, 10**7):
        with pytest.raises(UsageError, match="points to train"):
            points(over, "vqvae", count)


def test_dimensions_are_what_the_setting_calls_so():
    assert points({"dimensions": [8, 64]}, "vqvae") == points({"latent_dim": [8, 64]}, "vqvae")
    assert grid.settings_of({"dimensions": [8], "model": ["vqvae"], "codes": [2]}) == ("latent_dim", "codes")


def test_names_of_points_are_unlike_and_suit_files():
    values = [5, "5", (8, 6, 5), "a/b", "a b", "A_b", "x" * 300, "x" * 301, "ä", None, True, "none "]
    names = [Point("fsq", (("levels", value),)).name for value in values if value != "5"]
    assert len(set(names)) == len(names)
    assert names[:2] == ["fsq,levels=5", "fsq,levels=8,6,5"]
    assert all(len(name.encode()) < 200 and not set(name) & set('/\\:*?"<>| ') for name in names)


def test_a_result_says_numbers_as_they_are_and_all_else_as_it_is_set():
    point = Point("fsq", (("levels", (8, 6, 5)), ("lr", 1e-3), ("stages", None), ("loss", "bce"), ("any", True)))
    expected = {"levels": "8,6,5", "lr": 1e-3, "stages": "none", "loss": "bce", "any": "true"}
    assert point.facts == {"model": "fsq", **expected}


@pytest.mark.parametrize(
    ("over", "fixed", "said"),
    [
        ({"code": [64]}, [], "unknown setting 'code'; did you mean codes?"),
        ({"levels": [5]}, [], "unknown setting 'levels'"),
        ({"codes": [64]}, ["level"], "unknown setting 'level'"),
        ({"model": ["gan"]}, [], "unknown model family 'gan'"),
        ({"seed": [0, 1]}, [], "as many as `seeds` says"),
        ({"codes": []}, [], "no values of `codes`"),
        ({"codes": [64]}, ["codes"], "`codes` is swept over and has one value"),
        ({}, [], "no setting to sweep over"),
        ({"model": ["vqvae"]}, [], "no setting to sweep over"),
    ],
    ids=str,
)
def test_what_cannot_be_swept_over_is_said(over, fixed, said):
    with pytest.raises(UsageError) as refused:
        points(over, "vqvae", fixed=fixed)
    assert said in str(refused.value)


def test_an_unknown_setting_lists_what_there_is():
    with pytest.raises(UsageError) as refused:
        points({"colour": [1], "model": ["vqvae", "fsq"]}, "vqvae")
    text = str(refused.value)
    assert "vqvae: agreement, backbone, beta, codebook, codes" in text
    assert "fsq: agreement, backbone, latent_dim, levels" in text
    assert "of the training: batch_size, epochs" in text
