"""``-o FILE.parquet``: written by ``encode`` and ``classify``, and read by all that read latents."""

from pathlib import Path

import pyarrow.parquet as pq

from latentcli.formats import scale


def test_latents_in_a_table_are_read_as_those_in_arrays(call, trained):
    for name in ("latents.npz", "latents.parquet"):
        assert call("encode", trained.train, trained.vae, "-o", name).code == 0
        fitted = call("fit-gmm", name, trained.vae, "--labels-per-class", 5, "-o", f"{name}.pkl")
        assert (fitted.code, fitted.err) == (0, "")
        assert call("fit-probe", name, "--probe", "knn", "-o", f"{name}.pth").code == 0
        done = call("classify", name, f"{name}.pth", "-o", f"{name}.csv")
        assert (done.code, done.err) == (0, "")
        assert call("reconstruct", name, trained.vae, "-o", f"{name}.images.npz").code == 0
    for suffix in (".pkl", ".pth", ".csv", ".images.npz"):
        assert Path(f"latents.npz{suffix}").read_bytes() == Path(f"latents.parquet{suffix}").read_bytes(), suffix
    assert "latents" in call("info", "latents.parquet").out
    refused = call("train", "latents.parquet")
    assert (refused.code, "latents.parquet is a latentcli file of latents" in refused.err) == (2, True)
    refused = call("fit-gmm", "latents.parquet", "--classes", "1,4")
    assert (refused.code, "is of images, and latents.parquet holds latents" in refused.err) == (2, True)


def test_labels_in_a_table_are_those_of_the_csv(call, trained):
    for name in ("vae.csv", "vae.parquet"):
        assert call("classify", trained.test, trained.vae, trained.gmm, "-o", name).code == 0
    rows = Path("vae.csv").read_text().splitlines()
    assert pq.read_table("vae.parquet").column("Predicted_Label").to_pylist() == rows[1:]


def test_damaged_tables_are_an_error_of_the_data(call, trained):
    call("encode", trained.test, trained.vae, "-o", "latents.parquet")
    whole = Path("latents.parquet").read_bytes()
    for data in (whole[: len(whole) // 2], whole[:40] + b"\xff" + whole[41:], b"PAR1" + bytes(50) + b"PAR1"):
        Path("latents.parquet").write_bytes(data)
        done = call("fit-gmm", "latents.parquet", trained.vae)
        assert done.code == 3, done.err
        assert len(done.err.splitlines()) <= 3


def test_without_pyarrow_it_is_refused_before_any_work(call, trained, monkeypatch):
    def none(name):
        raise ImportError(name)

    monkeypatch.setattr(scale, "import_module", none)
    for arguments in (["encode", "none", trained.vae], ["classify", "none", trained.vae, trained.gmm]):
        done = call(*arguments, "-o", "table.parquet")
        assert (done.code, "pip install 'latentcli[scale]'" in done.err) == (2, True)
