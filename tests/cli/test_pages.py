"""``--pages`` on the command line: stacks are trained on, classified, and their table is read again."""

import numpy as np
import pytest
from PIL import Image

import latentcli as lc


def test_stacks_go_through_all_commands(call, tmp_path, tiny):
    shades = np.random.default_rng(0).integers(0, 200, (2, 12, 8, 8)).astype(np.uint8)
    shades[1, :, 2:6, 2:6] = 255
    for name, pages in zip("ab", shades, strict=True):
        (tmp_path / "set" / name).mkdir(parents=True)
        frames = [Image.fromarray(page) for page in pages]
        frames[0].save(tmp_path / "set" / name / "stack.tif", save_all=True, append_images=frames[1:])
    loud = [part for part in tiny if part != "-q"]
    told = call("train", "set", *loud)
    assert "only the first page is read in 2 file(s), such as a/stack.tif; --pages makes an image of each" in told.err
    assert call("train", "set", "--pages", *tiny).code == 0
    assert call("classify", "set", "vae.pth", "gmm_params.pkl", "--pages").code == 0
    rows = (tmp_path / "vae.csv").read_text().splitlines()
    assert len(rows) == 25
    assert rows[4].startswith("a/stack.tif[3],")
    again = call("evaluate", "set", "vae.pth", "gmm_params.pkl", "--pages", "--labels", "vae.csv", "--json")
    assert (again.code, again.json["accuracy"]) == (0, 1.0)
    twin = lc.load("set", pages=True)
    assert twin.files[3] == "a/stack.tif[3]"
    assert lc.load_model("vae.pth").training["data"]["images"] == 24
    found = call("encode", "set", "vae.pth", "--pages")
    assert (found.code, len(np.load("latents.npz")["files"])) == (0, 24)
    wrong = call("classify", "latents.npz", "probe.pth", "--pages")
    assert wrong.code in (2, 4)


@pytest.mark.parametrize(
    ("suffix", "kind", "files"), [("tif", "u1", 3), ("tif", "u2", 3), ("gif", "u1", 2), ("tif", "f4", 1)]
)
def test_files_whose_first_pages_are_black_are_refused_with_the_option_that_reads_the_others(
    call, tmp_path, tiny, suffix, kind, files
):
    shades = np.random.default_rng(1).integers(0, 256, (files, 24, 8, 8))
    shades[:, 0] = 0
    shades[:, 1, 0, 0] = 255
    (tmp_path / "set").mkdir()
    for number, pages in enumerate(shades):
        scaled = pages / 255 if kind == "f4" else pages * (257 if kind == "u2" else 1)
        frames = [Image.fromarray(page.astype(kind)) for page in scaled]
        frames[0].save(tmp_path / "set" / f"{number}.{suffix}", save_all=True, append_images=frames[1:])
    refused = call("train", "set", *tiny)
    assert refused.code != 0
    assert ("are the same: nothing can be learned" if files > 1 else "one image, too few") in refused.err
    assert "or read the other pages of their files, too, by --pages" in refused.err
    done = call("train", "set", "--pages", *tiny)
    assert done.code == 0, done.err
    again = call("train", "set", "--pages", *tiny, "-o", "again.pth")
    assert "by --pages" not in again.err
