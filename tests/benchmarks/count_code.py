"""How large the program is: `python tests/benchmarks/count_code.py [FOLDER]` counts what there is to read.

Counted are the Python files of the program, tests apart: files, lines, lines a file, the share of files below 60 lines,
functions with more than 7 parameters (`self` and `cls` apart), and mentions of `Any` in signatures and fields.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

PACKAGES = ("study", "models", "search_spaces", "analysis")
SMALL, MOST_PARAMETERS = 60, 7


def count(root: Path) -> dict[str, float]:
    """Return the counts of the checkout at `root`."""
    files = [file for package in PACKAGES for file in sorted((root / package).rglob("*.py"))]
    lines = [len(file.read_text(encoding="utf-8").splitlines()) for file in files]
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {
        "files": len(files),
        "lines": sum(lines),
        "lines a file": sum(lines) / len(files),
        f"share of files below {SMALL} lines": sum(number < SMALL for number in lines) / len(files),
        f"functions of more than {MOST_PARAMETERS} parameters": sum(map(_is_long, functions)),
        "mentions of Any in signatures and fields": sum(map(_mentions_any, trees)),
        "bytes of README.md": (root / "README.md").stat().st_size,
    }


def _is_long(function: ast.FunctionDef) -> bool:
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")]) > MOST_PARAMETERS


def _mentions_any(tree: ast.Module) -> int:
    annotations: list[ast.expr | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            annotations.append(node.annotation)
        elif isinstance(node, ast.FunctionDef):
            annotations.append(node.returns)
    return sum(
        isinstance(part, ast.Name) and part.id == "Any"
        for annotation in annotations
        if annotation is not None
        for part in ast.walk(annotation)
    )


def main() -> None:
    """Print the counts."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
    for name, value in count(root).items():
        print(f"{value:10,.2f}  {name}" if isinstance(value, float) else f"{value:10,}  {name}")


if __name__ == "__main__":
    main()
