"""Each call of an account, and each of its requests, with each fault: nothing is repeated by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyotp
import pytest
from tests.account_world import FAY, PASSWORDS, AccountWorld
from tests.walks.authenticator import Authenticator
from tests.world import faults_of_call

from oncegate import Factor, Step
from oncegate.account import (
    AccountEvent,
    AddAuthenticator,
    AddPasskey,
    ChangePassword,
    DeleteAccount,
    ForgetDevice,
    RemovePasskey,
    SignOutEverywhere,
    SubmitAddress,
    SubmitCode,
    SubmitPasskey,
    UseFactor,
)

ARRIVED = ("lost", "reset", "broken")
"""Faults after which the worker does not know whether the call had its effect: here it had."""

NOT_ARRIVED = ("unreachable", "no connection", "throttled", "blocked")
"""Faults of a request that had no effect."""

Situation = tuple[Step, AccountEvent]
Prepare = Callable[[AccountWorld, str], Situation]


@pytest.fixture(autouse=True)
def _tenacity_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)


def _at_once(event: AccountEvent) -> Prepare:
    return lambda world, token: (world.account.start(), event)


def _use_factor(world: AccountWorld, token: str) -> Situation:
    _with_app(world, token)
    return world.account.start(), UseFactor(factor=Factor.TOTP)


def _with_app(world: AccountWorld, token: str) -> None:
    secret = world.pool.perform("AssociateSoftwareToken", {"AccessToken": token})["SecretCode"]
    code = pyotp.TOTP(secret).at(int(world.clock.now()))
    world.pool.perform("VerifySoftwareToken", {"AccessToken": token, "UserCode": code})


def _app_code(world: AccountWorld, token: str) -> Situation:
    step = world.account.send(world.account.start(), AddAuthenticator(), token)
    assert step.totp is not None
    return step, SubmitCode(code=pyotp.TOTP(step.totp.secret).at(int(world.clock.now())))


def _passkey(world: AccountWorld, token: str) -> Situation:
    step = world.account.send(world.account.start(), AddPasskey(), token)
    assert step.passkey_creation is not None
    return step, SubmitPasskey(credential=Authenticator().register(step.passkey_creation))


def _remove_passkey(world: AccountWorld, token: str) -> Situation:
    step, event = _passkey(world, token)
    done = world.account.send(step, event, token)
    (key,) = _user(world).passkeys
    return done, RemovePasskey(key=key)


def _user(world: AccountWorld) -> Any:
    return world.pool.users.find(FAY)


def _has_access(world: AccountWorld, token: str) -> bool:
    try:
        world.pool.perform("GetUser", {"AccessToken": token})
    except Exception:  # noqa: BLE001 - whatever the pool says, the token is invalid
        return False
    return True


class Change:
    """A change of an account.

    Args:
        prepare: returns the step, and the event that makes the change.
        operation: the request that makes the change.
        is_made: whether the pool has it; None for a request that leaves no trace.
        done: state and message after it.
    """

    def __init__(
        self,
        prepare: Prepare,
        operation: str,
        is_made: Callable[[AccountWorld, str], bool] | None,
        done: tuple[str, str | None],
    ) -> None:
        self.prepare, self.operation, self.is_made, self.done = prepare, operation, is_made, done


NEW_PASSWORD = "Better-horse-6"
CHANGES = {
    "add_passkey": Change(
        _at_once(AddPasskey()),
        "StartWebAuthnRegistration",
        None,
        ("registering_passkey", None),
    ),
    "submit_passkey": Change(
        _passkey,
        "CompleteWebAuthnRegistration",
        lambda world, _: bool(_user(world).passkeys),
        ("managing", "passkey_added"),
    ),
    "use_factor": Change(
        _use_factor,
        "SetUserMFAPreference",
        lambda world, _: bool(_user(world).factors),
        ("managing", "factor_changed"),
    ),
    "remove_passkey": Change(
        _remove_passkey,
        "DeleteWebAuthnCredential",
        lambda world, _: not _user(world).passkeys,
        ("managing", "passkey_removed"),
    ),
    "sign_out_everywhere": Change(
        _at_once(SignOutEverywhere()),
        "GlobalSignOut",
        lambda world, token: not _has_access(world, token),
        ("closed", "signed_out_everywhere"),
    ),
    "delete_account": Change(
        _at_once(DeleteAccount()),
        "DeleteUser",
        lambda world, _: _user(world) is None,
        ("closed", "account_deleted"),
    ),
    "change_password": Change(
        _at_once(ChangePassword(password=PASSWORDS[FAY], new_password=NEW_PASSWORD)),
        "ChangePassword",
        lambda world, _: _user(world).password == NEW_PASSWORD,
        ("managing", "password_was_changed"),
    ),
}


@pytest.mark.parametrize("fault", [None, *ARRIVED, *NOT_ARRIVED])
@pytest.mark.parametrize("name", CHANGES)
def test_fault_of_a_change_is_told_and_the_change_never_repeated(
    name: str, fault: str | None
) -> None:
    change = CHANGES[name]
    world = AccountWorld()
    token = world.token()
    step, event = change.prepare(world, token)
    asked = world.asked(change.operation)
    world.client.faults.extend(faults_of_call(fault))
    after = world.account.send(step, event, token)
    world.client.faults.clear()
    told = after.message.code if after.message else None
    arrived = fault in {None, *ARRIVED}
    assert world.asked(change.operation) - asked == arrived
    if change.is_made is not None:
        assert change.is_made(world, token) == arrived
    if fault is None:
        assert (after.state, told) == change.done
    else:
        assert told == _told(fault)
        assert after.state == _state_after(name, fault)
        assert after.events
    # The user clicks once more on the page of before.
    again = world.account.send(step, event, token)
    assert again.version == after.version
    assert world.asked(change.operation) - asked == arrived


def _told(fault: str) -> str:
    if fault in ARRIVED:
        return "change_outcome_unknown"
    return {"throttled": "throttled", "blocked": "change_refused"}.get(fault, "unreachable")


def _state_after(name: str, fault: str) -> str:
    """What was provably not sent can be sent again from the same step, if that was a challenge."""
    is_kept = name == "submit_passkey" and fault in {"unreachable", "no connection", "throttled"}
    return "registering_passkey" if is_kept else "managing"


@pytest.mark.parametrize("fault", [*ARRIVED, *NOT_ARRIVED])
def test_fault_of_forgetting_a_device_is_told_and_it_is_not_repeated(fault: str) -> None:
    world = AccountWorld()
    token = world.token()
    start, event = world.account.start(), ForgetDevice(key="us-east-1_unknown")
    world.client.faults.extend(faults_of_call(fault))
    after = world.account.send(start, event, token)
    world.client.faults.clear()
    requests = len(world.client.requests)
    assert after.state == "managing"
    again = world.account.send(start, event, token)
    assert again.version == after.version
    assert len(world.client.requests) == requests


# ── the second request of a call that makes two ──


@pytest.mark.parametrize("fault", [*ARRIVED, *NOT_ARRIVED])
def test_fault_after_the_code_of_an_app_was_taken_never_sends_the_code_again(fault: str) -> None:
    """Taken out, the user would be asked for the same code, which Cognito takes once."""
    world = AccountWorld()
    token = world.token()
    step, event = _app_code(world, token)
    world.client.faults.extend(faults_of_call(f"second {fault}"))
    after = world.account.send(step, event, token)
    world.client.faults.clear()
    told = after.message.code if after.message else ""
    assert after.state == "managing"
    assert told == ("change_refused" if fault == "blocked" else "change_outcome_unknown")
    again = world.account.send(step, event, token)
    assert again.version == after.version
    assert world.asked("VerifySoftwareToken") == 1
    assert bool(_user(world).factors) == (fault in ARRIVED)
    # The user sets the app up anew, and then it is used.
    world.clock.advance(31)
    other = world.account.send(after, AddAuthenticator(), token)
    assert other.totp is not None
    code = pyotp.TOTP(other.totp.secret).at(int(world.clock.now()))
    done = world.account.send(other, SubmitCode(code=code), token)
    assert done.message
    assert done.message.code == "authenticator_added"
    assert _user(world).factors


@pytest.mark.parametrize("request_number", [1, 2])
@pytest.mark.parametrize("fault", [*ARRIVED, *NOT_ARRIVED])
def test_fault_after_an_address_changed_sends_no_second_code(
    fault: str, request_number: int
) -> None:
    """The pool verifies no address by itself, so the call reads the user and requests the code."""
    world = AccountWorld()
    verifies: dict[str, list[str]] = {"AutoVerifiedAttributes": []}
    world.pool.configure({**world.pool.configuration, **verifies})
    token = world.token()
    start, event = world.account.start(), SubmitAddress(attribute="email", address="n@example.com")
    world.client.faults.extend([*[None] * request_number, *faults_of_call(fault)])
    after = world.account.send(start, event, token)
    world.client.faults.clear()
    assert world.attributes()["email"] == "n@example.com"
    codes = len(world.sent())
    assert codes == (request_number == 2 and fault in ARRIVED)
    assert after.events
    told = after.message.code if after.message else ""
    if fault != "blocked":
        assert (after.state, told) == ("confirming_address", "address_outcome_unknown")
    again = world.account.send(start, event, token)
    assert again.version == after.version
    assert len(world.sent()) == codes
    assert world.asked("UpdateUserAttributes") == 1
