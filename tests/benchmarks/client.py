"""A client that signs users in by SRP, one after the other, in a process of its own.

    python -m tests.benchmarks.client KIND ENDPOINT POOL_ID CLIENT_ID

It prints "ready". Then a username comes in on a line; "code" goes out if a code was sent, and the code comes
in; "done" goes out once the user is signed in.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

SignsIn = Callable[[str], None]


def _code() -> str:
    _say("code")
    return sys.stdin.readline().strip()


def _say(word: str) -> None:
    print(word, flush=True)


def oncegate(endpoint: str, pool_id: str, client_id: str, **more: Any) -> SignsIn:
    """Return a sign-in by oncegate, with SQLite, the default limits and the default listeners."""
    from tests.benchmarks.visitors import expect, password_of, request_of

    from oncegate import SignIn, SubmitCode
    from oncegate_cognito import CognitoTransport
    from oncegate_stores import SQLiteStore

    folder = tempfile.mkdtemp(dir=os.environ["BENCHMARK_FOLDER"])
    transport = CognitoTransport(pool_id=pool_id, client_id=client_id, endpoint_url=endpoint)
    driver = SignIn(transport=transport, store=SQLiteStore(Path(folder) / "flows.db"), **more)

    def sign_in(username: str) -> None:
        number = int(username.removeprefix("user").removeprefix("plain"))
        password = password_of(number).model_copy(update={"username": username})
        request = request_of(number)
        step = driver.send(driver.start(), password, context=request)
        if step.state == "awaiting_mfa":
            code = SubmitCode.model_validate({"code": _code()})
            step = driver.send(step, code, context=request)
        expect(step, "authenticated")

    return sign_in


def oncegate_without_limits(endpoint: str, pool_id: str, client_id: str) -> SignsIn:
    """Return the same without limits and listeners, to compare with how older releases were measured."""
    return oncegate(endpoint, pool_id, client_id, budget=None, listeners=[])


def boto3_with_srp(endpoint: str, pool_id: str, client_id: str) -> SignsIn:
    """Return the same calls by boto3, with the same SRP: no state, no protection from a second click."""
    from tests.benchmarks.sign_ins import RemoteSandbox, by_boto3

    sign_in = by_boto3(RemoteSandbox(endpoint, pool_id, client_id))
    return lambda username: sign_in(username, _code)


def pycognito(endpoint: str, pool_id: str, client_id: str) -> SignsIn:
    """Return a sign-in by pycognito, which also verifies the tokens' signatures."""
    from pycognito import Cognito
    from pycognito.exceptions import SMSMFAChallengeException
    from tests.benchmarks.sign_ins import ONCE

    user = Cognito(
        pool_id, client_id, boto3_client_kwargs={"endpoint_url": endpoint, "config": ONCE}
    )

    def sign_in(username: str) -> None:
        user.username = username
        try:
            user.authenticate("Correct-horse-1")
        except SMSMFAChallengeException as challenge:
            user.respond_to_sms_mfa_challenge(_code(), challenge.get_tokens())
        assert user.access_token

    return sign_in


KINDS: dict[str, Callable[[str, str, str], SignsIn]] = {
    "oncegate": oncegate,
    "oncegate_without_limits": oncegate_without_limits,
    "boto3": boto3_with_srp,
    "pycognito": pycognito,
}


def main(kind: str, *cognito: str) -> None:
    # As in an application that configures the standard library's logging and no level.
    logging.basicConfig(filename=os.devnull)
    sign_in = KINDS[kind](*cognito)
    _say("ready")
    for line in sys.stdin:
        sign_in(line.strip())
        _say("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
