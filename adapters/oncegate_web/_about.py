"""`about`: what the log may say of an unexpected error."""

from __future__ import annotations

from pathlib import Path
from traceback import walk_tb


def about(error: BaseException) -> dict[str, object]:
    """Return the types and places of an error.

    Its message may quote what was typed, or the password of a database.
    """
    cause = error.__cause__ or error
    places = [
        f"{Path(frame.f_code.co_filename).parent.name}/{Path(frame.f_code.co_filename).name}:{line}"
        for frame, line in walk_tb(error.__traceback__)
    ]
    return {"error": type(error).__name__, "reason": type(cause).__name__, "at": places}
