"""``latentcli info``: what files are, for people and for scripts; a file that is damaged or hostile is an error."""

import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import latentcli as lc
from latentcli.artifacts import checkpoint

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
SAID = {
    "vae.pth": ["checkpoint of a latent model", "image_shape", "latent_dim", "1, 4, 8"],
    "vqvae.pth": ["checkpoint of a latent model", "vqvae", "codebook"],
    "fsq.pth": ["checkpoint of a latent model", "fsq"],
    "cnn.pth": ["classifier of pixels", "cnn", "1, 4, 8"],
    "gmm_params.pkl": ["mixture", "covariance_type", "full"],
    "probe.pth": ["probe", "linear"],
    "probe_knn.pth": ["probe", "knn"],
    "latents.npz": ["latents", "12", "logvar 12, 5"],
    "codes.npz": ["latents", "codes 12, 4, 4"],
    "hybrids.npz": ["hybrids", "mean_confidence"],
}


@pytest.mark.parametrize("name", SAID)
def test_each_kind_of_file_says_what_it_is(call, name):
    done = call("info", GOLDEN / name)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(str(GOLDEN / name))
    assert done.out.splitlines()[1].split(maxsplit=1) == ["kind", SAID[name][0]]
    for said in SAID[name]:
        assert said in " ".join(done.out.split()), said


@pytest.mark.parametrize("name", SAID)
def test_json_is_one_object_that_says_the_same(call, name):
    done = call("info", GOLDEN / name, "--json")
    assert (done.code, done.err, len(done.out.splitlines())) == (0, "", 1)
    assert done.json["kind"]
    assert done.json["kind"] in call("info", GOLDEN / name).out


def test_files_that_fit_each_other_say_so(call, trained, tiny):
    assert call("encode", trained.test, trained.vae, "-o", "latents.npz", "-q").code == 0
    assert call("train", trained.train, "-o", "other.pth", "--gmm", "other.pkl", *tiny).code == 0
    files = [trained.vae, trained.gmm, "latents.npz", "other.pth", "other.pkl"]
    done = call("info", *files)
    assert done.code == 0, done.err
    fits = [line.split("fits")[1].strip() for line in done.out.splitlines() if line.startswith("  fits ")]
    assert fits == [str(trained.vae), str(trained.vae), "other.pth"]
    found = call("info", *files, "--json").json["files"]
    assert list(found) == [str(path) for path in files]
    fingerprint = checkpoint.read(trained.vae).fingerprint
    assert found[str(trained.vae)]["fingerprint"] == found[str(trained.gmm)]["fitted_on"] == fingerprint
    assert found["latents.npz"]["checkpoint"] == fingerprint
    assert found["other.pkl"]["fitted_on"] == found["other.pth"]["fingerprint"] != fingerprint


class Attack:
    def __reduce__(self):
        return os.system, ("touch run",)


def archive(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for name, data in members.items():
            opened.writestr(name.replace("__", "/").replace("_dot_", "."), data)
    return file.getvalue()


OBJECTS = b"\x93NUMPY\x01\x00\x46\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(80)
"""The beginning of an array whose elements are pickled."""

HOSTILE = {
    "pickle.pkl": pickle.dumps(Attack()),
    "pickle.pth": archive(vae__data_dot_pkl=pickle.dumps(Attack()), vae__version=b"3"),
    "objects.npz": archive(mu_dot_npy=OBJECTS + pickle.dumps(Attack())),
    "cut.pth": (GOLDEN / "vae.pth").read_bytes()[:-50],
    "cut.npz": (GOLDEN / "latents.npz").read_bytes()[:-50],
    "cut.pkl": (GOLDEN / "gmm_params.pkl").read_bytes()[:-50],
    "text.txt": b"hello",
    "empty": b"",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_damaged_and_hostile_files_end_with_their_code_and_run_nothing(call, name):
    Path(name).write_bytes(HOSTILE[name])
    for arguments in ([name], [name, "--json"], [GOLDEN / "vae.pth", name]):
        done = call("info", *arguments)
        assert done.code in (3, 4), done.err
        assert done.err.startswith("error: ")
        assert name in done.err
        assert len(done.err.splitlines()) <= 3
        assert done.out == ""
    assert not Path("run").exists()


def test_what_is_not_there_or_no_file_ends_with_four(call):
    Path("folder").mkdir()
    os.mkfifo("pipe")
    for name in ("nowhere.pth", "folder", "pipe"):
        done = call("info", name)
        assert (done.code, name in done.err, done.out) == (4, True, ""), done.err
    assert call("info").code == 2


def test_names_with_escapes_are_printed_escaped(call):
    name = "\x1b[31mred.npz"
    np.savez(name, mu=np.zeros((2, 3), np.float32), logvar=np.zeros((2, 3), np.float32), checkpoint="a" * 64)
    done = call("info", name)
    assert "\x1b" not in done.out + done.err


@pytest.mark.parametrize("name", ["gmm_params.pkl", "latents.npz", "hybrids.npz"])
def test_files_without_a_network_are_told_of_without_torch(name):
    code = f"""
import sys
from latentcli.cli.app import run
import latentcli.cli
try:
    run(["info", {str(GOLDEN / name)!r}])
except SystemExit as end:
    assert end.code == 0, end.code
assert {{"torch", "sklearn", "matplotlib"}}.isdisjoint(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_model_whose_latents_have_collapsed_says_so_at_the_end_and_in_info(call, trained):
    small = ["--backbone", "mlp", "--set", "width=32", "--latent-dim", 8, "--set", "components=1", "--epochs", 20]
    done = call("train", trained.train, "--no-classes", *small, "--beta", 10_000)
    assert done.code == 0, done.err
    assert "the posterior has collapsed: latents hold 0.0" in done.err
    assert "a lower --beta may help" in done.err
    (told,) = call("info", "vae.pth", "--json").json["notes"]
    assert (told,) == lc.load_model("vae.pth").notes
    assert "the posterior has collapsed" in call("info", "vae.pth").out
    assert lc.load_model(trained.vae).notes == lc.load_classifier(trained.gmm).notes == ()
    assert "notes" not in call("info", trained.vae, trained.gmm).out


def test_a_mixture_of_which_one_cluster_has_nearly_all_images_says_so(call):
    points = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    points[:12] += 30
    labels = lc.Labels.of([*["far"] * 6, *[""] * 6, *["near"] * 6, *[""] * 382])
    latents = lc.Latents({"mu": points, "logvar": np.full_like(points, -4)}, "0" * 64, labels)
    lc.write_latents("latents.npz", latents)
    done = call("fit-gmm", "latents.npz", "--components", 2)
    assert done.code == 0, done.err
    told = "one of the mixture's 2 clusters holds 0.970 of the images"
    assert told in done.err
    assert told in call("info", "gmm_params.pkl").out
    assert lc.load_classifier("gmm_params.pkl").notes[0].startswith(told)
