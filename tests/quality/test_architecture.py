"""Which package may import which, what a bare import loads, and what every release declares."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import oncegate

ROOT = Path(__file__).parents[2]
PUBLIC = {"oncegate", "oncegate.account", "oncegate.adapters", "oncegate.testing"}
"""Modules of the engine that others may import."""
PUBLIC_TO = {"oncegate_cli": {"oncegate.machine"}}  # it draws the chart


@pytest.mark.slow
def test_import_contracts_hold() -> None:
    # In its own process: import-linter reconfigures logging, which would silence oncegate's loggers.
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def imported_modules(path: Path) -> list[tuple[int, str]]:
    """Return the modules that a file imports, each with its line."""
    modules = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            modules += [(node.lineno, name.name) for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.append((node.lineno, node.module))
    return modules


@pytest.mark.parametrize("adapter", sorted(path.name for path in ROOT.glob("adapters/oncegate_*")))
def test_adapter_imports_public_modules_of_the_engine_only(adapter: str) -> None:
    allowed = PUBLIC | PUBLIC_TO.get(adapter, set())
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: imports {module}"
        for path in sorted(ROOT.glob(f"adapters/{adapter}/**/*.py"))
        for line, module in imported_modules(path)
        if module.split(".")[0] == "oncegate"
        and module not in PUBLIC
        and not any(module == name or module.startswith(f"{name}.") for name in allowed - PUBLIC)
    ]
    assert wrong == []


@pytest.mark.parametrize("adapter", sorted(path.name for path in ROOT.glob("adapters/oncegate_*")))
def test_adapter_imports_no_private_module_of_another(adapter: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: imports {module}"
        for path in sorted(ROOT.glob(f"adapters/{adapter}/**/*.py"))
        for line, module in imported_modules(path)
        if module.startswith("oncegate_")
        and module.split(".")[0] != adapter
        and any(part.startswith("_") for part in module.split(".")[1:])
    ]
    assert wrong == []


def test_exported_names_exist_and_are_sorted() -> None:
    import oncegate.adapters
    import oncegate.testing

    for module in (oncegate, oncegate.adapters, oncegate.testing):
        assert all(hasattr(module, name) for name in module.__all__)
        assert len(set(module.__all__)) == len(module.__all__)
    assert len(oncegate.__all__) <= 48


@pytest.mark.slow
def test_import_oncegate_loads_no_adapter_and_no_heavy_package() -> None:
    names = "boto3 botocore cryptography gmpy2 typer rich click starlette uvicorn fastapi flask django jwt httpx sqlite3 requests"
    # python-statemachine imports a part of Django if Django is installed.
    program = (
        "import sys, statemachine; before = set(sys.modules); import oncegate; "
        f"print([n for n in set(sys.modules) - before if n.split('.')[0] in {names.split()!r} "
        "or n.startswith('oncegate_')])"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"


@pytest.mark.slow
def test_help_imports_no_boto3() -> None:
    program = (
        "import sys; from oncegate_cli.main import run; code = run(['--help']); "
        "sys.exit(code or 'boto3' in sys.modules or 'uvicorn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0


def test_source_roots_are_no_packages() -> None:
    assert not (ROOT / "engine/__init__.py").exists()
    assert not (ROOT / "adapters/__init__.py").exists()


def test_every_dependency_states_its_purpose() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    project = tomllib.loads(text)["project"]
    wanted = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    for requirement in wanted:
        if requirement.startswith("oncegate["):
            continue
        lines = [line for line in text.splitlines() if f'"{requirement}"' in line]
        assert lines
        assert all("# " in line for line in lines), requirement


def test_every_module_has_a_docstring() -> None:
    for path in [*ROOT.glob("engine/**/*.py"), *ROOT.glob("adapters/**/*.py")]:
        assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), path


def test_installed_version_is_that_of_the_module() -> None:
    assert version("oncegate") == oncegate.__version__


def test_changelog_has_the_version() -> None:
    assert f"\n## {oncegate.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_lock_has_every_dependency_with_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    locked = {line.split("==")[0] for line in lock.splitlines() if "==" in line}
    for requirement in wanted:
        name = requirement.split(";")[0].split(">")[0].split("[")[0].lower()
        assert name == "oncegate" or name in locked, requirement
    entries = [line for line in lock.splitlines() if "==" in line and not line.startswith("#")]
    assert all(line.endswith("\\") for line in entries), "an entry without hashes"
    assert "://" not in lock


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "needs", "extra"),
    [
        ("oncegate_web", "jinja2", "web"),
        ("oncegate_web", "segno", "web"),
        ("oncegate_web.fastapi", "fastapi", "fastapi"),
        ("oncegate_web.flask", "flask", "flask"),
        ("oncegate_web.django", "django", "django"),
    ],
)
def test_missing_extra_names_what_to_install(module: str, needs: str, extra: str) -> None:
    program = f"import sys; sys.modules[{needs!r}] = None; import {module}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert f"MissingExtra: not installed; run: pip install 'oncegate[{extra}]'" in done.stderr
