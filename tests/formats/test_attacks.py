"""Hostile files: each is refused with its exit code, runs nothing, writes nothing, and takes little memory."""

import builtins
import importlib
import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import joblib
import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture

from latentcli import artifacts
from latentcli.artifacts import checkpoint
from latentcli.artifacts.models import load_model
from latentcli.artifacts.tables import write_labels
from latentcli.core.errors import DataError, ModelFileError
from latentcli.formats import npz_reader, torch_zip
from latentcli.formats.schemas import CHECKPOINT, TRAINING_STATE

MODEST = 64 * 2**20
"""Bytes that a refusal may take."""

PROTOCOL = b"\x80\x04"


class Calls:
    """Pickles as a call of ``function``: whoever unpickles it naively runs it."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def name(module, attribute):
    """STACK_GLOBAL of these names, as raw operations."""
    strings = b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, attribute))
    return strings + b"\x93"


def dtype(code, order="<"):
    described = name("numpy", "dtype") + b"\x8c" + bytes([len(code)]) + code.encode() + b"\x89\x88\x87R"
    return described + b"(K\x03\x8c\x01" + order.encode() + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"


def array(shape, kind, raw=b"C\x08" + bytes(8)):
    """A pickled array whose shape, dtype and bytes are given as raw operations."""
    empty = name("numpy.core.multiarray", "_reconstruct") + name("numpy", "ndarray") + b"K\x00\x85C\x01b\x87R"
    return PROTOCOL + empty + b"(K\x01" + shape + kind + b"\x89" + raw + b"tb."


def laughs(levels=60):
    """A tuple of two references to a tuple of two references ...: 2⁶⁰ leaves in 300 bytes."""
    return PROTOCOL + b")" + b"".join(b"q\x01h\x01\x86" for _ in range(levels)) + b"."


def laughs_as_key(levels=60):
    return PROTOCOL + b"}" + laughs(levels)[2:-1] + b"Ns."


def joblib_file():
    buffer = io.BytesIO()
    joblib.dump({"weights": np.ones(3)}, buffer)
    return buffer.getvalue()


def estimator():
    return pickle.dumps(GaussianMixture(2).fit(np.random.default_rng(0).normal(size=(20, 2))))


HARMLESS = PROTOCOL + b"}."
LARGE = b"J" + struct.pack("<i", 2**31 - 1)

PICKLES = {
    "1 os.system": lambda marker: pickle.dumps(Calls(os.system, f"touch {marker}")),
    "2 eval": lambda marker: pickle.dumps(Calls(builtins.eval, f"open({str(marker)!r}, 'w')")),
    "3 exec in a list": lambda marker: pickle.dumps([1, {"a": [Calls(builtins.exec, f"open({str(marker)!r}, 'w')")]}]),
    "4 import_module": lambda marker: pickle.dumps(Calls(importlib.import_module, "antigravity")),
    "1b os.system, protocol 0": lambda marker: pickle.dumps(Calls(os.system, f"touch {marker}"), protocol=0),
    "1c os.system, protocol 2": lambda marker: pickle.dumps(Calls(os.system, f"touch {marker}"), protocol=2),
    "5 dotted name": lambda marker: PROTOCOL + name("numpy", "ndarray.__class__.__mro__") + b".",
    "6 builtins of numpy": lambda marker: PROTOCOL + name("numpy", "__builtins__") + b".",
    "7 INST": lambda marker: PROTOCOL + b"(X\x04\x00\x00\x00trueios\nsystem\n.",
    "8 EXT1": lambda marker: PROTOCOL + b"\x82\x01.",
    "9 PERSID": lambda marker: PROTOCOL + b"Pos.system\n.",
    "9b BINPERSID": lambda marker: PROTOCOL + b"\x8c\x02osQ.",
    "10 BINBYTES8 of 2⁴⁰": lambda marker: PROTOCOL + b"\x8e" + struct.pack("<Q", 2**40) + b"a.",
    "10b BYTEARRAY8 of 2⁴⁰": lambda marker: PROTOCOL + b"\x96" + struct.pack("<Q", 2**40) + b"a.",
    "10c BINUNICODE of 2³²": lambda marker: PROTOCOL + b"X" + struct.pack("<I", 2**32 - 1) + b"a.",
    "11 LONG_BINPUT": lambda marker: PROTOCOL + b"}r" + struct.pack("<I", 0x2FFFFFFF) + b".",
    "12 huge shape": lambda marker: array(b"(" + LARGE * 3 + b"t", dtype("f8")),
    "12b negative shape": lambda marker: array(b"J\xff\xff\xff\xff\x85", dtype("f8")),
    "12c huge shape with a zero": lambda marker: array(b"(K\x00" + LARGE * 3 + b"t", dtype("f8"), b"C\x00"),
    "12d huge shape in _reconstruct": lambda marker: (
        PROTOCOL
        + name("numpy.core.multiarray", "_reconstruct")
        + name("numpy", "ndarray")
        + LARGE * 3
        + b"\x87C\x01b\x87R."
    ),
    "13 objects": lambda marker: pickle.dumps(np.array([Calls(os.system, f"touch {marker}")], dtype=object)),
    "13b objects over bytes": lambda marker: array(b"K\x01\x85", dtype("O8", "|")),
    "13c structure": lambda marker: pickle.dumps({"a": np.zeros(2, dtype=[("x", "f8"), ("y", "O")])}),
    "13d malformed dtype": lambda marker: array(b"K\x01\x85", dtype("f8,O8")),
    "13e huge string dtype": lambda marker: array(b"K\x01\x85", dtype("U99999999")),
    "13f dates": lambda marker: pickle.dumps({"a": np.zeros(2, dtype="M8[s]")}),
    "14 billion laughs": lambda marker: laughs(),
    "14b billion laughs, hashed": lambda marker: laughs_as_key(),
    "14c a million levels": lambda marker: PROTOCOL + b")" + b"\x85" * 10**6 + b".",
    "14d a million marks": lambda marker: PROTOCOL + b"(" * 10**6 + b".",
    "14e a list within itself": lambda marker: PROTOCOL + b"]q\x00h\x00a.",
    "14f a dict within itself": lambda marker: PROTOCOL + b"}q\x00\x8c\x01ah\x00s.",
    "14g one large string encoded often": lambda marker: (
        PROTOCOL + b"(" + (name("_codecs", "encode") + b"q\x00X" + struct.pack("<I", 10**5) + b"a" * 10**5)
        + b"q\x01\x8c\x06latin1q\x02\x86R" + b"h\x00h\x01h\x02\x86R" * 10**4 + b"t."
    ),
    "15 a second pickle behind": lambda marker: HARMLESS + pickle.dumps(Calls(os.system, f"touch {marker}")),
    "16 joblib.dump": lambda marker: joblib_file(),
    "16b scikit-learn's estimator": lambda marker: estimator(),
}  # fmt: skip


@pytest.fixture
def marker(tmp_path):
    """A file that an attack makes when it succeeds; it lies outside the folder that is watched."""
    return tmp_path / "attacked"


def assert_refused(read, path, error, marker):
    """``read(path)`` raises the error, in at most three lines, without side effects and in little memory."""
    before = {entry.name: entry.read_bytes() for entry in path.parent.iterdir() if entry.stat().st_size < MODEST}
    tracemalloc.start()
    try:
        with pytest.raises(error) as caught:
            read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MODEST
    assert len(str(caught.value).splitlines()) <= 3
    assert not marker.exists()
    assert {
        entry.name: entry.read_bytes() for entry in path.parent.iterdir() if entry.stat().st_size < MODEST
    } == before


@pytest.mark.parametrize("attack", PICKLES)
def test_hostile_classifiers_are_refused(tmp_path, marker, attack):
    path = tmp_path / "gmm_params.pkl"
    path.write_bytes(PICKLES[attack](marker))
    assert_refused(artifacts.read_classifier, path, ModelFileError, marker)
    assert_refused(artifacts.describe, path, ModelFileError, marker)


@pytest.mark.parametrize("attack", ["1 os.system", "2 eval", "3 exec in a list", "1c os.system, protocol 2"])
def test_the_attacks_are_live(marker, attack):
    pickle.loads(PICKLES[attack](marker))
    assert marker.exists()


# Checkpoints


def read_state(path):
    return TRAINING_STATE.read(path, "start again")["state"]


def checkpoint_bytes(tmp_path, content=None):
    path = tmp_path / "source"
    torch_zip.write(path, content or {"format": CHECKPOINT.format, "weights": torch.arange(1000.0)})
    data = path.read_bytes()
    path.unlink()
    return data


def rewritten(data, change, compression=zipfile.ZIP_STORED):
    """The archive with its records changed: ``change`` takes them by name and gives them back."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        records = {info.filename: archive.read(info) for info in archive.infolist()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for record, content in change(records).items():
            archive.writestr(record, content)
    return buffer.getvalue()


