"""The tokens of a session are renewed once and in time, and end with it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.cognito.conftest import SignedIn

from oncegate import SignedOut, Tokens, Unreachable
from oncegate_sandbox import Fault

OLD = 0.0
"""Issued so long ago that the access token has to be renewed."""


class TestRenewing:
    def test_fresh_tokens_are_not_renewed(self, fay: SignedIn) -> None:
        tokens = fay.tokens()
        assert fay.session(tokens).access_token() == tokens.access_token
        assert "GetTokensFromRefreshToken" not in fay.sandbox.calls()

    def test_old_tokens_are_renewed_and_the_application_is_called(self, fay: SignedIn) -> None:
        tokens = fay.tokens()
        refreshed: list[Tokens] = []
        session = fay.session(tokens, issued_at=OLD, on_refresh=refreshed.append)
        renewed = session.tokens()
        assert renewed.access_token != tokens.access_token
        assert renewed.refresh_token == tokens.refresh_token
        assert refreshed == [renewed]
        assert session.tokens() == renewed
        assert fay.service.verify(renewed.access_token)["username"] == "fay"

    def test_ten_concurrent_requests_renew_once(self, fay: SignedIn) -> None:
        session = fay.session(issued_at=OLD)
        fay.sandbox.order(
            Fault(operation="GetTokensFromRefreshToken", kind="delay", seconds=0.2, times=10)
        )
        together = threading.Barrier(10)

        def request() -> str:
            together.wait()
            return session.access_token()

        with ThreadPoolExecutor(10) as pool:
            got = {future.result() for future in [pool.submit(request) for _ in range(10)]}
        assert len(got) == 1
        assert fay.sandbox.calls()["GetTokensFromRefreshToken"] == 1

    def test_lost_response_is_unreachable_and_the_next_try_renews(self, fay: SignedIn) -> None:
        session = fay.session(issued_at=OLD)
        fay.sandbox.lose_next_response("GetTokensFromRefreshToken")
        with pytest.raises(Unreachable):
            session.access_token()
        assert session.access_token()

    def test_expired_tokens_without_a_refresh_token_are_signed_out(self, fay: SignedIn) -> None:
        tokens = fay.tokens().model_copy(update={"refresh_token": None})
        with pytest.raises(SignedOut):
            fay.session(tokens, issued_at=OLD).access_token()

    def test_repr_shows_no_token(self, fay: SignedIn) -> None:
        assert "eyJ" not in repr(fay.session())


class TestRotation:
    def test_each_renewal_brings_another_refresh_token(self, rotating: SignedIn) -> None:
        tokens = rotating.tokens()
        now = time.time()
        session = rotating.session(tokens, issued_at=OLD, now=lambda: now)
        first = session.tokens()
        assert first.refresh_token != tokens.refresh_token
        now += 4000
        assert session.tokens().refresh_token not in {tokens.refresh_token, first.refresh_token}

    def test_lost_response_within_the_grace_period_is_recovered(self, rotating: SignedIn) -> None:
        session = rotating.session(issued_at=OLD)
        rotating.sandbox.lose_next_response("GetTokensFromRefreshToken")
        with pytest.raises(Unreachable):
            session.access_token()
        assert session.access_token()

    def test_stolen_refresh_token_is_noticed(self, rotating: SignedIn) -> None:
        tokens = rotating.tokens()
        honest = rotating.session(tokens, issued_at=OLD)
        honest.access_token()
        rotating.sandbox.advance(11)
        with pytest.raises(SignedOut) as ended:
            rotating.session(tokens, issued_at=OLD).access_token()
        assert ended.value.reason == "reused"


class TestSigningOut:
    def test_sign_out_ends_this_session_only(self, fay: SignedIn) -> None:
        tokens = fay.tokens()
        session, elsewhere = fay.session(tokens), fay.session()
        session.sign_out()
        with pytest.raises(SignedOut):
            session.access_token()
        with pytest.raises(SignedOut):
            fay.session(tokens, issued_at=OLD).access_token()
        assert elsewhere.devices() == []

    def test_sign_out_everywhere_ends_every_session(self, fay: SignedIn) -> None:
        session, elsewhere = fay.session(), fay.session()
        session.sign_out_everywhere()
        with pytest.raises(SignedOut):
            session.access_token()
        with pytest.raises(SignedOut):
            elsewhere.devices()
