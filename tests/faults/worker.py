"""A worker process for the tests that kill one: it hears orders on a pipe, and obeys.

Workers are forked from a process that has imported everything already, as servers that load the
application before they fork do. Hundreds can be killed in the time in which ten would start from nothing.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any, NamedTuple

import botocore
import botocore.session
import oncegate.driver.script
from botocore.config import Config

from oncegate import OncegateError, SignIn
from oncegate.adapters import parse_event
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox
from oncegate_stores import store_from_url

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])

# Reading the service model takes longest, so the process that forks does it for all.
_MODELS = botocore.session.get_session()
_MODELS.get_service_model("cognito-idp")


class Place(NamedTuple):
    """Where a worker works: a Cognito, a store, and how long a double click waits, in seconds."""

    endpoint: str
    pool_id: str
    client_id: str
    store: str
    patience: float


def serve(place: Place, orders: Connection) -> None:
    """Obey until nobody is left who gives orders."""
    oncegate.driver.script.LEASE_MARGIN = 0.5  # or the test would wait for half a minute
    client: Any = _MODELS.create_client(
        "cognito-idp",
        region_name="us-east-1",
        endpoint_url=place.endpoint,
        config=Config(
            signature_version=botocore.UNSIGNED,
            retries={"mode": "standard", "total_max_attempts": 1},
            connect_timeout=0.5,
            read_timeout=1.0,
        ),
    )
    transport = CognitoTransport(
        pool_id=place.pool_id,
        client_id=place.client_id,
        auth_flow="USER_PASSWORD_AUTH",
        client=client,
    )
    store = store_from_url(place.store)
    sign_in = SignIn(transport=transport, store=store, budget=None, patience=place.patience)
    orders.send({"ready": sign_in.lease})
    while True:
        try:
            orders.send(_obey(sign_in, orders.recv()))
        except (EOFError, BrokenPipeError):
            return


def _obey(sign_in: SignIn, order: dict[str, Any]) -> dict[str, Any]:
    try:
        if "event" in order:
            event = parse_event(order["event"])
            step = sign_in.send(order["flow_id"], event, version=order.get("version"))
        else:
            step = sign_in.get(order["flow_id"])
    except OncegateError as error:
        return {"error": type(error).__name__}
    return {**step.model_dump(mode="json"), "signed_in": step.tokens is not None}


class Process:
    """A worker that can be told something, and killed."""

    def __init__(self, sandbox: Sandbox, store: str, patience: float = 10.0) -> None:
        place = Place(**sandbox.description(), store=store, patience=patience)
        self._orders, theirs = FORKS.Pipe()
        self._process: ForkServerProcess = FORKS.Process(
            target=serve, args=(place, theirs), daemon=True
        )
        self._process.start()
        theirs.close()  # or nobody would be told when the worker is gone
        self.lease = float(self._answer()["ready"])

    def _answer(self) -> Any:
        try:
            return self._orders.recv()
        except (EOFError, ConnectionResetError):
            return {"killed": True}

    def tell(self, **order: Any) -> Any:
        try:
            self._orders.send(order)
        except BrokenPipeError:
            return {"killed": True}
        return self._answer()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def close(self) -> None:
        self._process.kill()
        self._process.join()
        self._orders.close()
