"""A cold start of a Lambda function: a new process imports its handler, and answers one event."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tests.deployments.servers import ROOT

# Some libraries import these if they are installed, and a function is deployed without them.
_PROGRAM = """
import json, sys
for name in {absent}:
    sys.modules[name] = None
from tests.deployments.apps.{module} import handler
answer = handler(json.load(sys.stdin), None)
print(json.dumps([answer, sorted(name for name, found in sys.modules.items() if found)]))
"""
_ABSENT = {"attr", "greenlet", "rich"}


def cold_start(
    variables: Mapping[str, str], request: Mapping[str, Any], module: str = "lambda_handler"
) -> tuple[dict[str, Any], set[str]]:
    """Start a function, and return its answer to an event and the modules that it has imported.

    Args:
        variables: variables of the function.
        request: the event.
        module: module of its handler.
    """
    absent = _ABSENT | (set() if variables.get("FRAMEWORK") == "django" else {"django"})
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(absent=sorted(absent), module=module)],
        cwd=ROOT,
        env={**os.environ, **variables},
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answer, modules = json.loads(done.stdout.splitlines()[-1])
    return answer, set(modules)
