"""``latentcli explore``: what it refuses before there is a page; the page itself is tested in tests/explore."""

import pytest

pytest.importorskip("bokeh", reason="the page is made with Bokeh, which is not installed")


def test_outputs_replace_no_input(call, trained):
    done = call("explore", trained.test, trained.vae, "-o", trained.vae)
    assert (done.code, "is an input of this command" in done.err) == (2, True), done.err
    done = call("explore", trained.test, trained.vae, trained.gmm, "--labels", "labels.csv", "-o", "labels.csv")
    assert (done.code, "two outputs have the same name" in done.err) == (2, True), done.err
    done = call("explore", trained.test, trained.vae, "--labels", "no folder/labels.csv", "--no-browser")
    assert (done.code, "there is no folder" in done.err) == (6, True), done.err


def test_what_is_saved_beside_the_classifier_replaces_no_input_and_joins_no_images(call, trained, tmp_path):
    done = call("hybridize", trained.vae, trained.gmm, "-n", 2, "-q")
    assert done.code == 0
    done = call("explore", "hybrids.npz", trained.vae, "--no-browser")
    assert (done.code, "hybrids.npz is an input of this command" in done.err) == (2, True), done.err
    (tmp_path / "photos").mkdir()
    done = call("explore", "photos", trained.vae, "-o", "photos/graph.npz", "--no-browser")
    assert (done.code, "would be read as images from now on" in done.err) == (2, True), done.err


def test_an_address_that_nobody_knows_is_refused(call, trained):
    done = call("explore", trained.test, trained.vae, "-q", "--no-browser")
    assert (done.code, "-q and --no-browser" in done.err) == (2, True), done.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nothing.npz", "vae"], 3, "nothing.npz"),
        (["test", "nothing.pth"], 4, "nothing.pth"),
        (["test", "gmm"], 2, "mixture"),
        (["test", "vae", "--labels", "labels.npy"], 2, "ends in .csv"),
        (["test", "vae", "--port", "70000"], 2, "65535"),
        (["test", "vae", "-o", "foo.txt"], 2, "no name of a classifier"),
        (["test", "vae", "gmm", "-o", "graph.npz"], 2, "no name of a mixture"),
        (["test", "vae", "test"], 2, "stands where a classifier"),
    ],
)
def test_what_cannot_be_explored_is_told_with_its_exit_code(call, trained, arguments, code, said):
    files = {name: getattr(trained, name) for name in ("test", "vae", "gmm")}
    done = call("explore", *[files.get(each, each) for each in arguments], "--no-browser")
    assert (done.code, said in done.err, "Traceback" in done.err) == (code, True, False), done.err
    assert ("exploring at" in done.err) == ("nothing.npz" in arguments)  # else before there is an address