def torch_saved(content, **options):
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


class WithCode(torch.nn.Module):
    def forward(self, x):
        return x + 1


def claimed(shape, stride):
    """A tensor that claims this shape and stride over four bytes."""
    return torch_saved({"w": torch.as_strided(torch.zeros(1), shape, stride)})


def flipped(data):
    """One bit of tensor data flipped, and the archive's own checksum forged to fit: torch loads it."""
    return rewritten(data, lambda records: records | {"archive/data/0": b"\x01" + records["archive/data/0"][1:]})


CHECKPOINTS = {
    "17 os.system in the zip format": lambda tmp, marker: torch_saved({"a": Calls(os.system, f"touch {marker}")}),
    "18 os.system in the legacy format": lambda tmp, marker: torch_saved(
        {"a": Calls(os.system, f"touch {marker}")}, _use_new_zipfile_serialization=False
    ),
    "18b plain, but in the legacy format": lambda tmp, marker: torch_saved(
        {"a": torch.ones(2)}, _use_new_zipfile_serialization=False
    ),
    "19 deflated zeros": lambda tmp, marker: rewritten(
        checkpoint_bytes(tmp), lambda records: records | {"archive/data/0": bytes(2**25)}, zipfile.ZIP_DEFLATED
    ),
    "20 a storage cut short": lambda tmp, marker: rewritten(
        checkpoint_bytes(tmp), lambda records: records | {"archive/data/0": records["archive/data/0"][:100]}
    ),
    "20b a storage missing": lambda tmp, marker: rewritten(
        checkpoint_bytes(tmp), lambda records: {key: value for key, value in records.items() if "data/0" not in key}
    ),
    "20c a storage too long": lambda tmp, marker: rewritten(
        checkpoint_bytes(tmp), lambda records: records | {"archive/data/0": bytes(8000)}
    ),
    "20d a storage that nothing uses": lambda tmp, marker: rewritten(
        checkpoint_bytes(tmp), lambda records: records | {"archive/data/1": bytes(4)}
    ),
    "21 stride 0": lambda tmp, marker: claimed((100_000, 100_000), (0, 0)),
    "21b expanded": lambda tmp, marker: torch_saved({"w": torch.zeros(1, 3).expand(100_000, 3)}),
    "21c transposed": lambda tmp, marker: torch_saved({"w": torch.zeros(2, 3).T}),
    "21d a view of a larger storage": lambda tmp, marker: torch_saved({"w": torch.zeros(100)[:3]}),
    "21e one storage twice": lambda tmp, marker: torch_saved(dict(zip("ab", torch.zeros(3).expand(2, 3), strict=True))),
    "21f sparse": lambda tmp, marker: torch_saved({"w": torch.eye(3).to_sparse()}),
    "21g quantised": lambda tmp, marker: torch_saved(
        {"w": torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8)}
    ),
    "21h a tensor without storage": lambda tmp, marker: torch_saved({"w": torch.zeros(10**6, 10**6, device="meta")}),
    "22 a pickled module": lambda tmp, marker: torch_saved(WithCode()),
    "22b code beside the data": lambda tmp, marker: rewritten(
        checkpoint_bytes(tmp), lambda records: records | {"archive/code/__torch__.py": b"import os"}
    ),
    "22c a path out of the archive": lambda tmp, marker: rewritten(
        checkpoint_bytes(tmp), lambda records: records | {"archive/../../data.pkl": b"."}
    ),
    "not a zip": lambda tmp, marker: b"PK\x03\x04" + bytes(100),
    "a pickle": lambda tmp, marker: pickle.dumps(Calls(os.system, f"touch {marker}")),
}


