"""What cannot be right: files and folders by the place they stand in, names of none, whole calls, and environments."""

import gzip
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

Make = Callable[[Path], object]


def _beside(path: Path, name: str) -> bytes:
    """What a right file of the folder above holds."""
    return (path.parent.parent / name).read_bytes()


def wrote(content: bytes | Callable[[Path], bytes]) -> Make:
    """Makes a file of this content, or of what is made of right files beside it."""

    def make(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content(path))

    return make


def cut(name: str, part: float) -> Make:
    return wrote(lambda path: _beside(path, name)[: int(len(_beside(path, name)) * part)])


def flipped(name: str, part: float) -> Make:
    def content(path: Path) -> bytes:
        data = bytearray(_beside(path, name))
        data[int(len(data) * part)] ^= 0x10
        return bytes(data)

    return wrote(content)


def copied(name: str) -> Make:
    return wrote(lambda path: _beside(path, name))


def empty_folder(path: Path) -> None:
    path.mkdir(parents=True)


def pipe(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


def link_to(target: str) -> Make:
    def make(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    return make


def arrays(**given: object) -> Make:
    def make(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path.open("wb"), **{name: np.asarray(value) for name, value in given.items()})

    return make


def one_array(array: object) -> Make:
    def make(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path.open("wb"), np.asarray(array))

    return make


def torch_file(value: object) -> Make:
    def make(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(value, path)

    return make


def files(**content: bytes) -> Make:
    """A folder of files, ``__`` in whose names stands for a dot, ``_in_`` for a slash before it."""

    def make(path: Path) -> None:
        for name, data in content.items():
            *folders, file = name.replace("__", ".").split("_in_")[::-1]
            target = path.joinpath(*folders, file)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

    return make


def zipped(**content: bytes) -> Make:
    def make(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in content.items():
                archive.writestr(name.replace("__", "."), data)

    return make


def pictures(*images: np.ndarray) -> Make:
    """A folder of PNG files."""

    def make(path: Path) -> None:
        path.mkdir(parents=True)
        for row, image in enumerate(images):
            Image.fromarray(image).save(path / f"{row}.png")

    return make


class _Runs:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch attacked",)


_BROKEN = {
    "nothing": wrote(b""), "one byte": wrote(b"\0"), "text": wrote(b"hello\n"), "zeros": wrote(bytes(5000)),
    "noise": wrote(np.random.default_rng(0).bytes(5000)), "a folder": empty_folder, "a pipe": pipe,
    "a loop": lambda path: link_to(path.name)(path), "a dangling link": link_to("nowhere"),
    "html": wrote(b"<!DOCTYPE html><html>404"),
    "LFS pointer": wrote(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"),
    "json": wrote(b"{}"), "a device": link_to("/dev/zero"), "an empty zip": zipped(), "a zip": zipped(a__txt=b"a"),
    "code": wrote(pickle.dumps(_Runs())),
}  # fmt: skip
"""What no reader can use, whatever its kind."""


def _broken(suffix: str, *without: str) -> dict[str, Make]:
    return {f"{name}{suffix}": make for name, make in _BROKEN.items() if name not in without}


X = np.random.default_rng(0).integers(0, 255, (12, 8, 8)).astype(np.uint8)
Y = np.array([*"aabbccaabbcc"])
_NAN, _HUGE = np.full((12, 4), np.nan, np.float32), np.full((12, 4), 3e38, np.float32)
_GOOD = np.zeros((12, 4), np.float32)
_SHA = "ab" * 32


FILES: dict[str, dict[str, Make]] = {
    "model": {
        **_broken(".pth"), "cut early.pth": cut("vae.pth", 0.1), "cut late.pth": cut("vae.pth", 0.99),
        "flipped early.pth": flipped("vae.pth", 0.05), "flipped.pth": flipped("vae.pth", 0.5),
        "flipped late.pth": flipped("vae.pth", 0.97),
        "a mixture.pth": copied("gmm.pkl"), "a probe.pth": copied("probe.pth"), "a graph.pth": copied("graph.npz"),
        "latents.pth": copied("latents.npz"), "images.pth": copied("train.npz"),
        "a state dict.pth": torch_file({"weight": torch.zeros(3)}), "a tensor.pth": torch_file(torch.zeros(3)),
        "a list.pth": torch_file([1, 2]), "another format.pth": torch_file({"format": "other", "version": 1}),
        "no entries.pth": torch_file({"format": "latentcli-checkpoint", "version": 1}),
        "a later version.pth": torch_file({"format": "latentcli-checkpoint", "version": 99}),
        "sparse.pth": torch_file({"a": torch.eye(3).to_sparse()}), "complex.pth": torch_file(torch.zeros(2) * 1j),
    },
    "classifier": {
        **_broken(".pkl"), "cut.pkl": cut("gmm.pkl", 0.5), "flipped.pkl": flipped("gmm.pkl", 0.5),
        "flipped late.pkl": flipped("gmm.pkl", 0.98), "a model.pkl": copied("vae.pth"),
        "latents.pkl": copied("latents.npz"), "a dict.pkl": wrote(pickle.dumps({"weights": np.ones(3)})),
        "a list.pkl": wrote(pickle.dumps([1])), "a number.pkl": wrote(pickle.dumps(1)),
        "protocol 0.pkl": wrote(pickle.dumps({"a": 1}, 0)), "cut graph.npz": cut("graph.npz", 0.7),
        "flipped graph.npz": flipped("graph.npz", 0.5), "arrays.npz": arrays(a=[1, 2]),
        "cut probe.pth": cut("probe.pth", 0.7),
    },
    "prior": {
        **_broken(" prior.pth"), "a model as prior.pth": copied("vae.pth"), "another as prior.pth": copied("vqvae.pth"),
        "cut prior.pth": cut("prior.pth", 0.5), "flipped prior.pth": flipped("prior.pth", 0.5),
    },
    "data": {
        **_broken(".npz"), **_broken(".png", "a folder"), **_broken(".tar.gz", "a folder"),
        "cut.npz": cut("train.npz", 0.6), "flipped.npz": flipped("train.npz", 0.3),
        "no images.npz": arrays(data=np.zeros((0, 8, 8), np.uint8)), "one dimension.npz": arrays(data=np.zeros(9)),
        "five dimensions.npz": arrays(data=np.zeros((2, 2, 2, 2, 2))), "objects.npz": arrays(data=np.array([{}, 1])),
        "text array.npz": arrays(data=np.array(["a", "b"])), "NaN.npz": arrays(data=np.full((5, 8, 8), np.nan)),
        "infinite.npz": arrays(data=np.full((5, 8, 8), np.inf)), "complex.npz": arrays(data=X * 1j),
        "large numbers.npz": arrays(data=X.astype(float) * 1e30), "one pixel.npz": arrays(data=X[:, :1, :1]),
        "too few labels.npz": arrays(data=X, labels=Y[:5]), "nested labels.npz": arrays(data=X, labels=[[1, 2]] * 12),
        "two sets.npz": arrays(a=X, b=X[::-1]), "flat.npy": one_array(np.zeros(64)), "objects.npy": one_array([{}]),
        "dates.npy": one_array(np.zeros(5, "M8[s]")), "a header.npy": wrote(b"\x93NUMPY\x01\0\x76\0{'descr'"),
        "claims.npy": wrote(b"\x93NUMPY\x01\0" + struct.pack("<H", 60) +
                            b"{'descr':'|u1','fortran_order':False,'shape':(99999999999,)}"),
        "words": files(a__txt=b"a", b__md=b"b"), "broken pictures": files(a__png=b"\x89PNG", b__png=b"GIF89a"),
        "empty pictures": files(a__png=b"", b__jpg=b""), "empty classes": lambda path: (path / "a").mkdir(parents=True),
        "cut picture.jpg": wrote(b"\xff\xd8\xff\xe0" + bytes(50)), "a table.csv": wrote(b"1,2\n3,4\n"),
        "matlab.mat": wrote(b"MATLAB 5.0 MAT-file" + bytes(200)), "hdf.h5": wrote(b"\x89HDF\r\n\x1a\n" + bytes(200)),
        "a model.npz": copied("vae.pth"), "a mixture.npz": copied("gmm.pkl"), 
        "graph as images.npz": copied("graph.npz"), "short-images-idx3-ubyte": wrote(b"\0\0\x08\x03\0\0\0\x05"),
        "magic-images-idx3-ubyte": wrote(b"\0\0\x09\x03"),
        "gz-images-idx3-ubyte.gz": wrote(gzip.compress(b"\0\0\x08\x03")[:-4]), "parquet.parquet": wrote(b"PAR1xxPAR1"),
        "up.zip": zipped(**{"../up.png": b"a"}),
        "escape \x1b[31m": empty_folder, "line\nbreak": empty_folder,
    },
    "one image": {"one image only.npz": arrays(data=X[:1])},
    "labels": {
        **_broken(".csv"), **_broken(".json", "json"), "no header.csv": wrote(b"0,a\n1,b\n"),
        "header alone.csv": wrote(b"File,Label\n"), "out of range.csv": wrote(b"File,Label\n999999,a\n"),
        "negative.csv": wrote(b"File,Label\n-7,a\n"), "twice.csv": wrote(b"File,Label\n0,a\n0,b\n"),
        "files that are none.csv": wrote(b"File,Label\nx.png,a\ny.png,b\n"), 
        "open quote.csv": wrote(b'File,Label\n"0,a\n'),
        "one column.csv": wrote(b"Label\na\nb\n"), "null.csv": wrote(b"File,Label\n0,a\0\n"),
        "too few.npy": one_array(Y[:3]), "floats.npy": one_array(X[0] / 7),
        "a list.json": wrote(b"[1, 2]"), "deep.json": wrote(b"[" * 100_000), "numbers.json": wrote(b'{"0": {"a": 1}}'),
        "workbook.xlsx": zipped(**{"[Content_Types].xml": b"<a/>"}),
    },
    "latents": {
        "cut latents.npz": cut("latents.npz", 0.6), "flipped latents.npz": flipped("latents.npz", 0.4),
        "NaN latents.npz": arrays(mu=_NAN, logvar=_GOOD, checkpoint=_SHA),
        "huge latents.npz": arrays(mu=_HUGE, logvar=_HUGE, checkpoint=_SHA),
        "shapes.npz": arrays(mu=_GOOD, logvar=_GOOD[:3], checkpoint=_SHA), "flat latents.npz": arrays(mu=[1.0, 2.0]),
        "text latents.npz": arrays(mu=np.array([["a", "b"]])), "none.npz": arrays(mu=_GOOD[:0], logvar=_GOOD[:0]),
        "labels too many.npz": arrays(mu=_GOOD, logvar=_GOOD, checkpoint=_SHA, labels=np.arange(99)),
        "cut latents.parquet": cut("latents.parquet", 0.8), "flipped latents.parquet": flipped("latents.parquet", 0.9),
    },
    "hybrids": {
        **_broken(" hybrids.npz"), "cut hybrids.npz": cut("hybrids.npz", 0.7),
        "flipped hybrids.npz": flipped("hybrids.npz", 0.3), "images alone.npz": arrays(images=X),
        "no sums.npz": arrays(images=X, soft_labels=np.ones((12, 3)), classes=np.array(["1", "4", "8"])),
        "negative labels.npz": arrays(images=X, soft_labels=np.array([[-1.0, 1, 1]] * 12), classes=np.array([*"148"])),
        "other counts.npz": arrays(images=X, soft_labels=np.eye(3), classes=np.array([*"148"])),
        "other classes.npz": arrays(images=X, soft_labels=np.eye(3)[[0] * 12], classes=np.array(["x", "y", "z"])),
        "other sizes.npz": arrays(images=X[:, :4], soft_labels=np.eye(3)[[0] * 12], classes=np.array([*"148"])),
    },
    "weights": {
        **_broken(".safetensors"), "cut.safetensors": cut("weights/weights.safetensors", 0.5),
        "claims.safetensors": wrote(struct.pack("<Q", 2**60) + b"{}"),
        "header.safetensors": wrote(struct.pack("<Q", 9) + b'{"a": [}}'),
        "other weights.safetensors": wrote(
            struct.pack("<Q", 62) + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(62) + bytes(4)
        ),
    },
    "file": _broken(" file"),
    "output": {"folder": empty_folder, "link": link_to("somewhere"), "loop": link_to("loop")},
}  # fmt: skip
"""Makers by place and name."""

MISSING = {
    "model": ("nowhere.pth", "no/where.pth", "x" * 300, "vae.pth/x", ".", "/dev/null", "~nobody/vae.pth"),
    "classifier": ("nowhere.pkl", "no/where.npz", "gmm.pkl/x", "/dev/null"),
    "prior": ("nowhere.pth", "vae.pth/x"),
    "data": ("nowhere", "nowhere.npz", "no/where", "mnits", "train.npz/x", "x" * 300, "/dev/null", "*.nothing",
             "shards/{00005..00009}.tar", "shards/{00002..00001}.tar", "s3:/x", "", " "),
    "labels": ("nowhere.csv", "photos", "train.npz/x"),
    "latents": ("no latents.npz",),
    "hybrids": ("nowhere.npz", "photos", "latents.npz"),
    "weights": ("nowhere.safetensors", "vae.pth", "latents.npz"),
    "output": ("no/folder.x", "train.npz/x.y", "/proc/x", "/proc/self/x.y", "x" * 300,
               "/dev/full", "", "/"),
}  # fmt: skip
"""Names of what is not there, or is no such thing, or must not be written to."""

LINES = {
    2: (
        "nonsense", "train", "train train.npz --nonsense", "train train.npz --epochs", "train train.npz --epochs x",
        "train train.npz --epochs 0", "train train.npz --epochs -1", "train train.npz --epochs 1e9",
        "train train.npz --lr nan", "train train.npz --lr inf", "train train.npz --lr 0", "train train.npz --lr -1",
        "train train.npz --batch-size 1", "train train.npz --latent-dim 0", "train train.npz --latent-dim 99999",
        "train train.npz --seed -1", "train train.npz --seed 1e3", "train train.npz --beta nan",
        "train train.npz --beta -1", "train train.npz --loss nonsense", "train train.npz --loss ''",
        "train train.npz --model nonsense", "train train.npz --model ''", "train train.npz --backbone nonsense",
        "train train.npz --set x", "train train.npz --set =", "train train.npz --set =1", "train train.npz --set x=",
        "train train.npz --set nonsense=1", "train train.npz --set width=nan", "train train.npz --set width=1e999",
        "train train.npz --set width=-5", "train train.npz --set images=3", "train train.npz --set width=9999999999",
        "train train.npz --views nonsense", "train train.npz --encoder nonsense", "train train.npz --encoder ''",
        "train train.npz --encoder timm:nonsense", "train train.npz --image-size 0", "train train.npz --image-size -3",
        "train train.npz --image-size 99999", "train train.npz --device nonsense", "train train.npz --device cuda:99",
        "train train.npz --labels-per-class 0", "train train.npz --labels-per-class -2", "train train.npz --split x",
        "train train.npz --range x", "train train.npz --range 5,1",
        "train train.npz --range nan", "train train.npz --range 1,2,3", "train train.npz --max-bad x",
        "train train.npz --max-bad -1", "train train.npz --max-bad 200%", "train train.npz --background nonsense",
        "train train.npz --resize", "train train.npz --report page.txt", "train train.npz --gmm vae.pth -o vae.pth",
        "classify test.npz vae.pth gmm.pkl --reject-below 2", "classify test.npz vae.pth gmm.pkl --reject-below nan",
        "classify test.npz vae.pth gmm.pkl --fail-under x", "classify test.npz vae.pth gmm.pkl --fail-under x=1",
        "classify test.npz vae.pth gmm.pkl --fail-under accuracy=", "classify test.npz vae.pth gmm.pkl -o - --json",
        "classify test.npz gmm.pkl vae.pth", "classify vae.pth test.npz gmm.pkl", "classify test.npz",
        "classify test.npz vae.pth",
        "hybridize vae.pth gmm.pkl -n 0", "hybridize vae.pth gmm.pkl -n -1", "hybridize vae.pth gmm.pkl --classes 1",
        "hybridize vae.pth gmm.pkl --classes 1,9", "hybridize vae.pth gmm.pkl --ratio 2",
        "hybridize vae.pth gmm.pkl --ratio nan", "hybridize vae.pth gmm.pkl --temperature 0",
        "hybridize vae.pth gmm.pkl --temperature nan", "hybridize vae.pth gmm.pkl --strategy nonsense",
        "hybridize vae.pth gmm.pkl --likelihood nonsense", "hybridize vae.pth gmm.pkl --strategy posterior",
        "hybridize vae.pth gmm.pkl --min-confidence 2", "hybridize vae.pth gmm.pkl --reject nan",
        "hybridize vae.pth gmm.pkl --grid x.bmp", "fit-gmm train.npz vae.pth --components 0",
        "fit-gmm train.npz vae.pth --covariance x", "fit-gmm train.npz", "fit-graph train.npz vae.pth -k 0",
        "fit-graph train.npz vae.pth --method x", "fit-graph train.npz vae.pth --alpha 1",
        "fit-graph train.npz vae.pth --alpha nan", "fit-graph train.npz vae.pth --class-sizes x",
        "fit-graph train.npz vae.pth --class-sizes 1=nan", "fit-graph train.npz vae.pth --features x",
        "fit-probe train.npz vae.pth --probe x", "fit-probe train.npz vae.pth --features x",
        "fit-probe train.npz vae.pth --set x=1", "sample vqvae.pth prior.pth --top-p 0",
        "sample vqvae.pth prior.pth --top-p nan", "sample vqvae.pth prior.pth --temperature -1",
        "sample vqvae.pth prior.pth --guidance nan", "sample vqvae.pth prior.pth --keep top",
        "export vae.pth --format x", "plot history vae.pth -o x.bmp", "plot nonsense",
        "study latents train.npz --seeds 0",
        "study latents train.npz --models x", "study latents train.npz --probe x", "study latents train.npz --recipe x",
        "study hybrids train.npz --arms x", "study hybrids train.npz --per-class x",
        "study hybrids train.npz --per-class 0", "study hybrids train.npz --steps 0", "suggest train.npz vae.pth -n 0",
        "distort train.npz -n 0", "encode shards/00000.tar vae.pth -o new --part 3/2",
        "encode shards/00000.tar vae.pth -o new --part x", "cache clear --older-than -1", "settings nonsense",
        "evaluate test.npz vae.pth --report x.txt", "train train.npz --set epochs=1 --set save_every=nan",
    ),
    3: ("train train.npz --classes 1,7", "train train.npz --classes '\"a'", "train unlabelled.npz --classes 1",
        "fit-gmm unlabelled.npz vae.pth", "fit-gmm train.npz vae.pth --labels-per-class 1000",
        "train train.npz unlabelled.npz", "classify test.npz vae.pth gmm.pkl --classes 7"),
    4: ("classify test.npz vqvae.pth gmm.pkl", "sample vqvae.pth cnn.pth",
        "hybridize vae.pth probe.pth", "encode test.npz cnn.pth", "export cnn.pth gmm.pkl"),
}  # fmt: skip
"""Whole calls, by the exit code that is right."""

ENVIRONMENT = (
    "LATENTCLI_CACHE=/proc/x encode photos vae.pth", "LATENTCLI_CACHE=/dev/null encode photos vae.pth",
    "LATENTCLI_CACHE=/dev/null cache list", "LATENTCLI_DATA=/nowhere encode mnits vae.pth",
    "LATENTCLI_DATA=/dev/null encode mnits vae.pth", "COLUMNS=x encode --help", "COLUMNS=-5 encode --help",
    "COLUMNS=1 encode --help", "TERM=nonsense settings", "NO_COLOR= settings", "RANK=x encode test.npz vae.pth",
    "WORLD_SIZE=x encode test.npz vae.pth", "LANG=nonsense settings",
    "MPLBACKEND=nonsense info vae.pth", "HOME=/nowhere encode photos vae.pth",
)  # fmt: skip
"""Settings of the environment before a call."""
