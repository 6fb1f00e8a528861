"""Sign-ins by SRP, compared with the clients that people would use instead: CPU time of each process.

Each client signs the same users in to the same sandbox, in turn, in a process of its own (`client.py`,
`clients.cjs`). Its CPU time is read from outside, for all of its threads: the JIT compiler's and the garbage
collector's count. The process is warm: it has signed users in before.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.benchmarks.client import KINDS
from tests.benchmarks.side_by_side import Row, Times, cpu_seconds_of, row
from tests.benchmarks.sign_ins import RemoteSandbox, remote_sandbox
from tests.peers.conftest import kept

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WARM = 5
"""Sign-ins before the first that is measured, at most as many as are measured."""

BEFORE = 0.61
"""Sign-ins with a code a second of oncegate without limits and listeners, before it saved them with the
flow, divided by those of boto3."""


class Client:
    """A process that signs users in.

    Args:
        kind: see `client.py` and `clients.cjs`.
        cognito: the sandbox.
        environment: variables that are added to those of this process.
    """

    def __init__(self, kind: str, cognito: RemoteSandbox, environment: Mapping[str, str]) -> None:
        program = (
            [sys.executable, "-m", "tests.benchmarks.client"]
            if kind in KINDS
            else ["node", str(HERE / "clients.cjs")]
        )
        self._cognito = cognito
        self._process = subprocess.Popen(
            [*program, kind, *cognito],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._expect("ready")

    def sign_in(self, username: str) -> float:
        """Sign a user in, and return the CPU time that the process used, in seconds."""
        began = cpu_seconds_of(self._process.pid)
        self._write(username)
        if username.startswith("user"):
            self._expect("code")
            self._write(self._cognito.newest_code())
        self._expect("done")
        return cpu_seconds_of(self._process.pid) - began

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _expect(self, word: str) -> None:
        assert self._process.stdout is not None
        got = self._process.stdout.readline().strip()
        assert got == word, f"expected {word!r}, got {got!r}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def python(quick: bool) -> Iterator[Row]:
    """Compare with pycognito, the same calls by boto3, and oncegate without limits and listeners."""
    rounds, what = 2 if quick else 40, "CPU of a sign-in by SRP"
    ours, theirs, by_boto3 = _in_turn(("oncegate", "pycognito", "boto3"), "plain", rounds)
    note = f"{_a_second(ours, theirs)}; the same calls by boto3 alone: {by_boto3}"
    yield row(f"{what}, compared with pycognito", 1 / 8, ours, theirs, note)
    kinds = ("oncegate", "pycognito", "oncegate_without_limits", "boto3")
    ours, theirs, unlimited, by_boto3 = _in_turn(kinds, "user", rounds)
    what = f"{what} and an SMS code, compared with"
    yield row(f"{what} pycognito", 1 / 8, ours, theirs, _a_second(ours, theirs))
    yield row(f"{what} oncegate without limits and listeners", None, ours, unlimited)
    ratio = by_boto3.median / ours.median
    yield Row(
        "sign-ins with an SMS code a second and core, compared with the same boto3 calls",
        f"{1 / ours.median:.0f}",
        f"{1 / by_boto3.median:.0f}",
        ratio,
        f"≥ {1.3 * BEFORE:.2f}",
        ratio >= 1.3 * BEFORE,
        f"1.3 × the {BEFORE} of before, which was without limits and listeners",
    )


def javascript(quick: bool) -> Iterator[Row]:
    """Compare with amazon-cognito-identity-js and Amplify on Node."""
    paths = {"NODE_PATH": str(_packages() / "node_modules")}
    for users, words in (("plain", "SRP"), ("user", "SRP and an SMS code")):
        kinds = ("oncegate", "identity_js", "amplify")
        ours, identity_js, amplify = _in_turn(kinds, users, 1 if quick else 15, paths)
        what = f"CPU of a sign-in by {words}, compared with"
        note = _a_second(ours, identity_js)
        yield row(f"{what} amazon-cognito-identity-js on Node", 1 / 20, ours, identity_js, note)
        note = _a_second(ours, amplify)
        yield row(f"{what} Amplify on Node", None, ours, amplify, note)


def _a_second(ours: Times, theirs: Times) -> str:
    return f"{1 / ours.median:.3g} and {1 / theirs.median:.3g} a second and core"


def _in_turn(
    kinds: Sequence[str],
    users: str,
    rounds: int,
    environment: Mapping[str, str] | None = None,
) -> list[Times]:
    """Return the CPU time of one sign-in by each client.

    Args:
        kinds: the clients, as `client.py` and `clients.cjs` call them.
        users: ``"user"`` for those who get a code, ``"plain"`` for those whose password is enough.
        rounds: number of sign-ins by each that are measured.
        environment: see `Client`.
    """
    number_of_users = max(rounds // 4, 4)
    with ExitStack() as stack:
        cognito = stack.enter_context(remote_sandbox(number_of_users))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        variables = {"BENCHMARK_FOLDER": folder, **(environment or {})}
        clients = [stack.enter_context(Client(kind, cognito, variables)) for kind in kinds]
        took: list[list[float]] = [[] for _ in clients]
        warm = min(WARM, rounds)
        for turn in range(warm + rounds):
            for client, times in zip(clients, took, strict=True):
                seconds = client.sign_in(f"{users}{turn % number_of_users}")
                if turn >= warm:
                    times.append(seconds)
    return [Times.of(times) for times in took]


def _packages() -> Path:
    """Return the folder with the npm packages of ``tests/peers``, which are installed once."""

    def install(folder: Path) -> None:
        shutil.copy(wanted, folder)
        quietly = ["--silent", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(["npm", "install", *quietly], cwd=folder, check=True, timeout=300)

    wanted = ROOT / "tests/peers/javascript/package.json"
    return kept(f"javascript-{hashlib.sha256(wanted.read_bytes()).hexdigest()[:8]}", install)


ROWS = {"pycognito": python, "javascript": javascript}
