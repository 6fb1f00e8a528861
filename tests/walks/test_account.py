"""Changes of an account, step by step: whose flow it is, what ends it, and what may not be changed."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import traceback
from typing import Any

import jwt
import pyotp
import pytest
from tests.account_world import FAY, GIL, PASSWORDS, TAKEN, AccountWorld
from tests.doubles import DictStore
from tests.world import _KEY

from oncegate import CodeBudget, ForgotPassword, InvalidToken, SignIn, Step, SubmitPassword
from oncegate.account import (
    AccountEvent,
    AddAuthenticator,
    Cancel,
    ChangePassword,
    DeleteAccount,
    RequestNewCode,
    SignOutEverywhere,
    SubmitAddress,
    SubmitCode,
)
from oncegate.budget import GuessLimit

NEW = SubmitAddress(attribute="email", address="new@example.com")
OTHER = SubmitAddress(attribute="email", address="other@example.com")
NEW_PASSWORD = "Better-horse-6"
CHANGES: list[AccountEvent] = [
    NEW,
    AddAuthenticator(),
    ChangePassword(password=PASSWORDS[FAY], new_password=NEW_PASSWORD),
    SignOutEverywhere(),
    DeleteAccount(),
]


def _reason(step: Step) -> str:
    return step.reason.code if step.reason else ""


def _message(step: Step) -> str:
    return step.message.code if step.message else ""


def _changed(token: str, **claims: Any) -> str:
    """Return the token with other claims, signed by the pool."""
    old = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    kept = {name: value for name, value in {**old, **claims}.items() if value is not None}
    return jwt.encode(kept, _KEY, "RS256", headers={"kid": jwt.get_unverified_header(token)["kid"]})


# ── whose flow it is ──


@pytest.mark.parametrize(
    "event", [SubmitCode(code="123456"), RequestNewCode(), Cancel()], ids=lambda one: one.type
)
def test_flow_of_one_user_takes_nothing_with_the_token_of_another(event: AccountEvent) -> None:
    world = AccountWorld()
    step = world.account.send(world.account.start(), NEW, world.token(FAY))
    world.clock.advance(31)
    requests = len(world.client.requests)
    after = world.account.send(step, event, world.token(GIL))
    # Not even the step is shown: it could have the secret of an authenticator app.
    assert (_reason(after), after.state, after.delivery) == ("not_this_user", "failed", None)
    assert len(world.client.requests) == requests
    assert len(world.sent()) == 1


def test_flow_at_rest_takes_no_change_with_the_token_of_another_user() -> None:
    world = AccountWorld()
    step = world.account.send(world.account.start(), NEW, world.token(FAY))
    step = world.account.send(step, Cancel(), world.token(FAY))
    assert step.state == "managing"
    requests = len(world.client.requests)
    for event in CHANGES:
        after = world.account.send(step, event, world.token(GIL))
        assert (_reason(after), after.state) == ("not_this_user", "failed"), event.type
    assert len(world.client.requests) == requests


def _sign_in(world: AccountWorld) -> tuple[SignIn, Step]:
    """Begin a sign-in that waits for a code."""
    token = world.token()
    secret = world.pool.perform("AssociateSoftwareToken", {"AccessToken": token})["SecretCode"]
    now = int(world.clock.now())
    code = pyotp.TOTP(secret).at(now)
    world.pool.perform("VerifySoftwareToken", {"AccessToken": token, "UserCode": code})
    settings = {"Enabled": True, "PreferredMfa": True}
    request = {"AccessToken": token, "SoftwareTokenMfaSettings": settings}
    world.pool.perform("SetUserMFAPreference", request)
    sign_in = SignIn(**world.settings)
    step = sign_in.send(sign_in.start(), SubmitPassword(username=FAY, password=PASSWORDS[FAY]))
    assert step.state == "awaiting_mfa"
    return sign_in, step


@pytest.mark.parametrize(
    "event",
    [SubmitCode(code="123456"), RequestNewCode(), Cancel(), NEW],
    ids=lambda one: one.type,
)
def test_flow_of_a_sign_in_is_none_of_an_account(event: AccountEvent) -> None:
    """Taken out, an account would check the code of a sign-in, and issue its tokens."""
    world = AccountWorld()
    token = world.token()
    sign_in, step = _sign_in(world)
    requests = len(world.client.requests)
    after = world.account.send(step, event, token)
    assert _message(after) == "flow_expired"
    assert _message(world.account.get(step.flow_id)) == "flow_expired"
    assert len(world.client.requests) == requests
    assert sign_in.get(step.flow_id).version == step.version


@pytest.mark.parametrize(
    "event", [SubmitCode(code="123456"), RequestNewCode(), Cancel()], ids=lambda one: one.type
)
def test_flow_of_an_account_is_none_of_a_sign_in(event: Any) -> None:
    world = AccountWorld()
    token = world.token()
    sign_in = SignIn(**world.settings)
    step = world.account.send(world.account.start(), NEW, token)
    requests = len(world.client.requests)
    assert _message(sign_in.send(step, event)) == "flow_expired"
    assert _message(sign_in.get(step.flow_id)) == "flow_expired"
    assert len(world.client.requests) == requests
    assert world.account.get(step.flow_id).state == "confirming_address"


# ── the token ──


def _send_raises(world: AccountWorld, token: str) -> None:
    step = world.account.start()
    requests = len(world.client.requests)
    with pytest.raises(InvalidToken):
        world.account.send(step, NEW, token)
    assert len(world.client.requests) == requests
    assert world.account.get(step.flow_id).version == 0


@pytest.mark.parametrize("claim", ["auth_time", "sub", "username"])
def test_token_without_a_claim_is_not_valid(claim: str) -> None:
    world = AccountWorld()
    _send_raises(world, _changed(world.token(), **{claim: None}))


def test_token_with_another_signature_is_not_valid() -> None:
    world = AccountWorld()
    token = world.token()
    _send_raises(world, token[:-8] + token[-8:][::-1])


def test_expired_token_is_not_valid() -> None:
    world = AccountWorld()
    token = world.token()
    world.clock.advance(90_000)
    _send_raises(world, token)


def test_token_that_was_revoked_meanwhile_closes_the_flow() -> None:
    world = AccountWorld()
    token = world.token()
    step = world.account.send(world.account.start(), NEW, token)
    world.pool.perform("GlobalSignOut", {"AccessToken": token})
    after = world.account.send(step, SubmitCode(code=world.sent()[-1]), token)
    assert (after.state, _message(after)) == ("closed", "signed_out_elsewhere")
    assert not after.events
    assert world.attributes().get("email_verified") != "true"


@pytest.mark.parametrize("event", CHANGES, ids=lambda one: one.type)
def test_credential_is_changed_only_soon_after_a_sign_in(event: AccountEvent) -> None:
    world = AccountWorld()
    token = world.token()
    world.clock.advance(301)
    requests = len(world.client.requests)
    after = world.account.send(world.account.start(), event, token)
    if isinstance(event, SignOutEverywhere):
        assert after.state == "closed"  # it takes rights away, and gives none
        return
    assert (_reason(after), after.state) == ("sign_in_again", "managing")
    assert len(world.client.requests) == requests
    done = world.account.send(after, event, world.token())
    assert _reason(done) == ""
    assert done.version > after.version


# ── addresses ──


def test_wrong_codes_are_counted_and_the_right_one_verifies() -> None:
    world = AccountWorld()
    token = world.token()
    step = world.account.send(world.account.start(), NEW, token)
    wrong = "000000" if world.sent()[-1] != "000000" else "111111"
    step = world.account.send(step, SubmitCode(code=wrong), token)
    assert (step.state, _message(step)) == ("confirming_address", "wrong_code")
    again = world.account.send(step, SubmitCode(code=wrong), token)
    assert _reason(again) == "already_tried"
    step = world.account.send(step, SubmitCode(code=world.sent()[-1]), token)
    assert (step.state, _message(step)) == ("managing", "address_verified")
    assert len(world.sent()) == 1


def test_code_for_another_address_does_not_verify_this_one() -> None:
    world = AccountWorld()
    token = world.token()
    step = world.account.send(world.account.start(), NEW, token)
    first = world.sent()[-1]
    step = world.account.send(step, Cancel(), token)
    world.clock.advance(31)
    step = world.account.send(step, OTHER, token)
    assert step.state == "confirming_address"
    assert len(world.sent()) == 2
    if first != world.sent()[-1]:
        step = world.account.send(step, SubmitCode(code=first), token)
        assert (step.state, _message(step)) == ("confirming_address", "wrong_code")
    step = world.account.send(step, SubmitCode(code=world.sent()[-1]), token)
    assert world.attributes()["email"] == "other@example.com"
    assert world.attributes()["email_verified"] == "true"


def test_address_of_another_user_is_refused_and_the_old_one_kept() -> None:
    world = AccountWorld(verified_before_update=True)
    token = world.token()
    before = world.attributes()
    taken = SubmitAddress(attribute="email", address=TAKEN)
    step = world.account.send(world.account.start(), taken, token)
    if step.state == "confirming_address":
        step = world.account.send(step, SubmitCode(code=world.sent()[-1]), token)
    assert (step.state, _message(step)) == ("managing", "address_taken")
    assert world.attributes() == before


def test_old_address_is_kept_until_the_new_one_is_verified() -> None:
    world = AccountWorld(verified_before_update=True)
    token = world.token()
    before = world.attributes()
    step = world.account.send(world.account.start(), NEW, token)
    assert world.attributes() == before
    world.account.send(step, Cancel(), token)
    assert world.attributes() == before


def test_second_of_two_tabs_changes_nothing() -> None:
    world = AccountWorld()
    token = world.token()
    shown = world.account.start()
    first = world.account.send(shown, NEW, token)
    second = world.account.send(shown, OTHER, token)
    assert _reason(second) == "stale"
    assert second.version == first.version
    assert len(world.sent()) == 1
    world.account.send(second, SubmitCode(code=world.sent()[-1]), token)
    assert world.attributes()["email"] == "new@example.com"
    assert world.attributes()["email_verified"] == "true"


def test_page_of_before_requests_no_code_even_after_the_cooldown() -> None:
    world = AccountWorld()
    token = world.token()
    start = world.account.start()
    first = world.account.send(start, NEW, token)
    world.clock.advance(31)
    second = world.account.send(first, RequestNewCode(), token)
    assert len(world.sent()) == 2
    world.clock.advance(31)
    assert _reason(world.account.send(first, RequestNewCode(), token)) == "stale"
    world.account.send(second, Cancel(), token)
    world.clock.advance(31)
    assert _reason(world.account.send(start, NEW, token)) == "stale"
    assert _reason(world.account.send(second, RequestNewCode(), token)) != ""
    assert len(world.sent()) == 2


# ── limits ──


def test_code_is_requested_again_only_after_the_cooldown() -> None:
    world = AccountWorld()
    token = world.token()
    step = world.account.send(world.account.start(), NEW, token)
    early = world.account.send(step, RequestNewCode(), token)
    assert (_reason(early), early.version) == ("too_soon", step.version)
    # To give up and enter an address again is no way around it.
    step = world.account.send(step, Cancel(), token)
    early = world.account.send(step, OTHER, token)
    assert (_reason(early), early.version) == ("too_soon", step.version)
    assert len(world.sent()) == 1
    world.clock.advance(31)
    assert world.account.send(step, OTHER, token).state == "confirming_address"
    assert len(world.sent()) == 2


def test_one_flow_requests_so_many_codes_and_no_more() -> None:
    world = AccountWorld(new_codes_per_flow=2, budget=None)
    token = world.token()
    step = world.account.send(world.account.start(), NEW, token)
    for _ in range(3):
        world.clock.advance(31)
        step = world.account.send(step, RequestNewCode(), token)
    assert _reason(step) == "no_more_codes"
    assert len(world.sent()) == 2


def test_last_wrong_code_gives_the_change_up() -> None:
    world = AccountWorld(guess_limit=None)
    token = world.token()
    step = world.account.send(world.account.start(), NEW, token)
    right = world.sent()[-1]
    wrong = [code for code in (f"{number}" * 6 for number in range(6)) if code != right][:5]
    for code in wrong:
        assert step.state == "confirming_address"
        step = world.account.send(step, SubmitCode(code=code), token)
    assert (step.state, _message(step)) == ("managing", "setup_ended")
    after = world.account.send(step, SubmitCode(code=right), token)
    assert (_reason(after), after.version) == ("not_allowed", step.version)


def test_budget_limits_codes_over_all_flows() -> None:
    world = AccountWorld(budget=CodeBudget(per_user=2))
    token = world.token()
    for number in range(4):
        event = SubmitAddress(attribute="email", address=f"new-{number}@example.com")
        step = world.account.send(world.account.start(), event, token)
        reason = _reason(step) or _message(step)
        assert (reason == "too_many_codes") == (number >= 2), number
    assert len(world.sent()) == 2


def test_codes_of_a_signed_in_user_and_of_sign_ins_are_counted_apart() -> None:
    """Otherwise an unknown caller could keep users from changing their address."""
    world = AccountWorld(budget=CodeBudget(per_user=1))
    token = world.token()
    sign_in = SignIn(**world.settings)
    step = sign_in.send(sign_in.start(), ForgotPassword(username=FAY))
    total = len(world.pool.inbox.messages())
    assert total == 1
    step = world.account.send(world.account.start(), NEW, token)
    assert step.state == "confirming_address"
    assert len(world.sent()) == 1


def test_wrong_codes_are_limited_over_all_flows() -> None:
    world = AccountWorld(guess_limit=GuessLimit(free=2))
    token = world.token()
    step = world.account.send(world.account.start(), NEW, token)
    right = world.sent()[-1]
    wrong = [code for code in ("000000", "111111", "222222") if code != right][:2]
    for code in wrong:
        step = world.account.send(step, SubmitCode(code=code), token)
        assert _message(step) == "wrong_code"
    asked = world.asked("VerifyUserAttribute")
    step = world.account.send(step, SubmitCode(code=right), token)
    assert _reason(step) == "too_many_guesses"
    other = world.account.send(world.account.start(), NEW, token)
    other = world.account.send(other, SubmitCode(code=world.sent()[-1]), token)
    assert _reason(other) == "too_many_guesses"
    assert world.asked("VerifyUserAttribute") == asked
    world.clock.advance(31)
    other = world.account.send(other, SubmitCode(code=world.sent()[-1]), token)
    assert _message(other) == "address_verified"


# ── asyncio, and secrets ──


def test_account_changes_in_asyncio_as_it_does_without() -> None:
    world = AccountWorld()
    token = world.token()
    account = world.asynchronous()

    async def change() -> Step:
        step = await account.start()
        both = await asyncio.gather(*(account.send(step, NEW, token) for _ in range(2)))
        assert {one.state for one in both} == {"confirming_address"}
        shown = await account.get(step.flow_id)
        return await account.send(shown, SubmitCode(code=world.sent()[-1]), token)

    step = asyncio.run(change())
    assert (step.state, _message(step)) == ("managing", "address_verified")
    assert len(world.sent()) == 1


def test_no_secret_is_logged_or_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = DictStore()
    world = AccountWorld(store)
    del world.settings["listeners"]  # the one that logs
    account = world.another_worker()
    token = world.token()
    texts: list[str] = []
    step = account.send(account.start(), AddAuthenticator(name="Phone"), token)
    assert step.totp is not None
    secret = step.totp.secret
    texts.append(f"{step!r} {step}")
    code = pyotp.TOTP(secret).at(int(world.clock.now()))
    step = account.send(step, SubmitCode(code=code), token)
    texts.append(f"{step!r} {step}")
    change = ChangePassword(password=PASSWORDS[FAY], new_password=NEW_PASSWORD)
    texts.append(repr(change))
    worker = world.click(step, change, token)
    while worker.step is None:
        texts.append(repr(worker.effect))
        world.do_one_thing(worker)
    assert _message(worker.step) == "password_was_changed"
    texts.append(repr(worker.step))
    for bad in (token[:-8] + token[-8:][::-1], _changed(token, auth_time=None)):
        with pytest.raises(InvalidToken) as failure:
            account.send(worker.step, change, bad)
        texts.extend(traceback.format_exception(failure.value))
        assert failure.value.__context__ is None or failure.value.__suppress_context__
        assert not any(bad[:40] in text for text in texts)
    text = "\n".join((*texts, caplog.text))
    assert caplog.records
    for hidden in (token, token.split(".")[1], secret, NEW_PASSWORD, PASSWORDS[FAY]):
        assert hidden not in text
    stored = b"".join(row.sealed for row in store.rows.values())
    assert secret.encode() not in stored
    assert token.encode() not in stored
