"""`Browser`: sends the user's browser to an identity provider, and receives what it brings back.

An authorization request of a native app, with a redirect to a loopback port (RFC 8252, 7.3).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qs, urlsplit

import typer

from oncegate import Event, InvalidInput, Misconfigured, Step
from oncegate.adapters import parse_event

_PATH: Final = "/callback"
_PARAMETERS: Final = ("code", "state", "error", "error_description")
_LONGEST_DESCRIPTION: Final = 1024
_SLOWEST_REQUEST: Final = 10.0
_SLOWEST_SIGN_OUT: Final = 10.0
"""Seconds to wait for the browser after a sign-out, which has no result that anything depends on."""
_PAGE: Final = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>oncegate</title>"
    "<p>Go back to the terminal. You can close this page."
)
_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


class Browser:
    """The user's browser, seen from a loopback port.

    Args:
        server: the server on that port.
        opens: whether to open the browser. Otherwise the user opens the address that the terminal
            shows.

    Attributes:
        redirect_uri: where the browser comes back to. The app client has to allow it.
    """

    def __init__(self, server: _Server, *, opens: bool) -> None:
        self._server = server
        self._opens = opens
        self._opened: str | None = None
        # The name, not the address: Cognito allows http with this host only (API reference,
        # UserPoolClientType, CallbackURLs).
        self.redirect_uri = f"http://localhost:{server.server_port}{_PATH}"

    def answer(self, step: Step) -> Event | None:
        """Return what the browser brings back, or None if the step has expired before.

        Args:
            step: a step with an address to go to.
        """
        if self._opens and step.authorize_url and step.authorize_url != self._opened:
            self._opened = step.authorize_url
            typer.launch(step.authorize_url)
        ends = step.expires_at
        seconds = None if ends is None else max(0.0, (ends - datetime.now(UTC)).total_seconds())
        try:
            return self._server.answers.get(timeout=seconds)
        except queue.Empty:
            return None

    def sign_out(self, url: str) -> None:
        """Open an address that ends a session in the browser, and wait until it comes back.

        Args:
            url: the address. It comes back to `redirect_uri` if the app client allows it; otherwise
                the wait ends after some seconds.
        """
        self._server.expects_sign_out = True
        typer.launch(url)
        self._server.has_signed_out.wait(_SLOWEST_SIGN_OUT)


@contextmanager
def browser_at(port: int, *, opens: bool) -> Iterator[Browser]:
    """Listen on a loopback port while the block runs.

    Args:
        port: TCP port; 0 for any free one.
        opens: whether to open the browser.

    Raises:
        Misconfigured: the port is in use, or not allowed.
    """
    try:
        server = _Server(("127.0.0.1", port), _Handler)
    except OSError as error:
        raise Misconfigured(f"cannot listen on port {port}: {error.strerror}") from None
    with server:
        # The interval is how long the end of the command may wait for the server's.
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield Browser(server, opens=opens)
        finally:
            server.shutdown()


class _Server(ThreadingHTTPServer):
    """Answers each connection in a thread: browsers open some on which they send nothing."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[_Handler]) -> None:
        super().__init__(address, handler)
        self.answers: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.expects_sign_out = False
        self.has_signed_out = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Report nothing: a browser that closes a connection is no error of the sign-in."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _SLOWEST_REQUEST
    server: _Server

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path != _PATH:
            self._reply(HTTPStatus.NOT_FOUND)
            return
        if self.server.expects_sign_out:
            self._reply(HTTPStatus.OK)
            self.server.has_signed_out.set()
            return
        try:
            event = _event_of(address.query)
        except InvalidInput:
            self._reply(HTTPStatus.BAD_REQUEST)
            return
        # First the page: the command ends soon after it has the answer.
        self._reply(HTTPStatus.OK)
        self.server.answers.put(event)

    def _reply(self, status: HTTPStatus) -> None:
        page = _PAGE.encode() if status is HTTPStatus.OK else status.phrase.encode()
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Log nothing: the request line has the code."""

    def version_string(self) -> str:
        return "oncegate"


def _event_of(query: str) -> Event:
    """Return the event of a redirect's query (RFC 6749, 4.1.2).

    Raises:
        InvalidInput: it has no state, neither a code nor an error, or a parameter twice.
    """
    try:
        found = parse_qs(query, max_num_fields=50)
    except ValueError:
        raise InvalidInput("too many parameters") from None
    given = {name: found[name] for name in _PARAMETERS if name in found}
    if any(len(values) > 1 for values in given.values()):
        raise InvalidInput("a parameter is there twice")
    event: dict[str, object] = {name: value for name, (value,) in given.items()}
    if "error_description" in event:
        event["error_description"] = str(event["error_description"])[:_LONGEST_DESCRIPTION]
    return parse_event({"type": "submit_authorization", **event})