@pytest.mark.parametrize("attack", CHECKPOINTS)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_hostile_checkpoints_are_refused(tmp_path, marker, attack):
    path = tmp_path / "vae.pth"
    path.write_bytes(CHECKPOINTS[attack](tmp_path, marker))
    assert_refused(checkpoint.read, path, ModelFileError, marker)
    assert_refused(read_state, path, ModelFileError, marker)
    assert_refused(artifacts.describe, path, ModelFileError, marker)
    assert_refused(lambda path: load_model(path, device="cpu"), path, ModelFileError, marker)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torchscript_is_refused(tmp_path, marker):
    path = tmp_path / "vae.pth"
    torch.jit.save(torch.jit.script(WithCode()), path)
    assert_refused(checkpoint.read, path, ModelFileError, marker)


def test_a_flipped_bit_that_torch_does_not_notice_is_refused(tmp_path, marker):  # 23
    content = {
        "format": TRAINING_STATE.format,
        "version": TRAINING_STATE.version,
        "state": {"w": torch.zeros(4)},
    }
    data = flipped(checkpoint_bytes(tmp_path, content | {"sha256": torch_zip.digest(content)}))
    (tmp_path / "state").write_bytes(data)
    assert torch.load(tmp_path / "state", weights_only=True)["state"]["w"][0] != 0
    assert_refused(read_state, tmp_path / "state", ModelFileError, marker)
    with pytest.raises(ModelFileError, match="changed"):
        read_state(tmp_path / "state")


