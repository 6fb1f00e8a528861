"""Remembered devices: registering one, skipping the code with it, and every way to lose it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tests.doubles import ManualClock
from tests.walks.walker import EVERY, NEW_PASSWORD, PASSWORD, PHONE, Walk, Walker, user

from oncegate import (
    ChooseFactor,
    Factor,
    ForgotPassword,
    RememberDevice,
    ResetPassword,
    SubmitCode,
    SubmitPassword,
    Tokens,
)
from oncegate.adapters import Device
from oncegate_cognito import CognitoTransport, Session
from oncegate_sandbox import Fault
from oncegate_sandbox.errors import CognitoError, no_such_device
from oncegate_vaults import MemoryVault

OPT_IN: dict[str, Any] = {"device_tracking": "opt_in"}
ALWAYS: dict[str, Any] = {"device_tracking": "always"}


DEVICE_CHALLENGES = ("DEVICE_SRP_AUTH", "DEVICE_PASSWORD_VERIFIER")


def send_code(w: Walk, remember: bool | None = None) -> None:
    w.send(SubmitCode.model_validate({"code": w.newest_code(), "remember_device": remember}))


def devices(w: Walk) -> list[str]:
    """Return the keys of the devices that Cognito lists for the signed-in user."""
    assert w.step.tokens is not None
    transport = CognitoTransport(
        pool_id=w.sandbox.pool_id, client_id=w.sandbox.client_id, endpoint_url=w.sandbox.endpoint
    )
    return [device.key for device in Session(w.step.tokens, transport.token_service).devices()]


def forget(w: Walk, key: str) -> None:
    """Make Cognito forget a device of ana's."""
    ana = w.sandbox.pool.users.find("ana")
    assert ana is not None
    w.sandbox.pool.devices.forget(ana, key)


def stored_device(vault: MemoryVault) -> Device:
    device = vault.find("ana")
    assert device is not None
    return device


def remember_device(walk: Walker, vault: MemoryVault, auth_flow: str, **more: Any) -> Walk:
    """Sign in once with a code, so that the device replaces the code from now on."""
    w = walk(user(**PHONE), pool=ALWAYS, sign_in={"vault": vault, **more}, auth_flow=auth_flow)
    w.send_password()
    send_code(w)
    w.assert_signed_in(codes=1)
    w.start()
    return w


@pytest.fixture
def vault() -> MemoryVault:
    return MemoryVault()


