"""The house: what each room may import. Imports inside of functions count, too."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("study", "models", "search_spaces", "analysis")
FLOORS = (
    {"record"},
    {"data", "tracking", "baselines", "interrupt"},
    {"settings", "training", "evaluation", "cluster"},
    {"worker"},
    {"search"},
    {"driver", "simulation"},
    {"studies"},
    {
        "run",
        "reproduce",
        "baseline",
        "predict",
        "simulate",
        "cluster_check",
        "new_space",
        "check_space",
        "dashboard",
        "export",
        "verify",
        "repeat",
        "ablate",
        "__main__",
    },
)
"""Rooms of study/, each of which may import those below it and itself."""
FILES = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(file: Path) -> set[str]:
    """Return the modules and names that a file imports, as dotted paths."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def packages(file: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(file)}


def room_of(module: str) -> str | None:
    """Return the room of study/ that a module lies in."""
    parts = module.split(".")
    return parts[1] if parts[0] == "study" and len(parts) > 1 else None


def in_package(name: str) -> list[Path]:
    return [file for file in FILES if module_of(file).split(".")[0] == name]


@pytest.mark.parametrize("file", in_package("study"), ids=module_of)
def test_a_room_of_study_imports_rooms_below_it(file):
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    own = room_of(module_of(file))
    if own is None:
        return
    for name in imports(file):
        room = room_of(name)
        if room is not None and room != own:
            assert floor[room] < floor[own], f"{module_of(file)} imports {name}"
    if own != "studies":  # which joins what a study does with what is made of it
        assert "analysis" not in packages(file)


@pytest.mark.parametrize("file", sorted((ROOT / "study" / "record").glob("*.py")), ids=module_of)
def test_the_record_imports_nothing_else_of_the_project_and_no_heavy_library(file):
    others = {name for name in imports(file) if name.split(".")[0] in PACKAGES and room_of(name) != "record"}
    assert others == set()
    assert packages(file).isdisjoint({"ray", "torch", "mlflow", "optuna", "numpy", "pandas", "sklearn"})


@pytest.mark.parametrize("file", in_package("analysis"), ids=module_of)
def test_analysis_imports_of_study_only_the_record(file):
    assert {room_of(name) for name in imports(file) if name.split(".")[0] == "study"} <= {"record"}
    assert packages(file).isdisjoint({"models", "torch", "ray", "optuna"})


@pytest.mark.parametrize("file", in_package("models"), ids=module_of)
def test_models_import_of_the_project_only_models(file):
    assert packages(file).isdisjoint({"study", "search_spaces", "analysis", "ray", "optuna", "mlflow", "numpy"})


@pytest.mark.parametrize("file", in_package("search_spaces"), ids=module_of)
def test_search_spaces_import_of_the_project_only_search_spaces(file):
    assert packages(file).isdisjoint({"study", "models", "analysis", "ray", "torch", "mlflow"})


def test_ray_is_imported_where_runs_are_placed_and_mlflow_where_they_are_tracked():
    ray = {room_of(module_of(file)) for file in in_package("study") if "ray" in packages(file)}
    assert ray <= {"cluster", "worker", "search", "driver", "simulation"}
    mlflow = {room_of(module_of(file)) for file in in_package("study") if "mlflow" in packages(file)}
    assert mlflow == {"tracking"}


def test_no_two_modules_import_each_other():
    modules = {module_of(file): file for file in FILES}
    graph = {
        name: {target for target in modules if target != name and _imported(target, imports(file))}
        for name, file in modules.items()
        if file.name != "__init__.py"  # a package's face hands names on
    }
    state: dict[str, int] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if state.get(name) == 2 or name not in graph:
            return
        assert state.get(name) != 1, f"a circle: {' -> '.join((*path, name))}"
        state[name] = 1
        for target in sorted(graph[name]):
            visit(target, (*path, name))
        state[name] = 2

    for name in graph:
        visit(name, ())


def _imported(target: str, names: set[str]) -> bool:
    return any(name == target or name.rpartition(".")[0] == target for name in names)
