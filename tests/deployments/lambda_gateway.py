"""AWS Lambda behind API Gateway's HTTP API: HTTP in front, events of format 2.0 for the handler.

Each instance of the function has one request at a time, and is frozen between two requests, so that its
threads do not run. (docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html;
docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html)
"""

from __future__ import annotations

import base64
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.deployments.servers import ROOT

RUNTIME = (sys.executable, "-m", "tests.deployments.apps.lambda_runtime")
DOMAIN = "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"


def event(
    method: str, path: str, headers: Mapping[str, str], body: bytes = b"", source: str = "192.0.2.7"
) -> dict[str, Any]:
    """Return the event for a request.

    Args:
        method: HTTP method.
        path: path with the query.
        headers: header fields; those that API Gateway adds have precedence.
        body: body.
        source: address of the client.
    """
    raw_path, _, query = path.partition("?")
    fields = {name.lower(): value for name, value in headers.items()}
    cookies = fields.pop("cookie", "")
    fields.setdefault("host", DOMAIN)
    fields.setdefault("x-forwarded-proto", "https")
    fields.setdefault("x-forwarded-for", source)
    agent = fields.get("user-agent", "")
    made: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": raw_path,
        "rawQueryString": query,
        "headers": fields,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3d4e5",
            "domainName": DOMAIN,
            "domainPrefix": "a1b2c3d4e5",
            "http": {
                "method": method,
                "path": raw_path,
                "protocol": "HTTP/1.1",
                "sourceIp": source,
                "userAgent": agent,
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": bool(body),
    }
    if cookies:
        made["cookies"] = cookies.split("; ")
    if body:
        made["body"] = base64.b64encode(body).decode()
    return made


class Instance:
    """One instance of the function: a process, frozen unless it has a request."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                RUNTIME,
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                start_new_session=True,
            )

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the handler's answer to an event."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        finally:
            self._process.send_signal(signal.SIGSTOP)
        answer: dict[str, Any] = json.loads(line) if line else {"statusCode": 502}
        return answer

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


class Gateway:
    """API Gateway: gives each request to a free instance, or waits for one.

    Args:
        port: port to listen on.
        environment: variables of the function.
        log: file for what the instances write.
        instances: reserved concurrency: how many instances there are at most.
    """

    def __init__(
        self, port: int, environment: Mapping[str, str], log: Path, instances: int = 3
    ) -> None:
        self._environment = environment
        self._log = log
        self._places = threading.Semaphore(instances)
        self._free = queue.LifoQueue[Instance]()
        self.instances = list[Instance]()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                headers = {**dict(self.headers), "x-forwarded-proto": "http"}
                body = self.rfile.read(length)
                request = event(self.command, self.path, headers, body, self.client_address[0])
                self._send(gateway.answer(request))

            do_POST = do_GET  # noqa: N815

            def _send(self, answer: Mapping[str, Any]) -> None:
                body: bytes = answer.get("body", "").encode()
                if answer.get("isBase64Encoded"):
                    body = base64.b64decode(body)
                self.send_response(answer["statusCode"])
                for name, value in answer.get("headers", {}).items():
                    if name.lower() != "content-length":
                        self.send_header(name, value)
                for cookie in answer.get("cookies", ()):
                    self.send_header("set-cookie", cookie)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer with a free instance; without one, start another, which is a cold start."""
        with self._places:
            try:
                instance = self._free.get_nowait()
            except queue.Empty:
                instance = Instance(self._environment, self._log)
                self.instances.append(instance)
            try:
                return instance.answer(request)
            finally:
                self._free.put(instance)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for instance in self.instances:
            instance.kill()


@contextmanager
def gateway(port: int, environment: Mapping[str, str], log: Path) -> Iterator[Gateway]:
    """Serve a function until the block ends; see `Gateway`."""
    served = Gateway(port, environment, log)
    served.start()
    try:
        yield served
    finally:
        served.stop()
