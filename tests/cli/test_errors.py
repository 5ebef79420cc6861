"""Bad calls: the right exit code, at most three lines, no traceback, and nothing written."""

import io
import os
import resource
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentcli import Labels, Latents, write_latents
from latentcli.cli import console
from latentcli.cli.app import exit_code_of, run

PROGRAM = [sys.executable, "-m", "latentcli"]
CLASSIFY = ["classify", "test.npz", "vae.pth", "gmm_params.pkl"]
SOONEST = ["classify", "unlabelled.npz", "cnn.pth"]
"""What a process of its own does: it has the least to import."""


def listing(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder, and what the regular files hold."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def cnn(tmp_path_factory, trained) -> bytes:
    """A classifier of pixels: it is the soonest to be read, and to label something."""
    path = tmp_path_factory.mktemp("pixels") / "cnn.pth"
    with pytest.raises(SystemExit) as end:
        run(["train-cnn", str(trained.train), "-o", str(path), "--set", "width=4", "--epochs", "1", "-q"])
    assert end.value.code == 0
    return path.read_bytes()


@pytest.fixture
def place(tmp_path, trained, cnn) -> Path:
    """Inputs that are wrong in some way, beside right ones."""
    right = np.load(trained.test)
    (tmp_path / "cnn.pth").write_bytes(cnn)
    for name in ("vae.pth", "gmm_params.pkl", "test.npz", "train.npz"):
        (tmp_path / name).write_bytes((trained.folder / name).read_bytes())
    np.savez(tmp_path / "colour.npz", data=np.zeros((5, 8, 8, 3), np.uint8))
    np.savez(tmp_path / "large.npz", data=np.zeros((5, 16, 16), np.uint8))
    np.savez(tmp_path / "tiny.npz", data=np.zeros((5, 4, 4), np.uint8))
    np.savez(tmp_path / "none.npz", data=np.zeros((0, 8, 8), np.uint8))
    np.savez(tmp_path / "objects.npz", data=np.array([{}], dtype=object))
    np.savez(tmp_path / "nan.npz", data=np.full((5, 8, 8), np.nan))
    np.savez(
        tmp_path / "one_class.npz",
        data=right["data"][right["labels"] == 4],
        labels=right["labels"][right["labels"] == 4],
    )
    np.savez(tmp_path / "unlabelled.npz", data=right["data"])
    np.savez(tmp_path / "constant.npz", data=np.full((60, 8, 8), 7, np.uint8), labels=np.arange(60) % 2)
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "empty").mkdir()
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "a.txt").write_text("no image")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"\x89PNG")
    (tmp_path / "vae_cut.pth").write_bytes((tmp_path / "vae.pth").read_bytes()[:-100])
    (tmp_path / "vae_text.pth").write_text("hello")
    flipped = bytearray((tmp_path / "vae.pth").read_bytes())
    flipped[len(flipped) // 2] ^= 1
    (tmp_path / "vae_flipped.pth").write_bytes(flipped)
    (tmp_path / "gmm_cut.pkl").write_bytes((tmp_path / "gmm_params.pkl").read_bytes()[:-10])
    (tmp_path / "twice.csv").write_text("File,Label\n0,a\n0,b\n")
    (tmp_path / "unknown.csv").write_text("File,Label\n99999,a\n")
    (tmp_path / "headless.csv").write_text("0,a\n1,b\n")
    (tmp_path / "link.csv").symlink_to(tmp_path / "elsewhere.csv")
    (tmp_path / "strange.xyz").write_text("")
    return tmp_path


BAD_CALLS = [
    # (exit code, what the message says, the call)
    (2, "unknown device", "encode test.npz vae.pth --device tpu"),
    (2, "unknown device", "train nowhere --device tpu"),  # before images are read
    (2, "unknown device", "train-cnn nowhere --device tpu"),
    (2, "unknown split", "encode digits vae.pth --split validation"),
    (2, "unknown model family", "train train.npz --model gan"),
    (2, "unknown model family", "train train.npz --model ''"),
    (2, "--max-bad 'x' is neither", "train train.npz --max-bad x"),
    (2, "unknown backbone", "train train.npz --backbone transformer"),
    (2, "unknown loss", "train train.npz --loss l1"),
    (2, "unknown setting", "train train.npz --set colour=red"),
    (2, "key=value", "train train.npz --set colour"),
    (2, "--latent-dim is 0", "train train.npz --latent-dim 0"),
    (2, "lr", "train train.npz --lr -1"),
    (2, "epochs", "train train.npz --epochs 0"),
    (2, "image size", "train train.npz --image-size 4000"),
    (2, "name=number", "classify test.npz vae.pth gmm_params.pkl --fail-under accuracy"),
    (2, "no metric", "classify test.npz vae.pth gmm_params.pkl --fail-under colour=1"),
    (2, "is an input", "reconstruct test.npz vae.pth -o test.npz"),
    (2, "is an input", "encode test.npz vae.pth -o vae.pth"),
    (2, "is an input", "fit-gmm train.npz vae.pth -o vae.pth"),
    (2, "is an input", "hybridize vae.pth gmm_params.pkl -o gmm_params.pkl"),
    (2, "is an input", "classify test.npz vae.pth gmm_params.pkl -o gmm_params.pkl"),
    (2, "is an input", "fit-gmm unlabelled.npz vae.pth --labels twice.csv -o twice.csv"),
    (2, "is an input", "plot reconstructions broken vae.pth -o broken/a.png"),
    (2, "same name", "train train.npz --gmm vae.pth -o vae.pth"),
    (2, "same name", "train train.npz --gmm vae.metrics.jsonl"),
    (2, "name a file", "encode test.npz vae.pth -o -"),
    (2, "--batch-size is 1", "train train.npz --batch-size 1"),
    (2, "name=number", "classify test.npz vae.pth gmm_params.pkl --fail-under accuracy=nan"),
    (2, ".png or .svg", "reconstruct test.npz vae.pth --grid grid.npz"),
    (2, "both want standard output", "classify test.npz vae.pth gmm_params.pkl -o - --json"),
    (2, "no checkpoint", "fit-gmm train.npz"),
    (2, "Missing argument", "classify test.npz"),
    (2, "No such option", "train train.npz --colour"),
    (2, "No such command", "trainn"),
    (2, ".png or .svg", "plot history vae.pth -o picture.bmp"),
    (2, "has no class", "hybridize vae.pth gmm_params.pkl --classes 4,9"),
    (2, "two or more", "hybridize vae.pth gmm_params.pkl --classes 4"),
    (3, "nowhere", "train nowhere"),
    (3, "nowhere.npz", "classify nowhere.npz vae.pth gmm_params.pkl"),
    (3, "empty", "train empty"),
    (3, "words", "train words"),
    (3, "cannot be read", "train broken"),
    (3, "text.npz", "train text.npz"),
    (3, "objects.npz", "train objects.npz"),
    (3, "nan.npz", "train nan.npz"),
    (3, "none.npz", "train none.npz"),
    (3, "tiny.npz", "train tiny.npz"),
    (3, "strange.xyz", "train strange.xyz"),
    (3, "channel", "classify colour.npz vae.pth gmm_params.pkl"),
    (3, "--resize", "classify large.npz vae.pth gmm_params.pkl"),
    (3, "no class '7'", "train train.npz --classes 1,7"),
    (3, "no labels", "train unlabelled.npz --classes 1,4"),
    (3, "no labels", "fit-gmm unlabelled.npz vae.pth"),
    (3, "no labels", "train train.npz unlabelled.npz"),
    (3, "no labels", "plot confusion unlabelled.npz vae.pth gmm_params.pkl"),
    (3, "row 3", "fit-gmm unlabelled.npz vae.pth --labels twice.csv"),
    (3, "row 2", "fit-gmm unlabelled.npz vae.pth --labels unknown.csv"),
    (3, "File", "fit-gmm unlabelled.npz vae.pth --labels headless.csv"),
    (3, "one class", "train one_class.npz"),
    (3, "class", "fit-gmm one_class.npz vae.pth"),
    (3, "10000", "fit-gmm train.npz vae.pth --labels-per-class 10000"),
    (4, "nowhere.pth", "classify test.npz nowhere.pth gmm_params.pkl"),
    (4, "nowhere.pkl", "classify test.npz vae.pth nowhere.pkl"),
    (4, "vae_cut.pth", "classify test.npz vae_cut.pth gmm_params.pkl"),
    (4, "vae_text.pth", "reconstruct test.npz vae_text.pth"),
    (4, "vae_flipped.pth", "encode test.npz vae_flipped.pth"),
    (4, "gmm_cut.pkl", "classify test.npz vae.pth gmm_cut.pkl"),
    (2, "gmm_params.pkl is a mixture", "classify test.npz gmm_params.pkl vae.pth"),
    (6, "no folder", "encode test.npz vae.pth -o missing/latents.npz"),
    (6, "no folder", "train train.npz -o missing/vae.pth"),
    (6, "symbolic link", "classify test.npz vae.pth gmm_params.pkl -o link.csv"),
    (6, "cannot write", "encode test.npz vae.pth -o /proc/latents.npz"),
    (6, "not a regular file", "encode test.npz vae.pth -o empty"),
    (6, "not a regular file", "train train.npz -o /"),
    (6, "not a folder that", "train train.npz --figures vae.pth/pictures"),
]


@pytest.mark.parametrize(("code", "says", "line"), BAD_CALLS, ids=[line for _, _, line in BAD_CALLS])
def test_a_bad_call_says_what_is_wrong_and_writes_nothing(call, place, code, says, line):
    before = listing(place)
    done = call(*line.split())
    assert done.code == code, done.err
    assert says in done.err
    assert done.err.startswith("error: ")
    assert 1 <= len(done.err.splitlines()) <= 3
    assert "Traceback" not in done.err
    assert done.out == ""
    assert listing(place) == before


@pytest.mark.parametrize(
    "line",
    ["train {}", "encode test.npz {}", "classify test.npz vae.pth {}", "fit-probe train.npz vae.pth -o {}", "info {}",
     "hybridize {} gmm_params.pkl", "hybridize vae.pth gmm_params.pkl --near {}", "train unlabelled.npz --labels {}"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["x" * 300, "z/" * 2500])
def test_a_name_longer_than_the_file_system_allows_is_told(call, place, line, name):
    before = listing(place)
    done = call(*line.format(name).split())
    assert done.code in (2, 3, 4, 6), done.err
    assert len(done.err.splitlines()) <= 3
    assert listing(place) == before


def test_a_mixture_of_another_checkpoint_is_refused_with_what_to_do(call, place):
    assert (
        call(
            "train", "train.npz", "-o", "other.pth", "--gmm", "other.pkl", "--epochs", 1, "--set", "width=16", "-q"
        ).code
        == 0
    )
    done = call("classify", "test.npz", "other.pth", "gmm_params.pkl")
    assert done.code == 4
    assert "fitted on another checkpoint" in done.err
    assert "latentcli fit-gmm" in done.err


def test_constant_images_are_refused_before_training_with_what_to_change(call, place):
    done = call("train", "constant.npz", "--epochs", 1, "--set", "width=16", "-q")
    assert done.code == 3, done.err
    assert len(done.err.splitlines()) <= 3


def test_where_only_the_mixture_failed_the_model_is_there_and_a_way_on_works(call, place):
    right = np.load(place / "train.npz")
    first = [int(np.flatnonzero(right["labels"] == name)[0]) for name in (1, 4, 8)]
    np.savez(place / "three images.npz", data=right["data"][first], labels=[1, 4, 8])
    done = call(
        "train", "three images.npz", "--epochs", 1, "--set", "width=16", "-o", "new.pth", "--gmm", "new.pkl", "-q"
    )  # fmt: skip
    assert done.code == 5, done.err
    assert "3 of 3 classes have one labelled image each, and no spread: '1', '4', '8'" in done.err
    assert "--set" not in done.err
    assert "new.pth was written, new.pkl was not" in done.err
    assert (place / "new.pth").exists()
    assert not (place / "new.pkl").exists()
    way_on = shlex.split(done.err.partition("latentcli ")[2])
    assert call(*way_on).code == 0


@pytest.mark.parametrize(("shape", "axis"), [((0, 3, 1, 2), 1), ((0, 1, 2, 3), -1)])
def test_an_array_in_colour_is_made_grey_as_advised(call, place, shape, axis):
    test = np.load(place / "test.npz")
    colour = np.repeat(test["data"][..., None], 3, axis=-1)
    np.savez(place / "colour.npz", data=colour.transpose(shape), labels=test["labels"])
    done = call("classify", "colour.npz", "vae.pth", "gmm_params.pkl", "-q")
    assert (done.code, f"data.mean(axis={axis}).astype(data.dtype)" in done.err) == (3, True), done.err
    np.savez(place / "grey.npz", data=colour.transpose(shape).mean(axis=axis).astype("uint8"), labels=test["labels"])
    assert call("classify", "grey.npz", "vae.pth", "gmm_params.pkl", "-q").code == 0


def latents_of(points: np.ndarray, labels: list[str]) -> str:
    points = points.astype(np.float32)
    given = Latents({"mu": points, "logvar": np.full_like(points, -3)}, "ab" * 32, Labels.of(labels))
    write_latents("of a kind.npz", given)
    return "of a kind.npz"


TIED = ["--covariance", "tied"]
POINTS = np.random.default_rng(4).normal(size=(24, 4))
OF_A_KIND = {
    "each its own class": (POINTS, [*"abcdefghijklmnopqrstuvwx"], "24 of 24 classes have one labelled image", TIED),
    "copies": (POINTS[:3].repeat(8, 0), [*"aaaaaaaabbbbbbbbcccccccc"], "have 8 labelled images, all alike", TIED),
    "one alone": (POINTS[[0, *range(1, 12), *[12] * 12]], [*"aaaaaaaaaaaabbbbbbbbbbbb"], "", []),
    "two a class": (POINTS, [*"aabbccddeeffgghhiijjkkllmm"][:24], "", []),
    "more components": (POINTS, [*"ab"] * 12, "ask for fewer --components", ["--components", "8"]),
    "constant": (POINTS * 0 + 1, [*"ab"] * 12, "train the model longer", None),
}  # fmt: skip


@pytest.mark.parametrize("kind", OF_A_KIND)
def test_latents_that_no_mixture_fits_are_told_with_a_way_on_that_works(call, place, kind):
    points, labels, says, way_on = OF_A_KIND[kind]
    line = ["fit-gmm", latents_of(points, labels), *(["--components", 30] if kind == "more components" else [])]
    done = call(*line, "-o", "new.pkl")
    assert (done.code, says in done.err) == (5 if says else 0, True), done.err
    assert len(done.err.splitlines()) <= 3
    assert "Warning" not in done.err
    if way_on:
        again = call(*line[:2], *way_on, "-o", "new.pkl")
        assert (again.code, again.err) == (0, "")


def test_each_image_a_class_of_its_own(call, place):
    digits = np.load(place / "train.npz")["data"][:12]
    np.savez(place / "own.npz", data=digits, labels=np.arange(12))
    small = ["--epochs", 1, "--backbone", "mlp", "--set", "width=16", "--latent-dim", 4]
    done = call("train", "own.npz", *small, "-o", "new.pth", "--gmm", "new.pkl")
    assert (done.code, "12 of 12 classes have one labelled image each" in done.err) == (5, True), done.err
    assert "Warning" not in done.err
    for line in (shlex.split(done.err.partition("latentcli ")[2]),
                 ["fit-gmm", "own.npz", "new.pth", "--covariance", "tied", "-o", "new.pkl"]):  # fmt: skip
        again = call(*line)
        assert (again.code, "Warning" in again.err) == (0, False), again.err
    assert call("classify", "own.npz", "new.pth", "new.pkl", "--fail-under", "accuracy=1").code == 0


def test_names_with_terminal_escapes_are_printed_escaped(call, tmp_path):
    folder = tmp_path / "\x1b[31mred\n"
    folder.mkdir()
    done = call("train", folder)
    assert done.code == 3
    assert "\x1b" not in done.err
    assert len(done.err.splitlines()) <= 3


def test_a_full_disk_leaves_the_old_file_as_it_was(place):
    old = b"the old latents"
    (place / "latents.npz").write_bytes(old)
    done = subprocess.run(
        [*PROGRAM, "encode", "test.npz", "vae.pth"],
        cwd=place,
        env=environment(),
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    assert done.returncode == 6, done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert (place / "latents.npz").read_bytes() == old
    assert not list(place.glob(".*"))


def into_a_closed_pipe(place, *arguments: str) -> subprocess.CompletedProcess:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=place,
        env=environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    return done


def test_a_pipe_whose_reader_has_enough_ends_without_a_word(place):
    done = into_a_closed_pipe(place, *SOONEST, "-o", "-")
    assert done.returncode == 6
    assert "rror" not in done.stderr
    assert "ipe" not in done.stderr


def test_help_that_nobody_reads_is_no_defect(place):
    done = into_a_closed_pipe(place, "train", "--help")
    assert (done.returncode, done.stderr) == (6, "")


def test_a_full_standard_output_is_an_error_of_the_output(place):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PROGRAM, *SOONEST, "-o", "-"],
            cwd=place,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 6
    assert "standard output" in done.stderr
    assert len(done.stderr.splitlines()) <= 3


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["train", "--help"], ["study"], []], ids=str)
def test_help_that_a_full_standard_output_does_not_take(place, words):
    for unbuffered in ("", "1"):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [*PROGRAM, *words], cwd=place, env=environment() | {"PYTHONUNBUFFERED": unbuffered}, stdout=full,
                stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        assert done.returncode == 6
        assert done.stderr == "error: cannot write to standard output\n  No space left on device\n"


