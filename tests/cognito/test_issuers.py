"""Which ``iss`` a verifier accepts, where it fetches the public keys, and what else it checks.

Sources: IssuerConfigurationType and the partitions of botocore; aws-jwt-verify#239 (both issuers of a
pool), #282 and its pull request #285 (the issuers of replicas); AWS developer guide, "Verifying JSON
web tokens" and "Understanding the access token".
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from oncegate import InvalidToken, Misconfigured, Unreachable
from oncegate_cognito import CognitoTransport, TokenVerifier
from oncegate_sandbox import Sandbox, Seed, UserSeed

POOL = "eu-west-1_aBcDeFgHi"
ORIGINAL = f"https://cognito-idp.eu-west-1.amazonaws.com/{POOL}"
UPDATED = f"https://issuer-cognito-idp.eu-west-1.amazonaws.com/{POOL}"
KEYS = "/.well-known/jwks.json"


class Pool:
    """A pool with a key for access tokens and one for ID tokens, whose JWKS any URL returns.

    Attributes:
        fetched: URLs from which the keys were fetched.
        fails: whether the keys cannot be fetched.
    """

    def __init__(self) -> None:
        self.fetched: list[str] = []
        self.fails = False
        self.rotate()

    def rotate(self) -> None:
        """Replace the keys. A kid is standard base64, with ``=`` and ``/`` (amplify-swift#2588)."""
        self._keys = {use: (_key_id(), _key()) for use in ("access", "id")}

    def token(self, use: str = "access", **claims: Any) -> str:
        """Return a token; a claim of None is left out."""
        kid, key = self._keys[use]
        client = {"client_id": "client1"} if use == "access" else {"aud": "client1"}
        given = {
            "sub": "s",
            "iss": ORIGINAL,
            "token_use": use,
            "exp": int(time.time()) + 60,
            **client,
            **claims,
        }
        kept = {name: value for name, value in given.items() if value is not None}
        # PyJWT's own `encode` refuses an issuer that is no text.
        payload, headers = json.dumps(kept).encode(), {"kid": kid, "typ": ""}
        return jwt.PyJWS().encode(payload, key, algorithm="RS256", headers=headers)

    def jwks(self, client: jwt.PyJWKClient) -> Any:
        if self.fails:
            raise jwt.PyJWKClientConnectionError("down")
        self.fetched.append(client.uri)
        to_jwk = jwt.algorithms.RSAAlgorithm.to_jwk
        return {
            "keys": [
                {**to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", "alg": "RS256"}
                for kid, key in self._keys.values()
            ]
        }


def _key_id() -> str:
    return base64.b64encode(b"\xff" + secrets.token_bytes(30)).decode()


_made: list[rsa.RSAPrivateKey] = []


def _key() -> rsa.RSAPrivateKey:
    """Return a key that is not in use; the tests need four in all."""
    if len(_made) < 4:
        _made.append(rsa.generate_private_key(public_exponent=65537, key_size=2048))
        return _made[-1]
    _made.append(_made.pop(0))
    return _made[-1]


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    pool = Pool()
    monkeypatch.setattr(jwt.PyJWKClient, "fetch_data", lambda client: pool.jwks(client))
    return pool


def verifier(**more: Any) -> TokenVerifier:
    return TokenVerifier(**{"pool_id": POOL, "client_id": "client1", **more})


def reason_of(verify: Callable[[], object]) -> str:
    with pytest.raises(InvalidToken) as refused:
        verify()
    return refused.value.reason


class TestDefaults:
    @pytest.mark.parametrize(
        ("region", "suffix"),
        [
            ("eu-west-1", "amazonaws.com"),
            ("us-gov-west-1", "amazonaws.com"),
            ("cn-north-1", "amazonaws.com.cn"),
            ("eusc-de-east-1", "amazonaws.eu"),
            ("us-iso-east-1", "c2s.ic.gov"),
            ("us-isob-east-1", "sc2s.sgov.gov"),
            ("eu-isoe-west-1", "cloud.adc-e.uk"),
        ],
    )
    @pytest.mark.parametrize("service", ["cognito-idp", "issuer-cognito-idp"])
    def test_both_issuers_of_every_partition_are_accepted_with_their_own_keys(
        self, pool: Pool, region: str, suffix: str, service: str
    ) -> None:
        issuer = f"https://{service}.{region}.{suffix}/{region}_aBcDeFgHi"
        assert verifier(pool_id=f"{region}_aBcDeFgHi").verify(pool.token(iss=issuer))
        assert pool.fetched == [issuer + KEYS]

    @pytest.mark.parametrize(
        "issuer",
        [
            "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Another11",
            f"https://cognito-idp.eu-west-1.amazonaws.com.evil.example/{POOL}",
            f"https://cognito-idp.us-east-1.amazonaws.com/{POOL}",
            f"http://cognito-idp.eu-west-1.amazonaws.com/{POOL}",
            ORIGINAL + "/",
            "",
            5,
            [ORIGINAL],
        ],
        ids=str,
    )
    def test_another_issuer_is_refused_without_a_request(self, pool: Pool, issuer: Any) -> None:
        assert reason_of(lambda: verifier().verify(pool.token(iss=issuer))) == "issuer"
        assert pool.fetched == []

    def test_replica_is_accepted_where_its_region_is_named(self, pool: Pool) -> None:
        """With IssuerType ORIGINAL, ``iss`` has the region that was asked (aws-jwt-verify#282)."""
        replica = f"https://cognito-idp.eu-central-1.amazonaws.com/{POOL}"
        for regions in ("eu-central-1", ["us-west-2", "eu-central-1"]):
            several = verifier(region=regions)
            for issuer in (replica, ORIGINAL, UPDATED):
                assert several.verify(pool.token(iss=issuer))
        assert reason_of(lambda: verifier().verify(pool.token(iss=replica))) == "issuer"

    @pytest.mark.parametrize(
        "endpoint",
        [
            "https://cognito-idp-fips.eu-west-1.amazonaws.com",
            "https://cognito-idp.eu-west-1.api.aws",
            "https://vpce-0a1b-2c3d.cognito-idp.eu-west-1.vpce.amazonaws.com",
        ],
    )
    def test_endpoint_at_aws_changes_neither_issuer_nor_keys(
        self, pool: Pool, endpoint: str
    ) -> None:
        there = verifier(endpoint_url=endpoint)
        assert there.verify(pool.token())
        assert reason_of(lambda: there.verify(pool.token(iss=f"{endpoint}/{POOL}"))) == "issuer"
        assert pool.fetched == [ORIGINAL + KEYS]

    @pytest.mark.parametrize("endpoint", ["http://localhost:9229", "http://127.0.0.1:9229/"])
    @pytest.mark.parametrize(
        "issuer",
        [
            f"http://localhost:9229/{POOL}",
            f"http://127.0.0.1:9229/{POOL}",
            f"http://0.0.0.0:9229/{POOL}",
            f"http://[::1]:9229/{POOL}",
            ORIGINAL,
        ],
    )
    def test_local_cognito_goes_by_any_name_of_this_machine_and_has_the_keys(
        self, pool: Pool, endpoint: str, issuer: str
    ) -> None:
        """cases.md, 21. moto and LocalStack issue tokens with the issuer of AWS."""
        assert verifier(endpoint_url=endpoint).verify(pool.token(iss=issuer))
        assert pool.fetched == [f"{endpoint.rstrip('/')}/{POOL}{KEYS}"]

    def test_path_of_a_local_cognito_is_part_of_every_name(self, pool: Pool) -> None:
        there = verifier(endpoint_url="http://localhost:9229/cognito/")
        assert there.verify(pool.token(iss=f"http://127.0.0.1:9229/cognito/{POOL}"))
        assert pool.fetched == [f"http://localhost:9229/cognito/{POOL}{KEYS}"]

    def test_host_that_only_ends_like_one_of_aws_is_none(self, pool: Pool) -> None:
        endpoint = "https://cognito.my-amazonaws.com"
        there = verifier(endpoint_url=endpoint)
        assert there.verify(pool.token(iss=f"{endpoint}/{POOL}"))
        assert pool.fetched == [f"{endpoint}/{POOL}{KEYS}"]

    def test_local_cognito_on_another_port_is_refused(self, pool: Pool) -> None:
        there = verifier(endpoint_url="http://localhost:9229")
        token = pool.token(iss=f"http://localhost:9230/{POOL}")
        assert reason_of(lambda: there.verify(token)) == "issuer"


class TestSettings:
    def test_issuer_is_the_only_one_accepted(self, pool: Pool) -> None:
        only = verifier(issuer="https://tokens.example.com/pool")
        assert only.verify(pool.token(iss="https://tokens.example.com/pool"))
        assert pool.fetched == ["https://tokens.example.com/pool" + KEYS]
        assert reason_of(lambda: only.verify(pool.token())) == "issuer"

    def test_keys_come_from_jwks_url(self, pool: Pool) -> None:
        there = verifier(jwks_url="https://keys.example.com/jwks")
        for issuer in (ORIGINAL, UPDATED):
            assert there.verify(pool.token(iss=issuer))
        assert pool.fetched == ["https://keys.example.com/jwks"]

    def test_unset_variables_are_the_defaults(self, pool: Pool) -> None:
        assert verifier(issuer="", jwks_url="").verify(pool.token())

    @pytest.mark.parametrize(
        "settings",
        [
            {"jwks_url": "http://keys.example.com/jwks"},
            {"jwks_url": "file:///etc/passwd"},
            {"issuer": "http://tokens.example.com"},
            {"issuer": "tokens.example.com"},
            {"client_id": ""},
            {"client_id": []},
            {"pool_id": "nope"},
            {"keys_for": 0},
            {"region": ""},
        ],
        ids=str,
    )
    def test_setting_that_cannot_work_is_misconfigured(self, settings: dict[str, Any]) -> None:
        with pytest.raises(Misconfigured):
            verifier(**settings)

    def test_transport_passes_its_settings_on(self, pool: Pool) -> None:
        transport = CognitoTransport(
            pool_id=POOL, client_id="client1", region="eu-central-1", leeway=30
        )
        replica = f"https://cognito-idp.eu-central-1.amazonaws.com/{POOL}"
        token = pool.token(iss=replica, exp=int(time.time()) - 20)
        assert transport.token_service.verify(token)["iss"] == replica

    def test_client_with_an_endpoint_of_its_own_is_local(
        self, pool: Pool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:9229")
        service = CognitoTransport(pool_id=POOL, client_id="client1").token_service
        assert service.verify(pool.token(iss=f"http://127.0.0.1:9229/{POOL}"))
        assert pool.fetched == [f"http://localhost:9229/{POOL}{KEYS}"]


class TestAuthorities:
    def test_keys_over_https_are_trusted_by_the_bundle_of_botocore(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ana = UserSeed(username="ana", password=SecretStr("Correct-horse-1"))
        with Sandbox(Seed(users=(ana,)), tls=True) as sandbox:
            request = {
                "ClientId": sandbox.client_id,
                "AuthFlow": "USER_PASSWORD_AUTH",
                "AuthParameters": {"USERNAME": "ana", "PASSWORD": "Correct-horse-1"},
            }
            result = sandbox.pool.perform("InitiateAuth", request)["AuthenticationResult"]
            there: Any = {
                "pool_id": sandbox.pool_id,
                "client_id": sandbox.client_id,
                "endpoint_url": sandbox.endpoint,
            }
            with pytest.raises(Unreachable):
                TokenVerifier(**there).verify(result["AccessToken"])
            monkeypatch.setenv("AWS_CA_BUNDLE", str(sandbox.ca_file))
            assert TokenVerifier(**there).verify(result["AccessToken"])

    def test_bundle_that_is_not_there_is_misconfigured(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such/file")
        with pytest.raises(Misconfigured, match="AWS_CA_BUNDLE"):
            verifier()


class TestClaims:
    def test_several_clients_are_accepted(self, pool: Pool) -> None:
        both = verifier(client_id=["client1", "client2"])
        for client in ("client1", "client2"):
            assert both.verify(pool.token(client_id=client))
            assert both.verify(pool.token("id", aud=client), "id")
        assert reason_of(lambda: both.verify(pool.token(client_id="client3"))) == "client"
        assert reason_of(lambda: both.verify(pool.token("id", aud="client3"), "id")) == "client"

    def test_one_of_the_groups_is_enough(self, pool: Pool) -> None:
        groups: Any = {"cognito:groups": ["staff", "admins"]}
        token = pool.token(**groups)
        for held in ("admins", ["editors", "staff"], {"staff"}):
            assert verifier().verify(token, groups=held)
        wanted: Any
        for wanted in ("editors", ["editors", "adm"], []):
            assert reason_of(partial(verifier().verify, token, groups=wanted)) == "groups"
        assert reason_of(lambda: verifier().verify(pool.token(), groups="staff")) == "groups"

    def test_one_of_the_scopes_is_enough(self, pool: Pool) -> None:
        token = pool.token(scope="openid orders/read")
        for scopes in ("orders/read", ["orders/write", "openid"]):
            assert verifier().verify(token, scopes=scopes)
        wanted: Any
        for wanted in ("orders/write", ["orders"], []):
            assert reason_of(partial(verifier().verify, token, scopes=wanted)) == "scopes"
        assert reason_of(lambda: verifier().verify(pool.token(), scopes="openid")) == "scopes"

    @pytest.mark.parametrize(
        ("claims", "reason"),
        [
            ({"exp": 1}, "expired"),
            ({"token_use": "id"}, "use"),
            ({"token_use": None}, "malformed"),
            ({"client_id": "another"}, "client"),
            ({"client_id": None}, "client"),
            ({"client_id": ["client1"]}, "client"),
            ({"nbf": 32503680000}, "malformed"),
        ],
        ids=str,
    )
    def test_reason_says_what_is_wrong(
        self, pool: Pool, claims: dict[str, Any], reason: str
    ) -> None:
        assert reason_of(lambda: verifier().verify(pool.token(**claims))) == reason

    @pytest.mark.parametrize("token", ["", "x.y.z", "\ud83d", "a.b", ".."], ids=ascii)
    def test_text_that_is_no_token_is_malformed(self, token: str) -> None:
        assert reason_of(lambda: verifier().verify(token)) == "malformed"

    def test_token_signed_with_the_key_for_the_other_use_is_valid_only_for_its_own(
        self, pool: Pool
    ) -> None:
        """Both keys are in one JWKS; ``token_use`` tells the tokens apart."""
        access, identity = pool.token(), pool.token("id")
        kids = {jwt.get_unverified_header(token)["kid"] for token in (access, identity)}
        assert len(kids) == 2
        assert verifier().verify(access)
        assert verifier().verify(identity, "id")
        assert reason_of(lambda: verifier().verify(identity)) == "use"
        assert len(pool.fetched) == 3


class TestKeys:
    def test_new_keys_are_fetched_when_a_token_needs_them(self, pool: Pool) -> None:
        one = verifier()
        assert one.verify(pool.token())
        pool.rotate()
        assert one.verify(pool.token())
        assert len(pool.fetched) == 2

    def test_tokens_with_unknown_keys_fetch_once_in_ten_seconds(self, pool: Pool) -> None:
        one = verifier()
        valid = pool.token()
        assert one.verify(valid)
        stranger = Pool()
        for _ in range(20):
            assert reason_of(lambda: one.verify(stranger.token())) == "signature"
        assert len(pool.fetched) == 2
        assert one.verify(valid)

    def test_outage_during_a_forgery_leaves_the_known_keys(self, pool: Pool) -> None:
        """PyJWT's GHSA-fhv5-28vv-h8m8: one failed fetch must not make all tokens invalid."""
        one = verifier()
        valid = pool.token()
        assert one.verify(valid)
        pool.fails = True
        with pytest.raises(Unreachable):
            one.verify(Pool().token())
        assert one.verify(valid)

    def test_failure_of_one_issuer_does_not_pause_the_other(self, pool: Pool) -> None:
        """The UPDATED issuer answers 403 for a pool that does not use it (aws-jwt-verify#279)."""
        one = verifier()
        pool.fails = True
        with pytest.raises(Unreachable):
            one.verify(pool.token(iss=UPDATED))
        pool.fails = False
        assert one.verify(pool.token())


def test_other_issuer_is_named_in_the_error_with_what_to_check(pool: Pool) -> None:
    other = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Other0001"
    with pytest.raises(InvalidToken) as error:
        verifier().verify(pool.token(iss=other))
    assert f"its issuer '{other}' is none of {UPDATED}, {ORIGINAL}" in str(error.value)
    assert "check pool_id=, region= and issuer=" in str(error.value)


@pytest.mark.parametrize("written", ["a\nlog line", "\u202e", "x" * 9999], ids=ascii)
def test_issuer_that_a_caller_made_up_cannot_forge_lines_of_a_log(pool: Pool, written: Any) -> None:
    with pytest.raises(InvalidToken) as error:
        verifier().verify(pool.token(iss=written))
    assert str(error.value).isprintable()
    assert str(error.value).isascii()
    assert len(str(error.value)) < 600
