"""Servers and resolvers that are slow, dead or hostile, on this machine."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Serve = Callable[[socket.socket], None]


class Server:
    """A server on loopback, with one thread for each connection.

    Args:
        serve: what it does with a connection. None: reads all that comes, and answers nothing.

    Attributes:
        received: bytes that arrived, of all connections.
        accepted: number of connections.
    """

    def __init__(self, serve: Serve | None = None) -> None:
        self._serve = serve or self.read_all
        self.received = b""
        self.accepted = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._socket.getsockname()
        self.port = self.address[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.accepted += 1
                self._open.append(connection)
                threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            self._serve(connection)

    def read_all(self, connection: socket.socket) -> None:
        """Read until the client closes."""
        while data := connection.recv(65536):
            self.received += data

    def read_request(self, connection: socket.socket) -> bool:
        """Read one request; return whether there was one."""
        head = b""
        while b"\r\n\r\n" not in head:
            data = connection.recv(65536)
            if not data:
                return False
            self.received += data
            head += data
        lengths = [
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ]
        missing = (lengths or [0])[0] - len(head.partition(b"\r\n\r\n")[2])
        while missing > 0:
            data = connection.recv(65536)
            self.received += data
            missing -= len(data)
        return True

    @property
    def requests(self) -> int:
        """Number of requests that arrived, or began to."""
        return self.received.count(b" HTTP/1.1\r\n")

    def close(self) -> None:
        for one in (self._socket, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def response(
    body: bytes, content_type: str = "application/x-amz-json-1.1", status: int = 200
) -> bytes:
    """Return a whole HTTP response."""
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextlib.contextmanager
def _answering(send: Callable[[socket.socket], None]) -> Iterator[Server]:
    def serve(connection: socket.socket) -> None:
        while server.read_request(connection):
            send(connection)

    server = Server(serve)
    try:
        yield server
    finally:
        server.close()


def answering(answer: bytes) -> AbstractContextManager[Server]:
    """A server that answers every request with this."""
    return _answering(lambda connection: connection.sendall(answer))


def dripping(answer: bytes, every: float = 1.0) -> AbstractContextManager[Server]:
    """A server that answers with one byte at a time.

    Args:
        answer: what it would send.
        every: seconds between two bytes.
    """

    def send(connection: socket.socket) -> None:
        for byte in answer:
            connection.sendall(bytes([byte]))
            time.sleep(every)

    return _answering(send)


@contextlib.contextmanager
def dead_address() -> Iterator[tuple[str, int]]:
    """An address to which no connection is ever made: its queue is full."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield full.getsockname()


def pump(connection: socket.socket, target: tuple[str, int]) -> None:
    """Pass on what arrives, both ways."""

    def copy(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)

    with socket.create_connection(target) as onward:
        threading.Thread(target=copy, args=(onward, connection), daemon=True).start()
        copy(connection, onward)


class Relay(Server):
    """A TCP relay that can forget the connections it has, as a NAT gateway does.

    Args:
        target: where it connects to.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._generation = 0
        super().__init__(self._relay)

    def forget_connections(self) -> None:
        """From now on, what arrives on the connections of today goes nowhere."""
        self._generation += 1

    def _relay(self, connection: socket.socket) -> None:
        generation = self._generation
        with socket.create_connection(self._target) as onward:
            self._open.append(onward)
            back = threading.Thread(
                target=self._pump, args=(onward, connection, generation), daemon=True
            )
            back.start()
            self._pump(connection, onward, generation)

    def _pump(self, source: socket.socket, target: socket.socket, generation: int) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if generation == self._generation:
                    target.sendall(data)


def tls_context(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's context for 127.0.0.1, and the file of the certificate that clients trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    both = folder / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    both.write_bytes(private + path.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context, path
