"""Changes of an account that take one call."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import NoReturn

import pyotp
import pytest
from tests.account_world import AccountWorld, LocalTokens
from tests.challenges.account_helpers import MANAGING, TOKEN, account_call, changes
from tests.challenges.helpers import action, assert_hidden
from tests.doubles import DictStore

from oncegate import Factor, InvalidInput, Misconfigured, StoreUnavailable
from oncegate.account import (
    Account,
    AccountState,
    ChangePassword,
    DeleteAccount,
    ForgetDevice,
    RemovePasskey,
    SignOutEverywhere,
    SubmitAddress,
    UseFactor,
)
from oncegate.adapters import (
    Confirmed,
    DeleteDevice,
    DeletePasskey,
    DeleteUser,
    EndSessions,
    InvalidEvent,
    NotSent,
    OutcomeUnknown,
    Rejected,
    RejectionReason,
    ReplacePassword,
    SetFactor,
    parse_account_event,
)

_CALLS = (SetFactor, ReplacePassword, DeletePasskey, DeleteDevice, EndSessions, DeleteUser)
PASSWORDS = ChangePassword(password="Correct-horse-1", new_password="Better-horse-1")
ADDRESS = SubmitAddress(attribute="email", address="new@example.com")
CASES = [
    (UseFactor(factor=Factor.SMS, use="off"), SetFactor, "factor_changed", "managing"),
    (PASSWORDS, ReplacePassword, "password_was_changed", "managing"),
    (RemovePasskey(key="k"), DeletePasskey, "passkey_removed", "managing"),
    (ForgetDevice(key="k"), DeleteDevice, "device_was_forgotten", "managing"),
    (SignOutEverywhere(), EndSessions, "signed_out_everywhere", "closed"),
    (DeleteAccount(), DeleteUser, "account_deleted", "closed"),
]


@pytest.mark.parametrize(
    ("event", "kind", "message", "state"), CASES, ids=lambda one: str(one)[:20]
)
def test_change_is_one_call_with_the_users_token(
    event: UseFactor, kind: type, message: str, state: str
) -> None:
    flow = changes(event)
    assert flow.state is AccountState.CHANGING
    call = account_call(flow, event)
    assert isinstance(call, _CALLS)
    assert type(call) is kind
    assert call.access_token == TOKEN
    assert not call.can_send
    assert_hidden(TOKEN.get_secret_value(), call)
    done = changes(event, Confirmed())
    assert (done.state, done.message) == (state, message)


@pytest.mark.parametrize(
    ("outcome", "message", "state"),
    [
        (Rejected(reason=RejectionReason.REFUSED), "change_refused", "managing"),
        (Rejected(reason=RejectionReason.MISCONFIGURED), "change_unavailable", "managing"),
        (Rejected(reason=RejectionReason.WRONG_CREDENTIALS), "wrong_password", "managing"),
        (Rejected(reason=RejectionReason.SIGNED_OUT), "signed_out_elsewhere", "closed"),
        (NotSent(cause="unreachable"), "unreachable", "managing"),
        (OutcomeUnknown(), "change_outcome_unknown", "managing"),
    ],
    ids=lambda one: str(one)[:24],
)
def test_outcome_is_told_in_words_about_an_account(
    outcome: Rejected, message: str, state: str
) -> None:
    flow = changes(PASSWORDS, outcome)
    assert (flow.state, flow.message, flow.challenge) == (state, message, None)


def test_passwords_are_hidden() -> None:
    call = account_call(changes(PASSWORDS), PASSWORDS)
    for secret in ("Correct-horse-1", "Better-horse-1"):
        assert_hidden(secret, call, PASSWORDS)


def test_value_that_does_not_exist_is_answered_with_those_that_do() -> None:
    given = {"factor": "totp", "use": "on"}
    with pytest.raises(InvalidInput) as refused:
        UseFactor(**given)
    assert "factor: literal_error, expected 'SMS_MFA', 'EMAIL_OTP' or " in str(refused.value)
    assert "use: literal_error, expected 'preferred', 'enabled' or 'off'" in str(refused.value)
    with pytest.raises(InvalidEvent) as told:
        parse_account_event({"type": "use_factor", **given})
    assert told.value.fields == dict.fromkeys(given, "literal_error")


def test_password_to_change_is_labelled_as_the_current_one() -> None:
    change = action(MANAGING, "change_password")
    assert [one.label for one in change.fields] == ["Current password", "New password"]


def test_mfa_required_is_a_boolean() -> None:
    with pytest.raises(Misconfigured, match="mfa_required has to be True or False"):
        AccountWorld(mfa_required="on")


def test_what_is_no_step_is_refused_before_the_users_factors_are_read() -> None:
    world = AccountWorld(mfa_required=True)
    token = world.token()
    secret = world.pool.perform("AssociateSoftwareToken", {"AccessToken": token})["SecretCode"]
    code = pyotp.TOTP(secret).at(int(world.clock.now()))
    world.pool.perform("VerifySoftwareToken", {"AccessToken": token, "UserCode": code})
    start, off = world.account.start(), UseFactor(factor=Factor.TOTP, use="off")
    world.account.send(start, UseFactor(factor=Factor.TOTP), token)
    kept = world.account.send(start, off, token)
    assert kept.reason
    assert kept.reason.code == "last_factor"
    asked = world.asked("GetUser")
    with pytest.raises(InvalidInput, match="pass the step"):
        world.account.send(start.flow_id, off, token)  # type: ignore[arg-type]
    assert world.asked("GetUser") == asked


@pytest.mark.parametrize("failure", [StoreUnavailable("down"), ValueError("a fault")], ids=repr)
@pytest.mark.parametrize("is_async", [False, True])
def test_frames_of_an_error_have_no_token(
    failure: Exception, monkeypatch: pytest.MonkeyPatch, *, is_async: bool
) -> None:
    """Error reporters store the local variables of a traceback."""
    world = AccountWorld()
    token, other = world.token(), world.asynchronous()
    step = world.account.start()

    def failing(*_: object, **__: object) -> NoReturn:
        raise failure

    monkeypatch.setattr(DictStore, "swap", failing)
    monkeypatch.setattr(DictStore, "load", failing)
    monkeypatch.setattr(LocalTokens, "overview", failing)
    attempts: list[Callable[[], object]] = [
        lambda: world.account.send(step, PASSWORDS, token),
        lambda: world.account.send(step, ADDRESS, token),
        lambda: world.account.overview(token),
    ]
    if is_async:
        attempts = [
            lambda: asyncio.run(other.send(step, PASSWORDS, token)),
            lambda: asyncio.run(other.overview(token)),
        ]
    for attempt in attempts:
        with pytest.raises(type(failure)) as raised:
            attempt()
        frames = [frame for frame, _ in traceback.walk_tb(raised.value.__traceback__)]
        ours = [one for one in frames if "/engine/oncegate/" in one.f_code.co_filename]
        assert ours
        for frame in ours:
            shown = repr(frame.f_locals)
            assert not any(one in shown for one in (token, "Better-horse-1")), frame.f_code


def test_transitions_have_the_users_own_name() -> None:
    """The audit log is by it, also of a change without a challenge."""
    world, seen = AccountWorld(), list[str]()
    noting = {**world.settings, "listeners": [lambda transition: seen.append(transition.user)]}
    account = Account(**noting)
    account.send(account.start(), PASSWORDS, world.token())
    assert set(seen) == {"fay"}
    assert len(seen) == 2
