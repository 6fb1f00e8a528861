"""The script module as an npm package, for bundlers: ``oncegate web-client DIR`` writes it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from oncegate import Misconfigured, __version__

_MANIFEST = "package.json"
_STATIC = Path(__file__).parent.with_name("assets")
_VERSION = re.compile(r"(\d+\.\d+\.\d+)(?:\.?(a|b|rc|dev)(\d+))?")
_PRE_RELEASES = {"a": "alpha", "b": "beta", "rc": "rc", "dev": "dev"}


def write_package(folder: Path) -> list[Path]:
    """Write the npm package to a folder, with the version of this release.

    A package of an earlier release in that folder is replaced. Files that are not of such a package are
    never overwritten.

    Args:
        folder: new, empty, or written by this function before.

    Returns:
        The files of the package.

    Raises:
        Misconfigured: the folder has files of something else, or cannot be written.
    """
    manifest = json.loads(Path(__file__).with_name(_MANIFEST).read_text())
    manifest["version"] = npm_version(__version__)
    contents = {name: (_STATIC / name).read_bytes() for name in manifest["files"]}
    contents[_MANIFEST] = f"{json.dumps(manifest, indent=2)}\n".encode()
    try:
        ours = _files_of_package(folder, manifest["name"])
        for name in contents:
            path = folder / name
            if path.is_symlink() or (path.exists() and name not in ours):
                raise Misconfigured(f"{path} is not a file of this package; choose another folder")
        folder.mkdir(parents=True, exist_ok=True)
        for name in ours - contents.keys():
            (folder / name).unlink(missing_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise Misconfigured(
            f"{folder}: {error.strerror or error}; choose another folder"
        ) from error
    return [folder / name for name in sorted(contents)]


def npm_version(version: str) -> str:
    """Return a version of Python (PEP 440) in npm's form (Semantic Versioning 2.0.0).

    Args:
        version: such as ``"0.2.0"`` or ``"0.3.0rc1"``.

    Raises:
        Misconfigured: npm has no such versions.
    """
    found = _VERSION.fullmatch(version)
    if found is None:
        raise Misconfigured(f"npm has no version like {version}")
    release, kind, number = found.groups()
    return f"{release}-{_PRE_RELEASES[kind]}.{number}" if kind else release


def _files_of_package(folder: Path, name: str) -> frozenset[str]:
    """Return the files in a folder that an earlier call wrote.

    Raises:
        Misconfigured: the folder has files, but not this package.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return frozenset()
    try:
        manifest = json.loads((folder / _MANIFEST).read_bytes())
        listed = manifest["files"] if manifest["name"] == name else []
    except (FileNotFoundError, NotADirectoryError, ValueError, LookupError, TypeError):
        listed = []
    # Names of plain files only: a manifest that was edited must not name others.
    files = {file for file in listed if isinstance(file, str) and Path(file).name == file}
    if not files:
        raise Misconfigured(f"{folder} has other files; choose a new folder, or an empty one")
    return frozenset({*files, _MANIFEST})
