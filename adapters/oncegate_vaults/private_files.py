"""Files that only their owner can read, each replaced atomically. Needs no extra."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace_private(path: Path, text: str) -> None:
    """Write a file with mode 0600. A crash leaves the old file or the new one, and no half of one.

    Args:
        path: the file; a missing folder is created with mode 0700.
        text: the new content.

    Raises:
        OSError: it cannot be written. The old file is unchanged.
    """
    folder = path.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp creates the file with mode 0600, so no other user can read it at any moment.
    handle, name = tempfile.mkstemp(dir=folder, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