def test_the_version_that_nobody_reads_is_no_defect(place):
    done = into_a_closed_pipe(place, "--version")
    assert (done.returncode, done.stderr) == (6, "")


@pytest.mark.parametrize("more", [["-o", "-"], ["-o", "new.csv"], ["-o", "new.csv", "--json"]], ids=str)
def test_whatever_is_written_to_a_full_standard_output(place, capsys, monkeypatch, more):
    """As before, without a process of its own: tables, results and JSON all take the same way."""
    monkeypatch.chdir(place)
    arguments = ["classify", "test.npz", "vae.pth", "gmm_params.pkl", *more]
    with Path("/dev/full").open("w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as end:
            run(arguments)
    assert end.value.code == 6
    message = capsys.readouterr().err
    assert "standard output" in message
    assert len(message.splitlines()) <= 3


def test_names_that_spreadsheets_take_for_formulas_can_be_read_back_as_labels(call, place):
    folder = place / "odd"
    folder.mkdir()
    for name in ("-x.png", "=cmd().png", "plain.png"):
        Image.fromarray(np.load("test.npz")["data"][0]).save(folder / name)
    assert call("classify", folder, "vae.pth", "gmm_params.pkl", "-o", "odd.csv").code == 0
    table = Path("odd.csv").read_text().replace("Predicted_Label,Probability", "Label,Probability")
    assert "'=cmd().png" in table
    Path("labels.csv").write_text(table)
    assert call("classify", folder, "vae.pth", "gmm_params.pkl", "--labels", "labels.csv").code == 0


def test_a_read_only_folder_is_refused_before_any_work(call, place):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    (place / "empty").chmod(0o500)
    done = call("encode", "test.npz", "vae.pth", "-o", "empty/latents.npz")
    assert done.code == 6
    assert "read-only" in done.err


def test_a_folder_of_another_size_and_mode_is_brought_to_the_models(call, place):
    folder = place / "photos"
    folder.mkdir()
    Image.new("RGB", (300, 200), "red").save(folder / "a.jpg")
    assert call("classify", folder, "vae.pth", "gmm_params.pkl", "-q").code == 0


def in_shell(place, line: str, call: list[str] = SOONEST, **more: str) -> subprocess.CompletedProcess:
    """A process of its own, which takes seconds to start: for what only such a one has."""
    line = f"{shlex.join([*PROGRAM, *call])} {line}"
    return subprocess.run(["sh", "-c", line], cwd=place, env=environment() | more, capture_output=True, timeout=120)


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_error_where_a_file_was_asked_for(place, closed):
    done = in_shell(place, closed)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert (place / "vae.csv").read_text().startswith("Predicted_Label\n")


@pytest.mark.parametrize("absent", [["stdout"], ["stderr"], ["stdout", "stderr"]])
def test_absent_streams_are_no_error_where_a_file_was_asked_for(call, place, monkeypatch, absent):
    """As Python has them where they were closed when it started."""
    with monkeypatch.context() as patch:
        for name in absent:
            patch.setattr(sys, name, None)
        done = call(*CLASSIFY)
    assert done.code == 0
    assert (place / "vae.csv").read_text().startswith("Predicted_Label\n")


@pytest.mark.parametrize("more", [["-o", "-"], ["--json"]])
def test_an_absent_stdout_is_an_error_where_it_was_asked_for(call, place, monkeypatch, more):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        done = call(*CLASSIFY, *more)
    assert (done.code, "standard output" in done.err) == (6, True)


def test_a_closed_stdout_is_an_error_where_it_was_asked_for(place):
    done = in_shell(place, "-o - >&-")
    assert (done.returncode, b"standard output" in done.stderr) == (6, True)


@pytest.mark.parametrize("line", ["-o /dev/stdout | cat > got", "-o /dev/fd/3 3> got > rest"])
def test_tables_go_to_any_descriptor(place, line):
    done = in_shell(place, line)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert (place / "got").read_text().splitlines()[0] == "Predicted_Label"
    assert set((place / "got").read_text().split()[1:]) <= {"1", "4", "8"}


@pytest.mark.parametrize("output", console.STDOUT)
def test_tables_go_to_stdout_by_all_its_names(call, place, output):
    done = call(*CLASSIFY, "-o", output)
    assert (done.code, done.out.splitlines()[0]) == (0, "Predicted_Label")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-16"])
def test_the_table_on_stdout_is_utf_8_whatever_the_encoding(call, place, monkeypatch, encoding):
    np.savez(place / "test.npz", data=np.load(place / "test.npz")["data"][:20], labels=np.array(["Größe", "猫"] * 10))
    assert call("fit-gmm", "test.npz", "vae.pth", "-o", "gmm_params.pkl", "--covariance", "tied").code == 0
    stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        assert call(*CLASSIFY, "-o", "-").code == 0
    assert set(stdout.buffer.getvalue().decode("utf-8").splitlines()) <= {"Predicted_Label", "Größe", "猫"}
    if encoding == "ascii":  # once as a process has it
        done = in_shell(place, "-o -", CLASSIFY, PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stdout) == (0, stdout.buffer.getvalue())


def test_a_model_does_not_go_to_a_stream(call, place):
    done = call("train", "train.npz", "-o", "/dev/stdout")
    assert (done.code, "cannot write a model to the stream" in done.err) == (6, True)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent), "OMP_NUM_THREADS": "1"}


