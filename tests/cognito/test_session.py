"""The life of tokens: checked, renewed once, reused by a thief, revoked, signed out everywhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from oncegate import InvalidToken, SignedOut, SignIn, SubmitPassword, Tokens, Unreachable
from oncegate_cognito import CognitoTransport, Session, TokenVerifier
from oncegate_sandbox import Fault, PoolSeed, Sandbox, Seed, UserSeed
from oncegate_stores import MemoryStore

PASSWORD = "Correct-horse-1"


class Signed:
    """Somebody who is signed in."""

    def __init__(self, sandbox: Sandbox, **transport: Any) -> None:
        self.sandbox = sandbox
        made = CognitoTransport(
            pool_id=sandbox.pool_id,
            client_id=sandbox.client_id,
            endpoint_url=sandbox.endpoint,
            **transport,
        )
        self.app = made.app
        self.sign_in = SignIn(transport=made, store=MemoryStore())

    def tokens(self) -> Tokens:
        event = SubmitPassword(username="fay", password=SecretStr(PASSWORD))
        step = self.sign_in.send(self.sign_in.start(), event)
        assert step.tokens is not None
        return step.tokens

    def session(self, tokens: Tokens | None = None, **more: Any) -> Session:
        return Session(tokens or self.tokens(), self.app, **more)


def sandbox_of(**pool: Any) -> Sandbox:
    fay = UserSeed(username="fay", password=SecretStr(PASSWORD))
    return Sandbox(Seed(pool=PoolSeed.model_validate(pool), users=(fay,)))


@pytest.fixture(
    params=[{}, {"client_secret": "a-client-secret-of-the-usual-length"}], ids=["public", "secret"]
)
def fay(request: pytest.FixtureRequest) -> Iterator[Signed]:
    with sandbox_of(**request.param) as sandbox:
        yield Signed(sandbox, **request.param)


@pytest.fixture
def rotating() -> Iterator[Signed]:
    with sandbox_of(refresh_rotation=True, rotation_grace_seconds=10) as sandbox:
        yield Signed(sandbox)


OLD = 0.0
"""Issued so long ago that the access token has to be renewed."""


class TestRefreshing:
    def test_fresh_tokens_are_left_alone(self, fay: Signed) -> None:
        tokens = fay.tokens()
        assert fay.session(tokens).access_token() == tokens.access_token
        assert "GetTokensFromRefreshToken" not in fay.sandbox.calls()

    def test_old_ones_are_renewed_and_the_host_hears_of_it(self, fay: Signed) -> None:
        tokens = fay.tokens()
        heard: list[Tokens] = []
        session = fay.session(tokens, issued_at=OLD, on_refresh=heard.append)
        renewed = session.tokens()
        assert renewed.access_token != tokens.access_token
        assert renewed.refresh_token == tokens.refresh_token
        assert heard == [renewed]
        assert session.tokens() == renewed
        assert TokenVerifier(fay.app).verify(renewed.access_token)["username"] == "fay"

    def test_ten_requests_at_once_refresh_once(self, fay: Signed) -> None:
        session = fay.session(issued_at=OLD)
        fay.sandbox.order(
            Fault(operation="GetTokensFromRefreshToken", kind="delay", seconds=0.2, times=10)
        )
        together = threading.Barrier(10)

        def ask() -> str:
            together.wait()
            return session.access_token()

        with ThreadPoolExecutor(10) as pool:
            got = {future.result() for future in [pool.submit(ask) for _ in range(10)]}
        assert len(got) == 1
        assert fay.sandbox.calls()["GetTokensFromRefreshToken"] == 1

    def test_unreachable_decides_nothing(self, fay: Signed) -> None:
        session = fay.session(issued_at=OLD)
        fay.sandbox.lose_next_response("GetTokensFromRefreshToken")
        with pytest.raises(Unreachable):
            session.access_token()
        assert session.access_token()

    def test_without_a_refresh_token_it_is_over_when_it_is_over(self, fay: Signed) -> None:
        tokens = fay.tokens().model_copy(update={"refresh_token": None})
        with pytest.raises(SignedOut):
            fay.session(tokens, issued_at=OLD).access_token()

    def test_its_repr_shows_no_token(self, fay: Signed) -> None:
        assert "eyJ" not in repr(fay.session())


class TestRotation:
    def test_each_refresh_brings_the_next_token(self, rotating: Signed) -> None:
        tokens = rotating.tokens()
        now = time.time()
        session = rotating.session(tokens, issued_at=OLD, now=lambda: now)
        first = session.tokens()
        assert first.refresh_token != tokens.refresh_token
        now += 4000
        assert session.tokens().refresh_token not in {tokens.refresh_token, first.refresh_token}

    def test_a_lost_answer_is_made_up_for_within_the_grace(self, rotating: Signed) -> None:
        session = rotating.session(issued_at=OLD)
        rotating.sandbox.lose_next_response("GetTokensFromRefreshToken")
        with pytest.raises(Unreachable):
            session.access_token()
        assert session.access_token()

    def test_a_stolen_token_is_noticed(self, rotating: Signed) -> None:
        tokens = rotating.tokens()
        honest = rotating.session(tokens, issued_at=OLD)
        honest.access_token()
        rotating.sandbox._app._clock.advance(11)
        with pytest.raises(SignedOut) as over:
            rotating.session(tokens, issued_at=OLD).access_token()
        assert over.value.reason == "reused"


class TestSigningOut:
    def test_here(self, fay: Signed) -> None:
        tokens = fay.tokens()
        session, elsewhere = fay.session(tokens), fay.session()
        session.sign_out()
        with pytest.raises(SignedOut):
            session.access_token()
        with pytest.raises(SignedOut):
            fay.session(tokens, issued_at=OLD).access_token()
        assert elsewhere.devices() == []

    def test_everywhere(self, fay: Signed) -> None:
        session, elsewhere = fay.session(), fay.session()
        session.sign_out_everywhere()
        with pytest.raises(SignedOut):
            session.access_token()
        with pytest.raises(SignedOut):
            elsewhere.devices()


class TestVerifying:
    def test_what_the_pool_issued(self, fay: Signed) -> None:
        verifier, tokens = TokenVerifier(fay.app), fay.tokens()
        assert verifier.verify(tokens.access_token)["username"] == "fay"
        assert verifier.verify(tokens.id_token or "", "id")["cognito:username"] == "fay"

    def test_the_keys_are_fetched_once(self, fay: Signed, monkeypatch: pytest.MonkeyPatch) -> None:
        fetched: list[str] = []
        fetch = jwt.PyJWKClient.fetch_data

        def counted(client: jwt.PyJWKClient) -> Any:
            fetched.append(client.uri)
            return fetch(client)

        monkeypatch.setattr(jwt.PyJWKClient, "fetch_data", counted)
        verifier = TokenVerifier(fay.app)
        for _ in range(5):
            verifier.verify(fay.tokens().access_token)
        assert len(fetched) == 1

    @pytest.mark.parametrize(
        "change",
        [
            {"exp": 1},
            {"iss": "https://elsewhere"},
            {"token_use": "id"},
            {"client_id": "another"},
            {"exp": None},
            {"token_use": None},
            {"client_id": None},
        ],
        ids=str,
    )
    def test_each_claim_counts(self, fay: Signed, change: dict[str, Any]) -> None:
        tokens, issuer = fay.tokens(), fay.sandbox._pool.tokens
        claims = jwt.decode(tokens.access_token, options={"verify_signature": False})
        changed = {k: v for k, v in {**claims, **change}.items() if v is not None}
        verifier = TokenVerifier(fay.app)
        assert verifier.verify(issuer._signed(claims))
        with pytest.raises(InvalidToken):
            verifier.verify(issuer._signed(changed))

    def test_an_id_token_is_for_its_audience(self, fay: Signed) -> None:
        tokens, issuer = fay.tokens(), fay.sandbox._pool.tokens
        claims = jwt.decode(tokens.id_token or "", options={"verify_signature": False})
        verifier = TokenVerifier(fay.app)
        with pytest.raises(InvalidToken):
            verifier.verify(issuer._signed({**claims, "aud": "another"}), "id")
        with pytest.raises(InvalidToken):
            verifier.verify(tokens.access_token, "id")

    def test_forgeries(self, fay: Signed) -> None:
        token = fay.tokens().access_token
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
        thief = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        forgeries = [
            "",
            "x.y.z",
            token[:-4] + "AAAA",
            jwt.encode(claims, thief, algorithm="RS256", headers=header),
            jwt.encode(claims, "x" * 64, algorithm="HS256", headers={"kid": header["kid"]}),
            jwt.encode(claims, "", algorithm="none", headers={"kid": header["kid"]}),
        ]
        verifier = TokenVerifier(fay.app)
        for forgery in forgeries:
            with pytest.raises(InvalidToken) as error:
                verifier.verify(forgery)
            assert not forgery or forgery not in str(error.value)

    def test_keys_that_cannot_be_fetched(self, fay: Signed) -> None:
        token = fay.tokens().access_token
        fay.sandbox.__exit__(None, None, None)
        with pytest.raises(Unreachable):
            TokenVerifier(fay.app, timeout=1).verify(token)
