"""``oncegate web-client``: the npm package, and what bundlers, servers and browsers make of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.web.npm import npm, run

import oncegate_web
from oncegate import Misconfigured, __version__
from oncegate_web.client import npm_version, write_package

STATIC = Path(oncegate_web.__file__).with_name("assets")
MODULES = {
    *("account.js", "client.js", "connection.js", "oncegate.d.ts", "oncegate.js", "passkey.js"),
}


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_package_has_the_modules_and_the_version_of_the_release(tmp_path: Path) -> None:
    written = write_package(tmp_path / "client")
    assert names(tmp_path / "client") == {*MODULES, "package.json"} == {one.name for one in written}
    manifest = json.loads((tmp_path / "client" / "package.json").read_text())
    assert manifest["version"] == npm_version(__version__)
    assert not {"dependencies", "peerDependencies", "scripts"} & manifest.keys()
    for name in MODULES:
        assert (tmp_path / "client" / name).read_bytes() == (STATIC / name).read_bytes()


def test_package_has_every_module_that_its_modules_import(tmp_path: Path) -> None:
    write_package(tmp_path)
    for path in tmp_path.glob("*.js"):
        for line in path.read_text().splitlines():
            if line.startswith(("import ", "export ")) and ' from "' in line:
                assert (tmp_path / line.split('"')[1]).is_file(), line


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.2.0", "0.2.0"),
        ("1.2.3rc4", "1.2.3-rc.4"),
        ("1.0.0a1", "1.0.0-alpha.1"),
        ("1.0.0.dev2", "1.0.0-dev.2"),
    ],
)
def test_version_becomes_one_of_npm(version: str, expected: str) -> None:
    assert npm_version(version) == expected


def test_package_of_another_release_is_replaced(tmp_path: Path) -> None:
    write_package(tmp_path)
    manifest = json.loads((tmp_path / "package.json").read_text())
    manifest |= {"version": "0.1.0", "files": [*manifest["files"], "old.js"]}
    (tmp_path / "package.json").write_text(json.dumps(manifest))
    (tmp_path / "old.js").write_text("// of that release")
    (tmp_path / "oncegate.js").write_text("// of that release")
    (tmp_path / "NOTES.md").write_text("the user's own")
    write_package(tmp_path)
    assert names(tmp_path) == {*MODULES, "package.json", "NOTES.md"}
    assert (tmp_path / "oncegate.js").read_bytes() == (STATIC / "oncegate.js").read_bytes()


@pytest.mark.parametrize(
    "files",
    [
        {"notes.md": ""},
        {"package.json": '{"name": "shop", "files": ["oncegate.js"]}', "oncegate.js": "mine"},
        {"package.json": "not JSON"},
        {"package.json": "[]"},
        {"package.json": '{"name": "oncegate"}', "oncegate.js": "mine"},
        {"package.json": '{"name": "oncegate", "files": ["../oncegate.js"]}'},
        {"package.json": '{"name": "oncegate", "files": ["client.js"]}', "oncegate.js": "mine"},
    ],
)
def test_foreign_files_are_not_overwritten(files: dict[str, str], tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(Misconfigured, match="choose"):
        write_package(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == files


def test_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    write_package(tmp_path / "client")
    (tmp_path / "mine.js").write_text("mine")
    (tmp_path / "client" / "oncegate.js").unlink()
    (tmp_path / "client" / "oncegate.js").symlink_to(tmp_path / "mine.js")
    with pytest.raises(Misconfigured):
        write_package(tmp_path / "client")
    assert (tmp_path / "mine.js").read_text() == "mine"


def test_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "client").write_text("mine")
    with pytest.raises(Misconfigured, match="choose"):
        write_package(tmp_path / "client")
    with pytest.raises(Misconfigured, match="choose"):
        write_package(tmp_path / "client" / "inside")


def test_command_writes_the_package_and_refuses_a_foreign_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "oncegate_cli", "web-client", "client", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert {Path(one).name for one in json.loads(done.stdout)} == {*MODULES, "package.json"}
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "index.html").write_text("mine")
    done = subprocess.run(
        [*command[:4], "shop"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "other files" in done.stderr
    assert names(tmp_path / "shop") == {"index.html"}


@pytest.mark.needs("npm")
def test_package_is_installed_by_npm_and_imported_without_a_browser(tmp_path: Path) -> None:
    """As on a server that renders React or Vue: the import and the first snapshot touch no browser."""
    write_package(tmp_path / "client")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "package.json").write_text('{"private": true, "type": "module"}')
    npm(tmp_path / "app", "install", "../client", "--offline")
    program = (
        'import { createOncegate, Problem, SignIn, passkey, eventOf } from "oncegate";'
        "const auth = createOncegate();"
        "console.log(JSON.stringify([auth.getServerSnapshot(), auth.getSnapshot()]));"
    )
    shown = run(tmp_path / "app", "node", "--input-type=module", "--eval", program)
    loading = {
        "status": "loading",
        "step": None,
        "user": None,
        "error": None,
        "isPending": False,
        "receivedAt": 0,
        "logoutUrl": None,
    }
    assert json.loads(shown) == [loading, loading]
    version = run(
        tmp_path / "app",
        *("node", "--eval", 'console.log(require("oncegate/package.json").version)'),
    )
    assert version.strip() == npm_version(__version__)
