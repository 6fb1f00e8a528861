"""Tokens are verified claim by claim, renewed, and revoked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.cognito.conftest import Check, SignedIn, sandbox_of
from tests.doubles import InProcessClient

from oncegate import InvalidToken, Misconfigured, SignedOut, Tokens, Unreachable
from oncegate.adapters import TokenService, TokensIssued
from oncegate_cognito import CognitoTransport, TokenVerifier
from oncegate_cognito.tokens import CognitoTokenService
from oncegate_sandbox import DEMO_SEED, Pool, SandboxClock

Sign = Callable[[dict[str, Any]], str]


def verifier_of(fay: SignedIn, **more: Any) -> TokenVerifier:
    return TokenVerifier(
        pool_id=fay.sandbox.pool_id,
        client_id=fay.sandbox.client_id,
        endpoint_url=fay.sandbox.endpoint,
        **more,
    )


@pytest.fixture
def sign(monkeypatch: pytest.MonkeyPatch) -> Sign:
    """Signs claims with a key of the pool's."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    keys = {"keys": [{**public, "kid": "ours", "use": "sig", "alg": "RS256"}]}
    monkeypatch.setattr(jwt.PyJWKClient, "fetch_data", lambda _: keys)
    return lambda claims: jwt.encode(claims, key, algorithm="RS256", headers={"kid": "ours"})


def claims_of(token: str | None) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token or "", options={"verify_signature": False})
    return claims


class TestVerifying:
    def test_tokens_of_the_pool_are_valid(self, fay: SignedIn) -> None:
        tokens = fay.tokens()
        for verifier in (verifier_of(fay), fay.service):
            assert verifier.verify(tokens.access_token)["username"] == "fay"
            assert verifier.verify(tokens.id_token or "", "id")["cognito:username"] == "fay"

    def test_five_tokens_fetch_the_keys_once(
        self, fay: SignedIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fetched: list[str] = []
        fetch = jwt.PyJWKClient.fetch_data

        def counted(client: jwt.PyJWKClient) -> Any:
            fetched.append(client.uri)
            return fetch(client)

        monkeypatch.setattr(jwt.PyJWKClient, "fetch_data", counted)
        verifier = verifier_of(fay)
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
            {"iss": None},
            {"token_use": None},
            {"client_id": None},
        ],
        ids=str,
    )
    def test_access_token_with_a_wrong_claim_is_invalid(
        self, fay: SignedIn, sign: Sign, change: dict[str, Any]
    ) -> None:
        claims = claims_of(fay.tokens().access_token)
        changed = {k: v for k, v in {**claims, **change}.items() if v is not None}
        verifier = verifier_of(fay)
        assert verifier.verify(sign(claims))
        with pytest.raises(InvalidToken):
            verifier.verify(sign(changed))

    def test_id_token_for_another_audience_is_invalid(self, fay: SignedIn, sign: Sign) -> None:
        claims = claims_of(fay.tokens().id_token)
        verifier = verifier_of(fay)
        assert verifier.verify(sign(claims), "id")
        with pytest.raises(InvalidToken):
            verifier.verify(sign({**claims, "aud": "another"}), "id")

    def test_access_token_is_no_id_token(self, fay: SignedIn) -> None:
        with pytest.raises(InvalidToken):
            verifier_of(fay).verify(fay.tokens().access_token, "id")

    def test_expired_token_within_the_leeway_is_valid(self, fay: SignedIn, sign: Sign) -> None:
        claims = claims_of(fay.tokens().access_token)
        token = sign({**claims, "exp": claims["iat"] - 30})
        assert verifier_of(fay, leeway=60).verify(token)
        with pytest.raises(InvalidToken):
            verifier_of(fay).verify(token)

    def test_forged_token_is_invalid_and_not_quoted(self, fay: SignedIn) -> None:
        token = fay.tokens().access_token
        header, claims = jwt.get_unverified_header(token), claims_of(token)
        thief = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        forgeries = [
            "",
            "x.y.z",
            token[:-4] + "AAAA",
            jwt.encode(claims, thief, algorithm="RS256", headers=header),
            jwt.encode(claims, "x" * 64, algorithm="HS256", headers={"kid": header["kid"]}),
            jwt.encode(claims, "", algorithm="none", headers={"kid": header["kid"]}),
        ]
        verifier = verifier_of(fay)
        for forgery in forgeries:
            with pytest.raises(InvalidToken) as error:
                verifier.verify(forgery)
            assert not forgery or forgery not in str(error.value)

    def test_unreachable_keys_are_not_an_invalid_token(self) -> None:
        with sandbox_of() as sandbox:
            fay = SignedIn(sandbox)
            token = fay.tokens().access_token
        with pytest.raises(Unreachable):
            verifier_of(fay, timeout=1).verify(token)

    def test_malformed_pool_id_is_misconfigured(self) -> None:
        with pytest.raises(Misconfigured):
            TokenVerifier(pool_id="nope", client_id="client1")


