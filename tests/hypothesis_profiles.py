"""Profiles for property tests, chosen by `load_profile` when tests start.

Hypothesis itself replays the same examples for ever if the variable CI is set. Here CI is random, so
that each run tries something new: `.ci/run` prints the seed, and pytest's `--hypothesis-seed` repeats
the run. A failure prints the `@reproduce_failure` line of its example; add that example to the test
with `@example`.
"""

from __future__ import annotations

import os
from datetime import timedelta

from hypothesis import HealthCheck, settings

_DEADLINE = timedelta(seconds=10)
"""For one example. A busy machine needs a second for some; one that takes ten does not end."""


def register_profiles() -> None:
    """Register the profiles ``ci``, ``dev`` and ``fast``."""
    common = settings(
        settings.get_profile("default"),
        deadline=_DEADLINE,
        derandomize=False,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.register_profile("ci", common, max_examples=100, database=None)
    settings.register_profile("dev", common, max_examples=50)
    settings.register_profile("fast", common, max_examples=20)


def load_profile() -> None:
    """Register the profiles, and load the one for this run."""
    register_profiles()
    settings.load_profile("ci" if os.environ.get("CI") else "dev")
