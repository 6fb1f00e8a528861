"""The engine under gevent, which replaces queues, locks and threads of the standard library.

gevent 25.4.1 and later replaces `queue.PriorityQueue` by one without a ``mutex``, which python-statemachine
touches at every event. The compiled table has no queue.
"""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
from gevent import monkey; monkey.patch_all()
import gevent
from oncegate import SignIn
from oncegate_stores import MemoryStore
from tests.doubles import ScriptedTransport, a_text, code, password, the_tokens

def user(_):
    sign_in = SignIn(
        transport=ScriptedTransport(a_text(), the_tokens()), store=MemoryStore(), listeners=[]
    )
    step = sign_in.send(sign_in.start(), password())
    return sign_in.send(step, code()).state.value

jobs = [gevent.spawn(user, number) for number in range(20)]
gevent.joinall(jobs, raise_error=True)
print({job.value for job in jobs})
"""


def test_sign_in_works_under_gevent() -> None:
    compiled = {k: v for k, v in os.environ.items() if k != "ONCEGATE_CHART_ENGINE"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        env=compiled,
    )
    assert done.stdout.strip() == "{'authenticated'}", done.stderr[-2000:]
