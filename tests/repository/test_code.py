"""What holds for every module and every tracked file."""

import ast
import re
import subprocess
import sys

from tests.repository.source import ROOT, called_name, modules, name_of, nodes, tracked_files

MONEY_WORDS = re.compile(
    r"(?:^|_)(?:price|prices|cost|costs|amount|amounts|money|spend|spent|fee|credit|balance|subtotal|invoiced)(?:_|$)"
)
# Where a number is drawn or counted and no longer money that anybody pays.
DRAWING = {"config/templatetags/charts.py", "apps/ai_usage/portal/charts.py", "apps/jobs/services.py"}
# Written in two parts, so that this file does not say them either.
HOSTS = ["pypi" + ".org", "pythonhosted" + ".org", "registry.npmjs" + ".org"]
MACHINE_PATHS = re.compile("|".join(["/work" + "/", "/ro" + "ot/", "/home" + r"/[a-z]+/", "/tmp" + "/w/"]))


def test_only_one_module_reads_the_environment():
    readers = {
        name_of(path)
        for path, node in nodes("apps", "config")
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"})
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {a.name for a in node.names} & {"environ", "getenv"}
        )
    }

    assert readers == {"config/env.py"}


def test_no_module_is_named_for_nothing():
    shapeless = {"utils", "util", "core", "common", "helpers", "helper", "misc", "shared"}

    found = [
        name_of(path)
        for path in modules("apps", "config", "deploy", "tests")
        if shapeless & {path.stem, *path.relative_to(ROOT).parts[:-1]}
    ]

    assert found == []


def test_no_package_index_and_no_path_of_a_machine_is_in_the_repository():
    told = []
    for path in tracked_files():
        if path.suffix in {".png", ".ico", ".woff2"}:
            continue
        text = path.read_text(encoding="utf-8")
        told += [f"{name_of(path)}: {host}" for host in HOSTS if host in text]
        told += [f"{name_of(path)}: {found}" for found in MACHINE_PATHS.findall(text)]

    assert told == []


def test_money_is_never_a_float():
    found = []
    for path, node in nodes("apps", "config"):
        if (
            name_of(path) in DRAWING
            or not isinstance(node, ast.Call)
            or called_name(node) not in {"float", "FloatField"}
        ):
            continue
        said = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
        said |= {name.attr for name in ast.walk(node) if isinstance(name, ast.Attribute)}
        if any(MONEY_WORDS.search(name) for name in said):
            found.append(f"{name_of(path)}:{node.lineno}")

    assert found == []


def test_no_model_keeps_money_in_a_float():
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path, node in nodes("apps")
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and called_name(node.value) == "FloatField"
        and any(isinstance(target, ast.Name) and MONEY_WORDS.search(target.id) for target in node.targets)
    ]

    assert found == []


def test_no_file_is_longer_than_one_idea():
    long = {
        name_of(path): lines
        for path in modules("apps", "config", "deploy")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 420
    }

    assert long == {}


def test_the_import_contracts_hold():
    checked = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
