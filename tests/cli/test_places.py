"""Files in one another's places are named as what they are, with the call put right."""

import shutil

import pytest

import latentcli as lc
from latentcli.artifacts import write_latents


@pytest.fixture(scope="module")
def of_features(trained, tmp_path_factory):
    """Latents, and a probe fitted on them."""
    folder = tmp_path_factory.mktemp("features")
    latents = lc.load_model(trained.vae).encode(lc.load(trained.train))
    write_latents(folder / "l.npz", latents)
    lc.fit_probe(latents, probe="linear").save(folder / "c.pth")
    return folder


@pytest.fixture
def files(trained, of_features, tmp_path):
    for name, path in {"a.pth": trained.vae, "b.pkl": trained.gmm}.items():
        shutil.copy(path, tmp_path / name)
    for name in ("l.npz", "c.pth"):
        shutil.copy(of_features / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "problem", "remedy"),
    [
        ("classify a.pth b.pkl digits", "a.pth is a latentcli model", "latentcli classify digits a.pth b.pkl"),
        ("classify digits b.pkl a.pth", "b.pkl is a mixture", "latentcli classify digits a.pth b.pkl"),
        ("hybridize b.pkl a.pth", "b.pkl is a mixture", "latentcli hybridize a.pth b.pkl"),
        ("fit-probe digits b.pkl", "b.pkl is a mixture", "latentcli fit-probe digits VAE.PTH"),
        ("reconstruct a.pth digits", "a.pth is a latentcli model", "latentcli reconstruct digits a.pth"),
        ("evaluate digits a.pth a.pth", "a.pth is a model", "latentcli evaluate digits a.pth GMM_PARAMS.PKL|"),
        ("classify digits c.pth c.pth", "c.pth is a probe", "latentcli classify digits VAE.PTH|CNN.PTH c.pth"),
        ("evaluate digits c.pth c.pth", "c.pth is a probe", "latentcli evaluate digits VAE.PTH c.pth"),
        ("classify digits c.pth", "c.pth is a probe", "latentcli classify digits VAE.PTH|CNN.PTH c.pth"),
        ("classify l.npz a.pth", "a.pth is a model", "latentcli classify l.npz GMM_PARAMS.PKL|GRAPH.NPZ|PROBE.PTH"),
        ("classify l.npz a.pth c.pth", "a.pth is a model", "latentcli classify l.npz c.pth"),
        ("evaluate l.npz a.pth b.pkl", "l.npz is a latentcli file of latents", "latentcli evaluate DATA a.pth b.pkl"),
        ("fit-probe l.npz b.pkl", "b.pkl is a mixture", "latentcli fit-probe l.npz VAE.PTH"),
        (
            "classify a.pth digits b.pkl --split test --fail-under accuracy=0.5 --fail-under macro_f1=0.1",
            "a.pth is a latentcli model",
            "latentcli classify digits a.pth b.pkl --split test --fail-under accuracy=0.5 --fail-under macro_f1=0.1",
        ),
        (
            "hybridize b.pkl a.pth -n 7 --folder it's",
            "b.pkl is a mixture",
            "latentcli hybridize a.pth b.pkl --count 7 --folder 'it'\"'\"'s'",
        ),
        ("encode a.pth digits --pages", "a.pth is a latentcli model", "latentcli encode digits a.pth --pages"),
        ("classify a.pth digits --reject-below 0", "a latentcli model", "classify digits a.pth --reject-below 0.0"),
        ("train-cnn digits a.pth", "a.pth is a latentcli model", "to go on from it: --from a.pth"),
        ("train digits a.pth", "a.pth is a latentcli model", "to go on from it: --continue-from a.pth"),
        ("classify digits a.pth b.pkl --digits 1 4 8", "4 8 behind --digits 1 are no file", "commas: --digits 1,4,8"),
        ("classify digits --digits 1 4 8 a.pth b.pkl", "4 8 behind --digits 1 are no file", "commas: --digits 1,4,8"),
        ("train digits --classes 1 4 8 -o x.pth", "4 8 behind --classes 1 are", "commas: --classes 1,4,8"),
        ("train digits --classes 1,4 8", "8 behind --classes 1,4 is no file", "commas: --classes 1,4,8"),
        ("encode digits a.pth --no-label ? none", "none behind --no-label ? is", "commas: --no-label '?,none'"),
        ("train digits --classes 1,4 a.pth b.pkl", "unexpected extra argument", "(b.pkl)"),
        ("train digits --classes 1,4 a.pth", "a.pth is a latentcli model", "--continue-from a.pth"),
        ("train digits --continue-from b.pkl --gmm b.pkl -o x.pth", "b.pkl is a mixture, and stands where", ""),
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


def test_a_place_that_is_right_is_not_blamed_for_an_output_that_cannot_be_written(call, trained):
    assert call("encode", trained.train, trained.vae).code == 0
    done = call("plot", "latent", "latents.npz", trained.vae, trained.gmm, "-o", "nowhere/a.svg")
    assert (done.code, "nowhere" in done.err, "stands where" in done.err) == (6, True, False), done.err
    done = call("plot", "latent", "latents.npz", trained.vae, "missing.pkl", "-o", "a.svg")
    assert (done.code, "missing.pkl" in done.err, "stands where" in done.err) == (4, True, False), done.err
