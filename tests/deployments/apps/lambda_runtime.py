"""Runs the handler as AWS Lambda does: one event at a time. A line of JSON for each, in and out."""

from __future__ import annotations

import json
import os
import sys

# What the application prints goes to its log, and not between the answers.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

from tests.deployments.apps.lambda_handler import handler  # noqa: E402

for event in sys.stdin:
    print(json.dumps(handler(json.loads(event), None)), file=answers, flush=True)
