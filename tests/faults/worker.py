"""A worker process for the tests that kill one: it receives orders through a pipe.

Workers are forked from a process that has imported everything, as preloading servers do. That is
about ten times faster than starting an interpreter for each.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any, NamedTuple

import botocore
import botocore.session
from botocore.config import Config
from pydantic import SecretStr

from oncegate import OncegateError, SignIn, SignUpForm, Step, StepRef, WaysIn
from oncegate.account import Account
from oncegate.adapters import parse_event
from oncegate.challenges import ACCOUNT_EVENT_TYPES
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox
from oncegate_stores import store_from_url

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])

# Reading the service model takes longest, so the forking process reads it once for all.
_MODELS = botocore.session.get_session()
_MODELS.get_service_model("cognito-idp")


class Setup(NamedTuple):
    """What a worker connects to.

    Attributes:
        endpoint: URL of the sandbox.
        pool_id: user pool ID.
        client_id: app client ID.
        store: URL of the record store.
        patience: seconds that a repeated event waits for the step of the first one.
    """

    endpoint: str
    pool_id: str
    client_id: str
    store: str
    patience: float


def serve(setup: Setup, orders: Connection) -> None:
    """Carry out orders until the other end of the pipe is closed."""
    client: Any = _MODELS.create_client(
        "cognito-idp",
        region_name="us-east-1",
        endpoint_url=setup.endpoint,
        config=Config(
            signature_version=botocore.UNSIGNED,
            retries={"mode": "standard", "total_max_attempts": 1},
            connect_timeout=5,  # no call may be lost but those of killed workers
            read_timeout=15,
        ),
    )
    transport = CognitoTransport(
        pool_id=setup.pool_id,
        client_id=setup.client_id,
        auth_flow="USER_PASSWORD_AUTH",
        client=client,
        ways_in=WaysIn(sign_up=SignUpForm(attributes=("email",))),
    )
    store = store_from_url(setup.store)
    sign_in = SignIn(transport=transport, store=store, budget=None, patience=setup.patience)
    account = Account(
        transport=transport,
        store=store,
        budget=None,
        patience=setup.patience,
        new_code_cooldown=0,  # so that a code is held back by nothing else
    )
    orders.send({"ready": sign_in.lease})
    while True:
        try:
            order = orders.recv()
            is_change = "access_token" in order
            orders.send(_change(account, order) if is_change else _carry_out(sign_in, order))
        except (EOFError, BrokenPipeError):
            return


def _carry_out(sign_in: SignIn, order: dict[str, Any]) -> dict[str, Any]:
    try:
        if "event" in order:
            event = parse_event(order["event"])
            step = sign_in.send(StepRef(order["flow_id"], order["version"]), event)
        elif "flow_id" in order:
            step = sign_in.get(order["flow_id"])
        else:
            step = sign_in.start()
    except OncegateError as error:
        return {"error": type(error).__name__}
    return {**step.model_dump(mode="json"), "signed_in": step.tokens is not None}


def _change(account: Account, order: dict[str, Any]) -> dict[str, Any]:
    """Carry out an order for an account; one with ``kill_at`` kills this process before that effect."""
    if "event" not in order:
        flow_id = order.get("flow_id")
        return _shown(account.get(flow_id) if flow_id else account.start())
    kinds: dict[str, Any] = {
        kind.model_fields["type"].default: kind for kind in ACCOUNT_EVENT_TYPES
    }
    event = kinds[order["event"]["type"]].model_validate(order["event"])
    script = account.changing(
        StepRef(order["flow_id"], order["version"]), event, SecretStr(order["access_token"])
    )
    result, done = None, 0
    while True:
        try:
            effect = script.send(result)
        except StopIteration as end:
            return {**_shown(end.value), "effects": done}
        if done == order.get("kill_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        result, done = account.perform(effect), done + 1


def _shown(step: Step) -> dict[str, Any]:
    secret = step.totp.secret if step.totp else None
    return {**step.model_dump(mode="json"), "secret": secret}


class Process:
    """A worker that carries out orders and can be killed.

    Attributes:
        lease: seconds after which a call of its counts as orphaned.
    """

    def __init__(self, sandbox: Sandbox, store: str, patience: float = 10.0) -> None:
        setup = Setup(**sandbox.description(), store=store, patience=patience)
        self._orders, worker_end = FORKS.Pipe()
        self._process: ForkServerProcess = FORKS.Process(
            target=serve, args=(setup, worker_end), daemon=True
        )
        self._process.start()
        worker_end.close()  # so that the pipe is closed when the worker dies
        self.lease = float(self._answer()["ready"])

    def _answer(self) -> Any:
        try:
            return self._orders.recv()
        except (EOFError, ConnectionResetError):
            return {"killed": True}

    def order(self, **order: Any) -> Any:
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
