"""The code base as the tests of this folder read it: tracked files, parsed once."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ("requirements/", "apps/billing/djstripe_migrations/")


@cache
def tracked_files() -> tuple[Path, ...]:
    """Every file of the repository, and what is new beside it; nothing that is ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


def name_of(path: Path) -> str:
    """A path as messages show it."""
    return path.relative_to(ROOT).as_posix()


@cache
def modules(*folders: str) -> tuple[Path, ...]:
    """The Python files below these folders, without migrations."""
    return tuple(
        path
        for path in tracked_files()
        if path.suffix == ".py"
        and name_of(path).split("/")[0] in folders
        and not any(part.endswith("migrations") for part in path.parts)
    )


@cache
def parsed(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def nodes(*folders: str) -> Iterator[tuple[Path, ast.AST]]:
    """Every node of every module below these folders, with its file."""
    for path in modules(*folders):
        for node in ast.walk(parsed(path)):
            yield path, node


def called_name(call: ast.Call) -> str:
    """The last name of what is called: `enqueue` for both `enqueue(…)` and `jobs.enqueue(…)`."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def text_of(node: ast.AST | None) -> str | None:
    """The value of a string literal."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
