"""Remembered devices: registered, offered, remembered, skipping the code, forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from tests.walks.walker import EVERY, NEW_PASSWORD, PASSWORD, PHONE, Walk, Walker, user

from oncegate import (
    ChooseFactor,
    Factor,
    RememberDevice,
    RequestNewCode,
    ResetPassword,
    SubmitCode,
    SubmitPassword,
    Tokens,
)
from oncegate.adapters import Device
from oncegate_cognito import Session
from oncegate_vaults import MemoryVault

OPT_IN: dict[str, Any] = {"device_tracking": "opt_in"}
ALWAYS: dict[str, Any] = {"device_tracking": "always"}


def answered(w: Walk, remember: bool | None = None) -> None:
    w.send(SubmitCode.model_validate({"code": w.newest_code(), "remember_device": remember}))


def devices(w: Walk) -> list[str]:
    assert w.step.tokens is not None
    app = w.sign_in._transport.app  # type: ignore[attr-defined]
    return [device.key for device in Session(w.step.tokens, app).devices()]


@pytest.fixture
def vault() -> MemoryVault:
    return MemoryVault()


@pytest.fixture(params=["USER_SRP_AUTH", "USER_PASSWORD_AUTH"])
def auth_flow(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestRemembering:
    def test_asked_and_wanted(self, walk: Walker, vault: MemoryVault, auth_flow: str) -> None:
        w = walk(user(**PHONE), pool=OPT_IN, sign_in={"vault": vault}, auth_flow=auth_flow)
        w.send_password()
        answered(w)
        assert w.step.state == "offering_device"
        assert w.step.tokens is None
        assert w.step.events == ("remember_device",)
        w.send(RememberDevice(remember=True))
        w.assert_signed_in(codes=1)
        found = vault.find("ana")
        assert found is not None
        assert found.remembered
        assert devices(w) == [found.key]
        w.start()
        w.send_password()
        w.assert_signed_in(codes=1)
        assert devices(w) == [found.key]

    def test_asked_and_declined(self, walk: Walker, vault: MemoryVault) -> None:
        w = walk(user(**PHONE), pool=OPT_IN, sign_in={"vault": vault})
        w.send_password()
        answered(w)
        w.send(RememberDevice(remember=False))
        w.assert_signed_in(codes=1)
        for texts in (2, 3):
            w.start()
            assert w.send_password().state == "awaiting_mfa"
            answered(w)
            w.assert_signed_in(codes=texts)
        assert len(devices(w)) == 1, "one browser is one device (amplify-js#14622)"

    @pytest.mark.parametrize("remember", [True, False])
    def test_answered_ahead_nobody_is_asked(
        self, walk: Walker, vault: MemoryVault, remember: bool
    ) -> None:
        w = walk(user(**PHONE), pool=OPT_IN, sign_in={"vault": vault})
        w.send_password()
        answered(w, remember)
        w.assert_signed_in(codes=1)
        w.start()
        w.send_password()
        assert (w.step.state == "authenticated") is remember

    def test_always(self, walk: Walker, vault: MemoryVault) -> None:
        w = walk(user(**PHONE), pool=ALWAYS, sign_in={"vault": vault})
        w.send_password()
        answered(w)
        w.assert_signed_in(codes=1)
        w.start()
        w.send_password()
        w.assert_signed_in(codes=1)

    def test_without_a_vault_or_without_tracking_there_is_no_device(
        self, walk: Walker, vault: MemoryVault
    ) -> None:
        for pool, more in ((ALWAYS, {}), ({}, {"vault": vault})):
            w = walk(user(**PHONE), pool=pool, sign_in=more)
            w.send_password()
            answered(w)
            w.assert_signed_in(codes=1)
            assert devices(w) == []

    def test_two_users_of_one_browser(self, walk: Walker, vault: MemoryVault) -> None:
        bob = {**PHONE, "username": "bob", "phone_number": "+15550009999"}
        w = walk(user(**PHONE), user(**bob), pool=ALWAYS, sign_in={"vault": vault})
        for texts, name in enumerate(("ana", "bob"), 1):
            w.start()
            w.send_password(name)
            answered(w)
            w.assert_signed_in(codes=texts)
        for name in ("ana", "bob"):
            w.start()
            w.send_password(name)
            w.assert_signed_in(codes=2)

    def test_with_an_alias(self, walk: Walker, vault: MemoryVault, auth_flow: str) -> None:
        """The pool's own name goes with every later answer, or the device is refused
        (amplify-js#7615, #6846)."""
        w = walk(user(**EVERY), pool=OPT_IN, sign_in={"vault": vault}, auth_flow=auth_flow)
        w.send_password("ana@example.com")
        w.send(ChooseFactor(factor=Factor.EMAIL))
        answered(w, True)
        w.assert_signed_in(codes=1)
        found = vault.find("ana")
        assert found is not None
        assert found.username == "ana"
        w.start()
        w.send_password("ana@example.com")
        w.assert_signed_in(codes=1)


class TestForgotten:
    def test_by_cognito(self, walk: Walker, vault: MemoryVault, auth_flow: str) -> None:
        w = walk(user(**PHONE), pool=ALWAYS, sign_in={"vault": vault}, auth_flow=auth_flow)
        w.send_password()
        answered(w)
        old = vault.find("ana")
        assert old is not None
        w.sandbox.pool.devices.forget(w.sandbox.pool.users.find("ana"), old.key)  # type: ignore[arg-type]
        w.start()
        assert w.send_password().state == "awaiting_mfa", "on to the second factor, with no detour"
        assert vault.find("ana") is None
        answered(w)
        w.assert_signed_in(codes=2)
        new = vault.find("ana")
        assert new is not None
        assert new.key != old.key

    def test_while_the_code_is_being_typed(self, walk: Walker, vault: MemoryVault) -> None:
        w = walk(user(**PHONE), pool=OPT_IN, sign_in={"vault": vault})
        w.send_password()
        answered(w, False)
        old = vault.find("ana")
        assert old is not None
        w.start()
        w.send_password()
        w.sandbox.pool.devices.forget(w.sandbox.pool.users.find("ana"), old.key)  # type: ignore[arg-type]
        answered(w, False)
        w.assert_signed_in(codes=2)
        new = vault.find("ana")
        assert new is not None
        assert new.key != old.key

    def test_a_secret_that_cognito_does_not_believe(
        self, walk: Walker, vault: MemoryVault, auth_flow: str
    ) -> None:
        w = walk(user(**PHONE), pool=ALWAYS, sign_in={"vault": vault}, auth_flow=auth_flow)
        w.send_password()
        answered(w)
        old = vault.find("ana")
        assert old is not None
        vault.keep(Device.model_validate({**dict(old), "password": "not the one"}))
        w.start()
        assert w.send_password().state == "awaiting_mfa"
        answered(w)
        w.assert_signed_in(codes=2)

    def test_a_vault_that_fails_spoils_nothing(self, walk: Walker) -> None:
        class Broken:
            def find(self, name: str) -> Device | None:
                raise OSError("disk")

            keep = drop = find

        w = walk(user(**PHONE), pool=ALWAYS, sign_in={"vault": Broken()})
        w.send_password()
        answered(w)
        w.assert_signed_in(codes=1)


class TestWhatGoesWrong:
    @pytest.mark.parametrize("operation", ["ConfirmDevice", "UpdateDeviceStatus"])
    @pytest.mark.parametrize("kind", ["drop_response", "throttle", "http_500", "refuse"])
    def test_registering_never_spoils_a_sign_in(
        self, walk: Walker, vault: MemoryVault, operation: str, kind: str
    ) -> None:
        from oncegate_sandbox import Fault

        w = walk(user(**PHONE), pool=OPT_IN, sign_in={"vault": vault})
        w.send_password()
        w.sandbox.order(Fault.model_validate({"operation": operation, "kind": kind, "times": 2}))
        answered(w, True)
        w.assert_signed_in(codes=1)

    def test_the_offer_ends_with_its_time(self, walk: Walker, vault: MemoryVault) -> None:
        from tests.doubles import ManualClock

        clock = ManualClock()
        w = walk(user(**PHONE), pool=OPT_IN, sign_in={"vault": vault, "clock": clock})
        w.send_password()
        answered(w)
        assert w.step.state == "offering_device"
        clock.advance(181)
        step = w.sign_in.get(w.step.flow_id)
        assert step.message is not None
        assert (step.state, step.message.code) == ("idle", "challenge_expired")

    @pytest.mark.parametrize("answer", [True, False, None])
    def test_with_a_session_keeper_the_user_is_signed_in_all_the_same(
        self, walk: Walker, vault: MemoryVault, answer: bool | None
    ) -> None:
        from tests.doubles import ManualClock

        kept: list[Tokens] = []

        class Keeper:
            def keep(self, tokens: Tokens) -> str:
                kept.append(tokens)
                return "the session"

        clock = ManualClock()
        more = {"vault": vault, "clock": clock, "keeper": Keeper()}
        w = walk(user(**PHONE), pool=OPT_IN, sign_in=more)
        w.send_password()
        answered(w)
        assert (w.step.state, len(kept)) == ("offering_device", 1)
        if answer is None:
            clock.advance(181)
            w.step = w.sign_in.get(w.step.flow_id)
        else:
            w.send(RememberDevice(remember=answer))
        assert (w.step.state, w.step.session_id) == ("authenticated", "the session")
        assert w.step.tokens is None
        assert kept[0].refresh_token
        assert kept[0].device_key == vault.find("ana").key  # type: ignore[union-attr]


def test_a_reset_password_then_a_remembered_device(walk: Walker, vault: MemoryVault) -> None:
    w = walk(user(**PHONE), pool=ALWAYS, sign_in={"vault": vault})
    w.send_password()
    answered(w)
    ana = w.sandbox.pool.users.find("ana")
    assert ana is not None
    ana.status = "RESET_REQUIRED"
    w.start()
    w.send_password()
    w.send(RequestNewCode())
    event = {"code": w.newest_code(), "new_password": NEW_PASSWORD}
    w.send(ResetPassword.model_validate(event))
    w.assert_signed_in(codes=2)
    assert PASSWORD != NEW_PASSWORD
    w.start()
    w.send(SubmitPassword.model_validate({"username": "ana", "password": NEW_PASSWORD}))
    w.assert_signed_in(codes=2)
