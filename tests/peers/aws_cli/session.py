"""Runs commands of the AWS CLI in one process, as the program takes a second to start.

Each line of the input is a JSON array of arguments. Each line of the output is a JSON array of the exit
status, the output and the errors of a command. In the process of the tests, awscli would replace botocore
by its own.
"""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout

from awscli.clidriver import create_clidriver

driver = create_clidriver()
for line in sys.stdin:
    with redirect_stdout(io.StringIO()) as output, redirect_stderr(io.StringIO()) as errors:
        status = driver.main(json.loads(line))
    print(json.dumps([status, output.getvalue(), errors.getvalue()]), flush=True)
