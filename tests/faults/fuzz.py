"""A coverage-guided fuzzer on every entry point, with what `test_hostile` holds them to.

    .venv/bin/python -m tests.faults.fuzz events -max_total_time=600

What stands behind the target is handed to libFuzzer. Anything but a typed error ends the run with the
input that led to it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import atheris

OURS = ("oncegate", "oncegate_cli", "oncegate_cognito", "oncegate_sandbox", "oncegate_stores")

with atheris.instrument_imports(include=[*OURS, "tomllib", "json"]):
    from tests.faults import test_hostile

    from oncegate import Event, InvalidInput
    from oncegate.adapters import parse_event

Target = Callable[[bytes], object]


def events(data: bytes) -> None:
    """JSON as a browser sends it."""
    with contextlib.suppress(InvalidInput):
        parse_event(data)


def _of(test: object) -> Target:
    target: Target = test.hypothesis.fuzz_one_input  # type: ignore[attr-defined]
    return target


TARGETS: dict[str, Target] = {
    "events": events,
    "flow_ids": _of(test_hostile.test_flow_ids),
    "records": _of(test_hostile.test_records),
    "responses": _of(test_hostile.test_responses),
    "seed_files": _of(test_hostile.test_seed_files),
    "requests": _of(test_hostile.test_requests_to_the_sandbox),
    "store_urls": _of(test_hostile.test_store_urls),
    "arguments": _of(test_hostile.test_arguments),
}


LONG = ["-len_control=0", "-max_len=4096"]
SEEDS = 32


def _seeds(folder: Path) -> None:
    """Something to start from: Hypothesis makes nothing of short inputs, and a parser little of noise."""
    noise = random.Random(1)
    for number in range(SEEDS):
        folder.joinpath(f"noise-{number}").write_bytes(noise.randbytes(noise.randrange(64, 4096)))
    for event in get_args(Event):
        fields = dict.fromkeys(event.model_fields, "123456") | {"type": event.machine_event}
        folder.joinpath(event.machine_event).write_text(json.dumps(fields))


def main() -> None:
    logging.disable()
    target, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        _seeds(Path(folder))
        atheris.Setup([sys.argv[0], folder, *LONG, *options], TARGETS[target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
