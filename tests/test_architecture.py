"""The house stands: an import goes down only, and rooms of one floor never import one another."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "latentcli"
FLOORS = [
    {"errors", "metrics", "progress", "plain_arrays", "pickle_machine"},
    {
        "registry",
        "device",
        "latents",
        "files",
        "batches",
        "matmul",
        "folding",
        "memory",
        "plain_pickle",
        "safe_arrays",
        "safe_pickle",
    },
    {"tensor_files"},
    {"sealed_files"},
    {"data", "models", "classifiers", "hybrids", "figures"},
    {"training", "inference", "checkpoint", "probe_files", "artifacts", "experiments"},
    {"experiments", "hybrid_dataset"},
    {"cli"},
    {"__main__", "assignment"},
]
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: str) -> str:
    return module.split(".")[1]


def imports(path: Path) -> list[tuple[str, bool]]:
    """Modules that a file imports, and whether only type checkers see it."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in typing_only) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [
                f"{node.module}.{alias.name}" if node.module == "latentcli" else node.module for alias in node.names
            ]
            found += [(name, id(node) in typing_only) for name in names]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room == "__init__":
        return
    assert room in FLOOR_OF, f"give {room} a floor"
    for name, typing_only in imports(path):
        if name.startswith("latentcli.") and not typing_only and name != "latentcli.__version__":
            other = room_of(name)
            assert other == room or FLOOR_OF[other] < FLOOR_OF[room], f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_knows_typer_and_rich(path):
    top = {name.split(".")[0] for name, _ in imports(path)}
    if path.relative_to(PACKAGE).parts[0] != "cli":
        assert not top & {"typer", "rich", "click"}


HEAVY = ("torch", "torchvision", "sklearn", "skimage", "matplotlib", "scipy", "PIL", "joblib")


def loaded_by(code: str) -> set[str]:
    """The heavy packages that a fresh interpreter has imported after running this."""
    script = f"{code}\nimport sys\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()) if done.stdout.strip() else set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["train", "--help"],
        ["train-cnn", "--help"],
        ["classify", "--help"],
        ["fit-probe", "--help"],
        ["plot", "--help"],
        ["--version"],
    ],
)
def test_help_loads_nothing_heavy(arguments):
    code = f"""
import sys
from latentcli.cli.app import run
import latentcli.cli
try:
    run({arguments!r})
except SystemExit as end:
    assert end.code == 0, end.code
"""
    assert loaded_by(code) == set()


def test_artifacts_and_data_load_no_torch():
    assert "torch" not in loaded_by("import latentcli.artifacts, latentcli.data; latentcli.data.load('digits')")
