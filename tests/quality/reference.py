"""Builds the API reference from docstrings; any warning is an error.

python -m tests.quality.reference FOLDER
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import get_type_hints

import pdoc
from django.conf import settings

MODULES = (
    "oncegate",
    "oncegate.adapters",
    "oncegate.testing",
    "oncegate.machine.chart",
    "oncegate_cognito",
    "oncegate_stores",
    "oncegate_vaults",
    "oncegate_otel",
    "oncegate_web",
    "oncegate_web.fastapi",
    "oncegate_web.flask",
    "oncegate_web.django",
    "oncegate_web.settings",
    "oncegate_web.testing",
    "oncegate_sandbox",
    "oncegate_sandbox.testing",
)
"""What others import. The CLI has no API."""


def build(folder: Path) -> None:
    """Write the reference into a folder."""
    settings.configure()  # `oncegate_web.django` reads them when it is imported
    for name in MODULES:
        module = import_module(name)
        for exported in getattr(
            module, "__all__", ()
        ):  # also those that the module imports at first use
            setattr(module, exported, getattr(module, exported))
    for name, loaded in list(sys.modules.items()):
        if name.split(".")[0] in MODULES:
            _resolve_named_tuples(loaded)
    pdoc.render.configure(docformat="google")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pdoc.pdoc(*MODULES, output_directory=folder)


def _resolve_named_tuples(module: ModuleType) -> None:
    """Replace annotations that are text: pdoc looks for their names in the wrong module."""
    for found in vars(module).values():
        if isinstance(found, type) and issubclass(found, tuple) and hasattr(found, "_fields"):
            found.__new__.__annotations__ = get_type_hints(found)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
