"""Coverage-guided fuzzing of every entry point, with the assertions of `test_hostile`.

    .venv/bin/python -m tests.faults.fuzz events -max_total_time=600
    .venv/bin/python -m tests.faults.fuzz all -max_total_time=60

Options after the target go to libFuzzer. Any exception except a typed error ends the run and prints
the input that caused it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
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
    """Parse JSON as a browser sends it."""
    with contextlib.suppress(InvalidInput):
        parse_event(data)


def _of(test: object) -> Target:
    target: Target = test.hypothesis.fuzz_one_input  # type: ignore[attr-defined]
    return target


TARGETS: dict[str, Target] = {
    "events": events,
    "flow_ids": _of(test_hostile.test_any_flow_id_gives_a_step_or_a_typed_error),
    "records": _of(test_hostile.test_corrupt_record_is_unreadable),
    "responses": _of(test_hostile.test_any_response_of_cognito_leaves_a_way_on),
    "seed_files": _of(test_hostile.test_any_seed_file_gives_a_seed_or_a_typed_error),
    "requests": _of(
        test_hostile.test_any_request_to_the_sandbox_gives_a_response_or_a_cognito_error
    ),
    "store_urls": _of(test_hostile.test_any_store_url_gives_a_typed_error),
    "arguments": _of(test_hostile.test_any_arguments_exit_normally),
}


LONG = ["-len_control=0", "-max_len=4096"]
SEEDS = 32


def _seeds(folder: Path) -> None:
    """Write a first corpus: long inputs for Hypothesis, and valid events for the parser."""
    noise = random.Random(1)
    for number in range(SEEDS):
        folder.joinpath(f"noise-{number}").write_bytes(noise.randbytes(noise.randrange(64, 4096)))
    for event in get_args(Event):
        fields = dict.fromkeys(event.model_fields, "123456") | {"type": event.machine_event}
        folder.joinpath(event.machine_event).write_text(json.dumps(fields))


def main() -> None:
    logging.disable()
    target, *options = sys.argv[1:]
    if target == "all":
        fuzz_all(options)
    else:
        fuzz(target, options)


def fuzz_all(options: list[str]) -> None:
    """Fuzz one target after another, each in a process of its own: libFuzzer ends its process.

    They are forked, because to instrument the imports takes longer than a short run.
    """
    for target in TARGETS:
        print(f"target: {target}", file=sys.stderr, flush=True)
        child = os.fork()
        if not child:
            fuzz(target, options)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            sys.exit(f"{target}: status {os.waitstatus_to_exitcode(status)}")


def fuzz(target: str, options: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _seeds(Path(folder))
        atheris.Setup([sys.argv[0], folder, *LONG, *options], TARGETS[target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