@pytest.fixture(params=["USER_SRP_AUTH", "USER_PASSWORD_AUTH"])
def auth_flow(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestRemembering:
    def test_accepted_offer_skips_the_next_code(
        self, walk: Walker, vault: MemoryVault, auth_flow: str
    ) -> None:
        w = walk(user(**PHONE), pool=OPT_IN, sign_in={"vault": vault}, auth_flow=auth_flow)
        w.send_password()
        send_code(w)
        assert w.step.state == "offering_device"
        assert w.step.tokens is not None, "handed over with the accepted answer"
        assert w.sign_in.get(w.step.flow_id).tokens is None
        assert w.step.events == ("remember_device",)
        w.send(RememberDevice(remember=True))
        w.assert_signed_in(codes=1)
        found = stored_device(vault)
        assert found.remembered
        assert devices(w) == [found.key]
        w.start()
        w.send_password()
        w.assert_signed_in(codes=1)
        assert devices(w) == [found.key]

    def test_declined_offer_keeps_requiring_codes(self, walk: Walker, vault: MemoryVault) -> None:
        w = walk(user(**PHONE), pool=OPT_IN, sign_in={"vault": vault})
        w.send_password()
        send_code(w)
        w.send(RememberDevice(remember=False))
        w.assert_signed_in(codes=1)
        for codes in (2, 3):
            w.start()
            assert w.send_password().state == "awaiting_mfa"
            send_code(w)
            w.assert_signed_in(codes=codes)
        assert len(devices(w)) == 1, "one browser is one device (amplify-js#14622)"

    @pytest.mark.parametrize("remember", [True, False])
    def test_answer_given_with_the_code_makes_no_offer(
        self, walk: Walker, vault: MemoryVault, remember: bool
    ) -> None:
        w = walk(user(**PHONE), pool=OPT_IN, sign_in={"vault": vault})
        w.send_password()
        send_code(w, remember)
        w.assert_signed_in(codes=1)
        w.start()
        w.send_password()
        assert (w.step.state == "authenticated") is remember

    def test_pool_that_always_remembers_skips_the_next_code(
        self, walk: Walker, vault: MemoryVault
    ) -> None:
        w = walk(user(**PHONE), pool=ALWAYS, sign_in={"vault": vault})
        w.send_password()
        send_code(w)
        w.assert_signed_in(codes=1)
        w.start()
        w.send_password()
        w.assert_signed_in(codes=1)

    def test_without_vault_or_tracking_no_device_is_registered(
        self, walk: Walker, vault: MemoryVault
    ) -> None:
        for pool, more in ((ALWAYS, {}), ({}, {"vault": vault})):
            w = walk(user(**PHONE), pool=pool, sign_in=more)
            w.send_password()
            send_code(w)
            w.assert_signed_in(codes=1)
            assert devices(w) == []

    def test_two_users_of_one_browser_have_a_device_each(
        self, walk: Walker, vault: MemoryVault
    ) -> None:
        bob = {**PHONE, "username": "bob", "phone_number": "+15550009999"}
        w = walk(user(**PHONE), user(**bob), pool=ALWAYS, sign_in={"vault": vault})
        for codes, name in enumerate(("ana", "bob"), 1):
            w.start()
            w.send_password(name)
            send_code(w)
            w.assert_signed_in(codes=codes)
        for name in ("ana", "bob"):
            w.start()
            w.send_password(name)
            w.assert_signed_in(codes=2)

    def test_device_found_by_alias_skips_the_next_code(
        self, walk: Walker, vault: MemoryVault, auth_flow: str
    ) -> None:
        """Every later answer names the user as the pool does, or Cognito rejects the device
        (amplify-js#7615, #6846)."""
        w = walk(user(**EVERY), pool=OPT_IN, sign_in={"vault": vault}, auth_flow=auth_flow)
        w.send_password("ana@example.com")
        w.send(ChooseFactor(factor=Factor.EMAIL))
        send_code(w, True)
        w.assert_signed_in(codes=1)
        found = stored_device(vault)
        assert found.username == "ana"
        w.start()
        w.send_password("ana@example.com")
        w.assert_signed_in(codes=1)


class TestForgotten:
    def test_device_forgotten_by_cognito_repeats_the_password_once(
        self, walk: Walker, vault: MemoryVault, auth_flow: str
    ) -> None:
        w = remember_device(walk, vault, auth_flow)
        old, before = stored_device(vault), w.sandbox.calls()["InitiateAuth"]
        forget(w, old.key)
        assert w.send_password().state == "awaiting_mfa", "the second factor comes next"
        assert w.sandbox.calls()["InitiateAuth"] == before + 2
        assert vault.find("ana") is None
        send_code(w)
        w.assert_signed_in(codes=2)
        assert stored_device(vault).key != old.key

    def test_device_forgotten_during_code_entry_registers_again(
        self, walk: Walker, vault: MemoryVault
    ) -> None:
        w = walk(user(**PHONE), pool=OPT_IN, sign_in={"vault": vault})
        w.send_password()
        send_code(w, False)
        old = stored_device(vault)
        w.start()
        w.send_password()
        forget(w, old.key)
        send_code(w, False)
        w.assert_signed_in(codes=2)
        assert stored_device(vault).key != old.key

    def test_failing_vault_does_not_fail_the_sign_in(self, walk: Walker) -> None:
        class Broken:
            def find(self, name: str) -> Device | None:
                raise OSError("disk")

            store = remove = find

        w = walk(user(**PHONE), pool=ALWAYS, sign_in={"vault": Broken()})
        w.send_password()
        send_code(w)
        w.assert_signed_in(codes=1)


FailProof = Callable[[Walk, str, CognitoError], Callable[[], None]]


@pytest.fixture
def fail_proof(monkeypatch: pytest.MonkeyPatch) -> FailProof:
    """Make Cognito answer a device's proof with an error, until the returned function is called."""

    def fail(w: Walk, challenge: str, error: CognitoError) -> Callable[[], None]:
        perform = w.sandbox.pool.perform

        def failing(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
            if request.get("ChallengeName") == challenge:
                raise error
            return perform(operation, request)

        monkeypatch.setattr(w.sandbox.pool, "perform", failing)
        return lambda: monkeypatch.setattr(w.sandbox.pool, "perform", perform)

    return fail


class TestRejectedProof:
    """Cognito rejects a call of DEVICE_SRP_AUTH: what happens to the device, and to the password."""

    def test_wrong_secret_removes_the_device_and_starts_over(
        self, walk: Walker, vault: MemoryVault, auth_flow: str
    ) -> None:
        w = remember_device(walk, vault, auth_flow)
        old, before = stored_device(vault), w.sandbox.calls()["InitiateAuth"]
        vault.store(Device.model_validate({**dict(old), "password": "another one"}))
        step = w.send_password()
        assert step.message is not None
        assert (step.state, step.message.code) == ("idle", "device_forgotten")
        assert vault.find("ana") is None
        assert w.sandbox.calls()["InitiateAuth"] == before + 1, "the password call is not repeated"
        assert len(w.sandbox.messages()) == 1
        assert w.send_password().state == "awaiting_mfa"
        send_code(w)
        w.assert_signed_in(codes=2)
        assert stored_device(vault).key != old.key

    @pytest.mark.parametrize("challenge", DEVICE_CHALLENGES)
    def test_unknown_device_is_removed_and_the_password_repeated_once(
        self,
        walk: Walker,
        vault: MemoryVault,
        auth_flow: str,
        challenge: str,
        fail_proof: FailProof,
    ) -> None:
        w = remember_device(walk, vault, auth_flow)
        before = w.sandbox.calls()["InitiateAuth"]
        fail_proof(w, challenge, no_such_device())
        assert w.send_password().state == "awaiting_mfa"
        assert w.sandbox.calls()["InitiateAuth"] == before + 2
        assert vault.find("ana") is None
        assert len(w.sandbox.messages()) == 2

    @pytest.mark.parametrize("challenge", DEVICE_CHALLENGES)
    @pytest.mark.parametrize(
        ("code", "text", "status", "state", "message"),
        [
            ("ForbiddenException", "Request not allowed", 403, "failed", "firewall"),
            ("UserLambdaValidationException", "PreAuth", 400, "failed", "trigger_refused"),
            ("UnexpectedLambdaException", "PostAuth", 400, "failed", "trigger_refused"),
            ("InvalidParameterException", "Bad", 400, "failed", "misconfigured"),
            ("NotAuthorizedException", "Password attempts exceeded", 400, "idle", "locked"),
            ("NotAuthorizedException", "Invalid session", 400, "idle", "challenge_dead"),
            ("NotAuthorizedException", "User is disabled.", 400, "failed", "refused"),
            (
                "NotAuthorizedException",
                "Unable to login because of security reasons.",
                400,
                "failed",
                "blocked",
            ),
            ("UserNotFoundException", "User does not exist.", 400, "failed", "refused"),
            ("TooManyRequestsException", "Rate exceeded", 400, "idle", "throttled"),
            (
                "InternalErrorException",
                "Something went wrong",
                500,
                "idle",
                "answer_outcome_unknown",
            ),
        ],
        ids=lambda value: value if isinstance(value, str) and "Exception" in value else "",
    )
    def test_any_other_failure_keeps_the_device_and_repeats_nothing(
        self,
        walk: Walker,
        vault: MemoryVault,
        fail_proof: FailProof,
        challenge: str,
        code: str,
        text: str,
        status: int,
        state: str,
        message: str,
    ) -> None:
        w = remember_device(walk, vault, "USER_PASSWORD_AUTH")
        old, before = stored_device(vault), w.sandbox.calls()["InitiateAuth"]
        end_fault = fail_proof(w, challenge, CognitoError(code, text, status))
        step = w.send_password()
        assert step.message is not None
        assert (step.state, step.message.code) == (state, message)
        assert w.sandbox.calls()["InitiateAuth"] == before + 1, "the password call is not repeated"
        assert stored_device(vault) == old
        assert len(w.sandbox.messages()) == 1
        end_fault()
        if state == "failed":
            w.start()
        w.send_password()
        w.assert_signed_in(codes=1)

    @pytest.mark.parametrize("kind", ["drop_response", "refuse"])
    def test_lost_connection_keeps_the_device_and_repeats_nothing(
        self, walk: Walker, vault: MemoryVault, kind: str
    ) -> None:
        w = remember_device(walk, vault, "USER_PASSWORD_AUTH")
        old, before = stored_device(vault), w.sandbox.calls()["InitiateAuth"]
        fault = {"operation": "RespondToAuthChallenge", "kind": kind}
        w.sandbox.order(Fault.model_validate(fault))
        step = w.send_password()
        assert step.message is not None
        assert (step.state, step.message.code) == ("idle", "answer_outcome_unknown")
        assert w.sandbox.calls()["InitiateAuth"] == before + 1
        assert stored_device(vault) == old
        w.send_password()
        w.assert_signed_in(codes=1)


class TestRegistrationFaults:
    @pytest.mark.parametrize("operation", ["ConfirmDevice", "UpdateDeviceStatus"])
    @pytest.mark.parametrize("kind", ["drop_response", "throttle", "http_500", "refuse"])
    def test_failed_registration_still_signs_in(
        self, walk: Walker, vault: MemoryVault, operation: str, kind: str
    ) -> None:
        w = walk(user(**PHONE), pool=OPT_IN, sign_in={"vault": vault})
        w.send_password()
        w.sandbox.order(Fault.model_validate({"operation": operation, "kind": kind, "times": 2}))
        send_code(w, True)
        w.assert_signed_in(codes=1)

    def test_expired_offer_leaves_the_user_signed_in(
        self, walk: Walker, vault: MemoryVault
    ) -> None:
        clock = ManualClock()
        w = walk(user(**PHONE), pool=OPT_IN, sign_in={"vault": vault, "clock": clock})
        w.send_password()
        send_code(w)
        assert w.step.state == "offering_device"
        clock.advance(181)
        step = w.sign_in.get(w.step.flow_id)
        # The caller got the tokens with the offer; starting over could issue them twice (P3).
        assert (step.state, step.message) == ("authenticated", None)

    @pytest.mark.parametrize("answer", [True, False, None])
    def test_any_answer_to_the_offer_signs_in_with_a_session_keeper(
        self, walk: Walker, vault: MemoryVault, answer: bool | None
    ) -> None:
        kept: list[Tokens] = []

        class Keeper:
            def create(self, tokens: Tokens) -> str:
                kept.append(tokens)
                return "session-1"

        clock = ManualClock()
        more = {"vault": vault, "clock": clock, "keeper": Keeper()}
        w = walk(user(**PHONE), pool=OPT_IN, sign_in=more)
        w.send_password()
        send_code(w)
        assert (w.step.state, len(kept)) == ("offering_device", 1)
        assert w.step.session_id == "session-1", "handed over with the accepted answer"
        if answer is None:
            clock.advance(181)
            w.step = w.sign_in.get(w.step.flow_id)
            assert w.step.session_id is None
        else:
            w.send(RememberDevice(remember=answer))
            assert w.step.session_id == "session-1"
        assert w.step.state == "authenticated"
        assert w.step.tokens is None
        assert kept[0].refresh_token
        assert kept[0].device_key == stored_device(vault).key


def test_device_registered_after_a_password_reset_skips_the_next_code(
    walk: Walker, vault: MemoryVault
) -> None:
    w = walk(user(**PHONE), pool=ALWAYS, sign_in={"vault": vault})
    w.send_password()
    send_code(w)
    ana = w.sandbox.pool.users.find("ana")
    assert ana is not None
    ana.status = "RESET_REQUIRED"
    w.start()
    w.send_password()
    w.send(ForgotPassword())
    event = {"code": w.newest_code(), "new_password": NEW_PASSWORD}
    w.send(ResetPassword.model_validate(event))
    w.assert_signed_in(codes=2)
    assert PASSWORD != NEW_PASSWORD
    w.start()
    w.send(SubmitPassword.model_validate({"username": "ana", "password": NEW_PASSWORD}))
    w.assert_signed_in(codes=2)
