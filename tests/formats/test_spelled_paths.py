"""The file that a table means, in all the spellings of its path."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentcli.formats.spelled_paths import AmbiguousPath, SpelledPaths

FILES = ("a/001.png", "a/002.png", "b/003.png", "b/Café.jpeg", "top.PNG", "gr\udcfc\udcdfe.png")


def find(text, files=FILES, folder="photos", others=()):
    return SpelledPaths(files, folder, [text, *others]).find(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("./a/001.png", "a/001.png"), ("a\\001.png", "a/001.png"), ("a//001.png ", "a/001.png"),
        ("photos/a/001.png", "a/001.png"), ("/home/me/Photos/a/001.png", "a/001.png"),
        ("C:\\data\\photos\\a\\001.png", "a/001.png"), ("elsewhere/a/001.png", "a/001.png"),
        ("A/001.PNG", "a/001.png"), ("a/001", "a/001.png"), ("a/001.jpg", "a/001.png"), ("top", "top.PNG"),
        ("001.png", "a/001.png"), ("2", "a/002.png"), ("b/3", "b/003.png"), ("3.0", "b/003.png"),
        (unicodedata.normalize("NFD", "b/Café.jpeg"), "b/Café.jpeg"), ("B\\CAFÉ.JPG", "b/Café.jpeg"),
        ("grüße.png", FILES[-1]), ("gr\\udcfc\\udcdfe.png", FILES[-1]), (FILES[-1], FILES[-1]),
        ("004.png", None), ("a/003.png", None), ("c.png", None), ("", None), ("/", None), ("..", None),
    ],
)  # fmt: skip
def test_spellings(text, meant):
    assert find(text) == meant


def test_other_folders_before_paths_must_be_the_same_for_all():
    files = ("001.png", "002.png")
    assert find("old/001.png", files, others=["old/002.png"]) == "001.png"
    assert find("old/001.png", files, others=["new/002.png"]) is None
    assert find("old/001.png", files, others=["002.png"]) is None
    assert find("photos/001.png", files, others=["new/002.png", "002.png"]) == "001.png"
    assert find("test/001.png", files, folder="train", others=["train/001.png"]) is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a/0.png", "train/a/0.png"), ("./b\\0", "train/b/0.png"), ("set/a/0.png", "train/a/0.png"),
        ("c/0.png", "train/deep/c/0.png"), ("deep/C/0.PNG", "train/deep/c/0.png"), ("other/a/0.png", None),
        ("e/0.png", None), ("0/a.png", None),
    ],
)  # fmt: skip
def test_folders_before_a_path_may_be_missing(text, meant):
    files = ("train/a/0.png", "train/b/0.png", "train/deep/c/0.png", "train/e/1.png")
    assert find(text, files, folder="my/set", others=["x/y/0.png"]) == meant


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("a/1.png", ("train/a/1.png", "more/a/1.png")),
        ("1.png", ("a/1.png", "b/1.png")),
        ("1", ("1.png", "1.jpg")),
        ("X.PNG", ("x.png", "x.Png")),
    ],
)
def test_more_than_one_file_is_no_answer(text, files):
    with pytest.raises(AmbiguousPath) as told:
        find(text, files)
    assert set(told.value.files) == set(files)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=6))
def test_what_is_spelled_exactly_is_that_file(files):
    paths = SpelledPaths(files, "photos", files)
    assert [paths.find(file) for file in files] == files


@given(
    st.lists(st.text("aAß.é1[]0/\udcfc", min_size=1, max_size=9), min_size=1, max_size=4, unique=True),
    st.lists(st.text("aAßs.é1[]0/\\ \udcfc", max_size=9), min_size=1, max_size=4),
    st.sampled_from(["a", "1", "other"]),
)
def test_what_is_told_to_be_no_file_at_once_would_be_none_later(files, spelled, folder):
    class Patient(SpelledPaths):
        def _has_last(self, path):
            return True

    def meant(paths, text):
        try:
            return paths.find(text)
        except AmbiguousPath as several:
            return several.files

    for text in [*spelled, *(file.upper() for file in files)]:
        quick, slow = (kind(files, folder, [*spelled, text]) for kind in (SpelledPaths, Patient))
        assert meant(quick, text) == meant(slow, text)
