"""Files in one another's places are named as what they are, with the call put right."""

import shutil

import pytest


@pytest.fixture
def files(trained, tmp_path):
    for name, path in {"a.pth": trained.vae, "b.pkl": trained.gmm}.items():
        shutil.copy(path, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "problem", "remedy"),
    [
        ("classify a.pth b.pkl digits", "a.pth is a latentcli model", "latentcli classify digits a.pth b.pkl"),
        ("classify digits b.pkl a.pth", "b.pkl is a mixture", "latentcli classify digits a.pth b.pkl"),
        ("hybridize b.pkl a.pth", "b.pkl is a mixture", "latentcli hybridize a.pth b.pkl"),
        ("fit-probe digits b.pkl", "b.pkl is a mixture", "latentcli fit-probe DATA|LATENTS.npz VAE.PTH"),
        ("reconstruct a.pth digits", "a.pth is a latentcli model", "latentcli reconstruct digits a.pth"),
        ("evaluate digits a.pth a.pth", "a.pth is a model", "latentcli evaluate DATA"),
        ("train-cnn digits a.pth", "a.pth is a latentcli model", "to go on from it: --from a.pth"),
        ("train digits a.pth", "a.pth is a latentcli model", "to go on from it: --continue-from a.pth"),
        ("train digits a.pth -o a.pth", "a.pth is a latentcli model", "to go on from it: --continue-from a.pth"),
    ],
)
def test_the_call_is_put_right(files, call, monkeypatch, line, problem, remedy):
    monkeypatch.chdir(files)
    done = call(*line.split())
    assert done.code == 2, done.err
    assert problem in done.err
    assert remedy in done.err


def test_a_call_in_order_keeps_its_own_error(files, call, monkeypatch):
    monkeypatch.chdir(files)
    done = call("classify", "nothing.npz", "a.pth", "b.pkl")
    assert (done.code, "nothing.npz" in done.err, "stands where" in done.err) == (3, True, False)
