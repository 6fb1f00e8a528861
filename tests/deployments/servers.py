"""Web servers in processes of their own: started, polled until they answer, and always killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]


class DidNotStart(Exception):
    """A server ended, or did not answer in time."""


class ServerProcess:
    """A server and all processes that it starts, which are a process group of their own.

    Args:
        command: program and arguments.
        url: URL at which it answers.
        environment: variables that are added to those of this process.
        log: file for its output. Default: that of this process.

    Attributes:
        pid: the ID of the first process, and of the group.
        url: see above.
    """

    def __init__(
        self,
        command: Sequence[str],
        url: str,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self.url = url
        with log.open("ab") if log else contextlib.nullcontext() as output:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def wait_until_it_answers(self, seconds: float = 60.0) -> None:
        """Wait until the server answers a request, whatever the status.

        Raises:
            DidNotStart: it ended, or did not answer in time.
        """
        until = time.monotonic() + seconds
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(self.url, timeout=10)
                return
            if self._process.poll() is not None:
                raise DidNotStart(f"ended with status {self._process.returncode}")
            if time.monotonic() > until:
                raise DidNotStart(f"no answer within {seconds:g} s")
            time.sleep(0.02)

    def children(self) -> set[int]:
        """Return the IDs of the processes that the first one has started."""
        return set(map(int, Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()))

    def stop(self) -> None:
        """Ask the server to stop, as a deployment does; after three seconds, kill all its processes."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(3)
        self.kill()

    def kill(self) -> None:
        """Kill all processes of the group, also those whose parent has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


@contextlib.contextmanager
def served(
    command: Sequence[str],
    url: str,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> Iterator[ServerProcess]:
    """Serve until the block ends; see `ServerProcess`."""
    server = ServerProcess(command, url, environment, log)
    try:
        server.wait_until_it_answers()
        yield server
        server.stop()
    finally:
        server.kill()