def test_a_record_that_is_there_twice_is_refused(tmp_path, marker):
    path = tmp_path / "vae.pth"
    path.write_bytes(checkpoint_bytes(tmp_path))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data.pkl", HARMLESS)
    assert_refused(checkpoint.read, path, ModelFileError, marker)


# Arrays


def npy(header, values=b""):
    padded = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded + values


def described(descr="'<f8'", shape="(1,)"):
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


def npz(members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return buffer.getvalue()


def of_objects(marker):
    buffer = io.BytesIO()
    np.save(buffer, np.array([Calls(os.system, f"touch {marker}")], dtype=object), allow_pickle=True)
    return buffer.getvalue()


NPYS = {
    "24 objects": of_objects,
    "24b structures": lambda marker: npy(described("[('x', '<f8'), ('y', '|O')]"), bytes(16)),
    "24c a header that calls": lambda marker: npy(f"__import__('os').system('touch {marker}')"),
    "24d a deep header": lambda marker: npy(described(shape="(" * 10_000)),
    "26 a claim of 8 TiB": lambda marker: npy(described(shape=f"({2**40},)")),
    "26b a claim beyond 64 bits": lambda marker: npy(described(shape=f"({2**40}, {2**40})")),
    "26c a negative size": lambda marker: npy(described(shape="(-1,)"), bytes(8)),
    "26d sizes that are no numbers": lambda marker: npy(described(shape="(1.0, True)"), bytes(8)),
    "26e strings without end": lambda marker: npy(described("'<U1000000000'", "(0,)")),
    "26f more values than the shape": lambda marker: npy(described(), bytes(16)),
    "26g truth values of 2": lambda marker: npy(described("'|b1'"), b"\x02"),
    "26h characters beyond Unicode": lambda marker: npy(described("'<U1'"), b"\xff\xff\xff\xff"),
    "26i cut in the header": lambda marker: npy(described(), bytes(8))[:50],
    "no array at all": lambda marker: pickle.dumps(Calls(os.system, f"touch {marker}")),
}


@pytest.mark.parametrize("attack", NPYS)
@pytest.mark.parametrize("mmap", [False, True])
def test_hostile_npy_files_are_refused(tmp_path, marker, attack, mmap):
    path = tmp_path / "images.npy"
    path.write_bytes(NPYS[attack](marker))
    assert_refused(lambda path: npz_reader.read_npy(path, mmap=mmap), path, npz_reader.UnsafeArrays, marker)


@pytest.mark.parametrize("attack", NPYS)
def test_hostile_members_of_an_npz_are_refused(tmp_path, marker, attack):
    path = tmp_path / "latents.npz"
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path.write_bytes(npz({"mu.npy": NPYS[attack](marker)}, compression))
        assert_refused(artifacts.read_arrays, path, DataError, marker)
        assert_refused(artifacts.read_latents, path, DataError, marker)
        assert_refused(artifacts.describe, path, DataError, marker)


def encrypted(data):
    """The flag of encryption set in the local header and in the directory."""
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.index(signature) + offset
        data = data[:place] + b"\x01" + data[place + 1 :]
    return data


GOOD = npy(described(), bytes(8))

NPZS = {
    "25 128 MiB in 130 kB": lambda: npz(
        {"mu.npy": npy(described("'|u1'", f"({2**27},)"), bytes(2**27))}, zipfile.ZIP_DEFLATED
    ),
    "25b a bomb in many members": lambda: npz(
        {f"{number}.npy": npy(described("'|u1'", f"({2**20},)"), bytes(2**20)) for number in range(200)},
        zipfile.ZIP_DEFLATED,
    ),
    "another compression": lambda: npz({"mu.npy": GOOD}, zipfile.ZIP_LZMA),
    "encrypted": lambda: encrypted(npz({"mu.npy": GOOD})),
    "a member out of the archive": lambda: npz({"../mu.npy": GOOD}),
    "an absolute member": lambda: npz({"/tmp/mu.npy": GOOD}),
    "a folder": lambda: npz({"mu.npy/": b""}),
    "no array": lambda: npz({"mu.txt": b"text"}),
    "cut short": lambda: npz({"mu.npy": GOOD})[:-30],
    "too many members": lambda: npz({f"{number}.npy": GOOD for number in range(1001)}),
}


@pytest.mark.parametrize("attack", NPZS)
def test_hostile_archives_are_refused(tmp_path, marker, attack):
    path = tmp_path / "latents.npz"
    path.write_bytes(NPZS[attack]())
    assert_refused(artifacts.read_arrays, path, DataError, marker)
    assert_refused(artifacts.describe, path, (DataError, ModelFileError), marker)


def test_a_member_that_is_there_twice_is_refused(tmp_path, marker):
    path = tmp_path / "latents.npz"
    path.write_bytes(npz({"mu.npy": GOOD}))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("mu.npy", GOOD)
    assert_refused(artifacts.read_arrays, path, DataError, marker)


@pytest.mark.parametrize(
    ("read", "error"),
    [
        (artifacts.read_classifier, ModelFileError),
        (artifacts.read_latents, DataError),
        (artifacts.describe, ModelFileError),
        (npz_reader.read_npy, npz_reader.UnsafeArrays),
        (checkpoint.read, ModelFileError),
        (read_state, ModelFileError),
    ],
)
def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path, read, error):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path / "fifo", tmp_path / "loop", tmp_path, tmp_path / "missing", tmp_path / "zero"):
        with pytest.raises(error):
            read(path)


# CSV


@pytest.mark.parametrize(
    "formula", ["=cmd()", "+cmd()", "-cmd()", "@SUM(A1)", "\t=cmd()", "\r=cmd()", "-1+cmd()", "+inf"]
)
def test_names_never_become_formulas(tmp_path, formula):
    write_labels(tmp_path / "vae.csv", [formula], files=[formula], probabilities=np.ones(1))
    text = (tmp_path / "vae.csv").read_bytes().decode()
    assert text.splitlines()[1].lstrip('"').startswith("'")
    assert text.count("'") == 2


@pytest.mark.parametrize("number", ["-1", "+3.5", "-2e-3", "7"])
def test_classes_that_are_numbers_stay_numbers(tmp_path, number):
    write_labels(tmp_path / "vae.csv", [number])
    assert (tmp_path / "vae.csv").read_text() == f"Predicted_Label\n{number}\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_file_names_cannot_program_a_terminal():
    terminal = Terminal()
    write_labels(terminal, ["cat"], files=["\x1b[31mred.png"], probabilities=np.ones(1))
    assert "\x1b" not in terminal.getvalue()