def test_an_interrupt_as_the_program_ends_is_not_told(tmp_path):
    program = "import atexit, os, signal; atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
    program += "from latentcli.__main__ import main; main()"
    call = [sys.executable, "-c", program, "--version"]
    done = subprocess.run(call, capture_output=True, text=True, check=False, env=environment(), preexec_fn=heeding)
    assert (done.returncode, done.stderr) == (0, "")


def heeding() -> None:
    """What a shell runs in the background ignores SIGINT, and so does all that it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_working_folder_that_is_gone_is_told_before_libraries_are_loaded(tmp_path, trained):
    (tmp_path / "gone").mkdir()
    gone = str(tmp_path / "gone")
    program = f"import os; os.chdir({gone!r}); os.rmdir({gone!r}); from latentcli.__main__ import main; main()"
    alone = [sys.executable, "-P"]  # as of an installed program, whose modules are not looked for where it is called
    done = subprocess.run(
        [*alone, "-c", program, "info", str(trained.vae)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert (done.returncode, done.stderr) == (2, "error: the working folder is gone\n  change to another one: cd\n")


@pytest.mark.parametrize(("problem", "told"), [
    (MemoryError(), "raise its limit"), (RuntimeError("could not create a primitive"), "could not create a primitive"),
    (ImportError("libtorch.so: failed to map segment from shared object"), "failed to map segment"),
])  # fmt: skip
def test_too_little_memory_is_no_traceback(capsys, problem, told):
    def fails():
        raise problem

    assert exit_code_of(fails) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: there is not enough memory")
    assert told in err
    with pytest.raises(RuntimeError, match="another"):
        exit_code_of(lambda: (_ for _ in ()).throw(RuntimeError("another")))


def test_outputs_of_one_call_are_apart_and_pictures_in_no_folder_that_is_read(call, trained):
    Path("photos").mkdir()
    for number in range(6):
        Image.new("L", (8, 8), 40 * number).save(f"photos/{number}.png")
    done = call("classify", "photos", trained.vae, trained.gmm, "--figures", "photos")
    assert (done.code, "its pictures would be read as images" in done.err) == (2, True), done.err
    for clash in (["-o", "r.html"], ["--figures", "r.html"]):
        done = call("classify", trained.test, trained.vae, trained.gmm, "--report", "r.html", *clash)
        assert (done.code, "two outputs have the same name" in done.err) == (2, True), done.err
    assert not Path("r.html").exists()
