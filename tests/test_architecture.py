"""The house stands: at most six floors, an import goes down only, and rooms of one floor never import one another."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "latentcli"
FLOORS = (
    {"core", "numerics"},
    {"formats", "models", "classifiers"},
    {"data", "artifacts", "training", "inference", "hybrids", "figures"},
    {"experiments", "exports", "explore", "pictures", "estimators", "sharded", "streams"},
    {"cli"},
    {"__main__", "assignment"},
)
"""The rooms of the package from the ground up. Imports that only type checkers see count like all others."""

FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS, 1) for room in rooms}
DEFAULTS = "latentcli.training.config"
"""The one place that holds the defaults of a training, which the help tells, too; it imports the core alone."""
HEAVY = ("torch", "torchvision", "sklearn", "skimage", "matplotlib", "scipy", "PIL", "joblib")


def name_of(path: Path) -> str:
    return ".".join(["latentcli", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")


MODULES = {name_of(path): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
FACES = {name_of(path) for path in PACKAGE.rglob("__init__.py")}


def imports(module: str) -> Iterator[str]:
    """Dotted names that a file imports anywhere in it, a name of a module as that module's."""
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: write the whole name of what is imported"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(dotted: str) -> str:
    return dotted.split(".")[1]


def within(module: str) -> set[str]:
    """Modules of the package that a file imports; what it takes from the package's own face is no room's."""
    found = set()
    for dotted in imports(module):
        while dotted and dotted not in MODULES:
            dotted = dotted.rpartition(".")[0]
        found.add(dotted)
    return found - {"", "latentcli", module}


def rooms() -> dict[str, set[str]]:
    """Each room with the rooms that it imports."""
    found: dict[str, set[str]] = {}
    for module in MODULES.keys() - {"latentcli"}:
        others = {room_of(other) for other in within(module)} - {room_of(module)}
        found.setdefault(room_of(module), set()).update(others)
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Nodes that reach one another; none where there is no circle."""
    left = dict(graph)
    while free := [node for node, others in left.items() if not others & left.keys()]:
        for node in free:
            del left[node]
    return sorted(left)


def test_each_room_has_a_floor():
    assert rooms().keys() <= FLOOR_OF.keys(), "give the new room a floor"


def test_imports_go_down_only():
    up = [
        f"{module} ({FLOOR_OF[room_of(module)]}) imports {other} ({FLOOR_OF[room_of(other)]})"
        for module in MODULES.keys() - {"latentcli"}
        for other in within(module)
        if room_of(other) != room_of(module) and FLOOR_OF[room_of(other)] >= FLOOR_OF[room_of(module)]
    ]
    assert not up


def test_there_are_six_floors_at_most():
    graph = rooms()

    def height(room: str) -> int:
        return 1 + max((height(other) for other in graph[room]), default=0)

    assert not circle(graph)
    assert max(map(height, graph)) <= 6


def test_no_files_import_each_other_in_a_circle():
    """A room's face only hands names on: it ties nothing within the room."""
    graph = {
        module: {other for other in within(module) if not (other in FACES and module.startswith(other))}
        for module in MODULES.keys() - FACES
    }
    assert not circle(graph)


def test_core_knows_nothing_but_itself_and_numpy():
    known = {"latentcli.core", "numpy", "torch", *sys.stdlib_module_names}
    strange = {
        f"{module} imports {dotted}"
        for module in MODULES
        if module.startswith("latentcli.core")
        for dotted in imports(module)
        if dotted.split(".")[0] not in known and not dotted.startswith("latentcli.core")
    }
    assert not strange


def test_only_the_command_line_knows_typer_and_rich():
    elsewhere = {
        module
        for module in MODULES
        if not module.startswith("latentcli.cli")
        for dotted in imports(module)
        if dotted.split(".")[0] in {"typer", "rich", "click"}
    }
    assert not elsewhere


def test_modules_of_the_command_line_import_only_what_is_light():
    """What is heavy, or of another room, is imported where it is used: in the bodies, or for type checkers alone."""
    known = {"typer", "rich", "latentcli", *sys.stdlib_module_names}
    other = {
        f"{module} imports {dotted}"
        for module, tree in MODULES.items()
        if module.startswith("latentcli.cli")
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for dotted in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [str(node.module)])
        if dotted.split(".")[0] not in known
        or (dotted.startswith("latentcli.") and room_of(dotted) not in {"cli", "core"} and dotted != DEFAULTS)
    }
    assert not other


def loaded_by(code: str, packages: tuple[str, ...] = HEAVY) -> set[str]:
    """Those of these packages that a fresh interpreter has imported after running this."""
    script = f"{code}\nimport sys\nprint(*[name for name in {packages} if name in sys.modules])"
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
    assert loaded_by(code, (*HEAVY, "numpy")) == set()


def test_the_core_loads_nothing_heavy():
    assert loaded_by("from latentcli.core import device, errors, image_set, labels, latents, registry") == set()


def test_artifacts_and_data_load_no_torch():
    assert "torch" not in loaded_by("import latentcli.artifacts, latentcli.data; latentcli.data.load('digits')")