def test_service_implements_the_port(fay: SignedIn) -> None:
    service: TokenService = fay.service
    renewed = service.renew(fay.tokens())
    assert service.devices(renewed) == []
    service.revoke(renewed)
    with pytest.raises(SignedOut):
        service.renew(renewed)


def test_revoking_tokens_without_a_refresh_token_sends_nothing(fay: SignedIn) -> None:
    fay.service.revoke(fay.tokens().model_copy(update={"refresh_token": None}))
    assert "RevokeToken" not in fay.sandbox.calls()


@pytest.mark.parametrize("fault", ["lost", "throttled", "unreachable", "broken", "blocked"])
def test_renewal_that_fails_for_a_passing_reason_is_unreachable(fault: str, check: Check) -> None:
    pool = Pool(DEMO_SEED, "http://issuer", SandboxClock())
    client: Any = InProcessClient(pool)
    transport = CognitoTransport(pool_id=pool.seed.id, client_id=pool.seed.client_id, client=client)
    outcome = check(transport, "fay", 6)
    assert isinstance(outcome, TokensIssued)
    client.faults.append(fault)
    with pytest.raises(Unreachable):
        transport.token_service.renew(outcome.tokens)
    assert transport.token_service.renew(outcome.tokens).access_token


def test_renewal_with_an_unknown_refresh_token_is_signed_out(fay: SignedIn) -> None:
    with pytest.raises(SignedOut):
        fay.service.renew(Tokens(access_token="a", refresh_token="never-issued"))


def test_request_that_botocore_refuses_is_misconfigured(fay: SignedIn) -> None:
    invalid: Any = 5
    tokens = Tokens.model_construct(access_token="a", refresh_token=invalid, device_key=None)
    with pytest.raises(Misconfigured, match="client secret") as error:
        fay.service.renew(tokens)
    assert error.value.__context__ is None


def test_check_after_sign_out_everywhere_is_signed_out(fay: SignedIn) -> None:
    here, elsewhere = fay.tokens(), fay.tokens()
    fay.service.check(here)
    fay.service.sign_out_everywhere(elsewhere)
    with pytest.raises(SignedOut):
        fay.service.check(here)


def test_no_frame_of_an_error_holds_a_token(fay: SignedIn) -> None:
    """Error reporters store the local variables of every frame, and of the frames of the context."""
    tokens = fay.tokens()
    fay.service.sign_out_everywhere(tokens)
    nowhere = CognitoTransport(
        pool_id=fay.sandbox.pool_id,
        client_id=fay.sandbox.client_id,
        endpoint_url="http://127.0.0.1:9",
    )
    for service, error in ((fay.service, SignedOut), (nowhere.token_service, Unreachable)):
        calls: list[Callable[[], Any]] = [
            partial(service.renew, tokens),
            partial(service.check, tokens),
            partial(service.sign_out_everywhere, tokens),
            partial(service.devices, tokens),
            partial(service.forget_device, tokens, "us-east-1_0a1b2c3d"),
        ]
        for call in calls:
            with pytest.raises(error) as raised:
                call()
            assert_no_secret_in_frames(raised.value, tokens)
    for token, use in ((tokens.access_token, "id"), (tokens.id_token, "access"), ("x.y.z", "id")):
        with pytest.raises(InvalidToken) as raised:
            fay.service.verify(token, use)  # type: ignore[arg-type]
        assert_no_secret_in_frames(raised.value, tokens)


def assert_no_secret_in_frames(error: BaseException, tokens: Tokens) -> None:
    assert error.__context__ is None
    secrets = [tokens.access_token, tokens.id_token or "-", tokens.refresh_token or "-"]
    frame: Any = error.__traceback__
    while frame:
        if "/tests/" not in frame.tb_frame.f_code.co_filename:
            for value in frame.tb_frame.f_locals.values():
                assert not any(secret in repr(value) for secret in secrets), frame.tb_frame
        frame = frame.tb_next


def test_token_without_the_scope_of_get_user_ends_no_session(
    fay: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_scope(**_: object) -> None:
        answer: Any = {
            "Error": {
                "Code": "NotAuthorizedException",
                "Message": "Access Token does not have required scopes",
            }
        }
        raise ClientError(answer, "GetUser")

    tokens = fay.tokens()
    boto = SimpleNamespace(get_user=without_scope)
    monkeypatch.setattr(CognitoTokenService, "_boto", boto)
    with pytest.raises(Misconfigured, match=r"aws\.cognito\.signin\.user\.admin"):
        fay.service.check(tokens)


def test_keys_over_plain_http_from_another_host_are_refused() -> None:
    verifier = partial(TokenVerifier, pool_id="eu-west-1_aBcDeFgHi", client_id="c")
    with pytest.raises(Misconfigured):
        verifier(endpoint_url="http://cognito.example.com")
    verifier(endpoint_url="http://cognito.example.com", allow_insecure_endpoint=True)
