"""The sandbox's tokens are as Cognito's, and are refreshed, customised and revoked as those are.

The rules of `oncegate_sandbox._tokens` name their sources; the main ones are a decoded token of
amplify-swift#2588 and the AWS developer guide on the two tokens, on token revocation, on ACR and AMR,
and on the pre token generation trigger.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import jwt
import pytest
from pydantic import SecretStr

from oncegate import Factor
from oncegate_sandbox import CognitoError, Pool, PoolSeed, Sandbox, SandboxClock, Seed, UserSeed
from oncegate_sandbox._users import Group

PASSWORD = "Correct-horse-1"
Json = dict[str, Any]


class OnePool:
    """A pool with one user, ``ana``, who signs in with a password.

    Args:
        user: further settings of the user.
        settings: settings of the pool.
    """

    def __init__(self, user: Any = None, **settings: Any) -> None:
        seed = PoolSeed(**settings)
        ana = UserSeed(username="ana", password=SecretStr(PASSWORD), **(user or {}))
        self.clock = SandboxClock()
        self.pool = Pool(Seed(pool=seed, users=(ana,)), "http://issuer", self.clock)
        self.client = self.pool.client(seed.client_id)

    @property
    def ana(self) -> Any:
        return self.pool.users.find("ana")

    def sign_in(self, **more: Any) -> Json:
        given = {"USERNAME": "ana", "PASSWORD": PASSWORD, **self.hashed("ana"), **more}
        return self.initiate("USER_PASSWORD_AUTH", given)

    def initiate(self, flow: str, given: Json) -> Json:
        request = {"ClientId": self.client.id, "AuthFlow": flow, "AuthParameters": given}
        return dict(self.pool.perform("InitiateAuth", request)["AuthenticationResult"])

    def hashed(self, name: str) -> Json:
        if not self.client.secrets:
            return {}
        key = self.client.secrets[0].value.encode()
        digest = hmac.digest(key, (name + self.client.id).encode(), "sha256")
        return {"SECRET_HASH": base64.b64encode(digest).decode()}

    def refresh(self, tokens: Json, **more: Any) -> Json:
        request = {"ClientId": self.client.id, "RefreshToken": tokens["RefreshToken"], **more}
        return dict(self.pool.perform("GetTokensFromRefreshToken", request)["AuthenticationResult"])

    def revoke(self, token: str, **more: Any) -> None:
        request = {"ClientId": self.client.id, "Token": token, **more}
        assert self.pool.perform("RevokeToken", request) == {}

    def get_user(self, access_token: str) -> Json:
        return dict(self.pool.perform("GetUser", {"AccessToken": access_token}))


def claims_of(token: str) -> Json:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def both(result: Json) -> tuple[Json, Json]:
    return claims_of(result["AccessToken"]), claims_of(result["IdToken"])


def refused(code: str, words: str, call: Callable[[], object]) -> None:
    with pytest.raises(CognitoError) as error:
        call()
    assert (error.value.code, error.value.message) == (code, words)


class TestClaims:
    def test_header_has_only_a_key_id_in_standard_base64_and_the_algorithm(self) -> None:
        result = OnePool().sign_in()
        kids = set()
        for token in (result["AccessToken"], result["IdToken"]):
            header = jwt.get_unverified_header(token)
            assert header.keys() == {"kid", "alg"}
            assert header["alg"] == "RS256"
            assert header["kid"].endswith("=")
            assert "/" in header["kid"]
            assert len(base64.b64decode(header["kid"], validate=True)) == 32
            kids.add(header["kid"])
        assert len(kids) == 2

    def test_each_token_is_signed_with_its_own_key_of_the_jwks(self) -> None:
        one = OnePool()
        result = one.sign_in()
        keys = {key["kid"]: jwt.PyJWK(key) for key in one.pool.tokens.jwks()["keys"]}
        for token in (result["AccessToken"], result["IdToken"]):
            right = keys[jwt.get_unverified_header(token)["kid"]]
            (wrong,) = (key for key in keys.values() if key is not right)
            options: Any = {"verify_aud": False}
            assert jwt.decode(token, right, algorithms=["RS256"], options=options)
            with pytest.raises(jwt.InvalidSignatureError):
                jwt.decode(token, wrong, algorithms=["RS256"], options=options)

    def test_access_token_has_the_claims_of_the_guide(self) -> None:
        one = OnePool()
        access, _ = both(one.sign_in())
        assert access.keys() == {
            *("sub", "iss", "client_id", "origin_jti", "event_id", "token_use", "scope"),
            *("auth_time", "exp", "iat", "jti", "username"),
        }
        assert access["username"] == "ana"
        assert access["scope"] == "aws.cognito.signin.user.admin"

    def test_id_token_has_attributes_with_json_booleans(self) -> None:
        attributes = {"given_name": "Ana", "custom:team": "true"}
        one = OnePool(
            {
                "email": "ana@example.com",
                "phone_number": "+15550001234",
                "phone_number_verified": False,
                "attributes": attributes,
            }
        )
        access, identity = both(one.sign_in())
        assert identity["email_verified"] is True
        assert identity["phone_number_verified"] is False
        assert identity["custom:team"] == "true"
        assert identity["given_name"] == "Ana"
        assert identity["aud"] == one.client.id
        assert identity["cognito:username"] == "ana"
        assert "email" not in access

    def test_id_token_has_only_what_the_client_can_read(self) -> None:
        one = OnePool({"email": "ana@example.com", "attributes": {"given_name": "Ana"}})
        one.client.read_attributes = frozenset({"given_name"})
        _, identity = both(one.sign_in())
        assert identity["given_name"] == "Ana"
        assert not {"email", "email_verified"} & identity.keys()
        assert identity["sub"] == one.ana.sub

    def test_groups_and_roles_are_in_the_order_of_precedence(self) -> None:
        one = OnePool()
        assert not [name for claims in both(one.sign_in()) for name in claims if "groups" in name]
        one.ana.groups = [
            Group("staff", role_arn="arn:staff", precedence=5),
            Group("admins", role_arn="arn:admins", precedence=1),
            Group("all"),
        ]
        access, identity = both(one.sign_in())
        assert access["cognito:groups"] == identity["cognito:groups"] == ["admins", "staff", "all"]
        assert identity["cognito:roles"] == ["arn:admins", "arn:staff"]
        assert identity["cognito:preferred_role"] == "arn:admins"
        assert "cognito:roles" not in access
        one.ana.groups[0].precedence = 1
        assert "cognito:preferred_role" not in both(one.sign_in())[1]

    def test_lifetimes_are_those_of_the_client(self) -> None:
        one = OnePool()
        one.client.access_token_seconds = 300
        one.client.id_token_seconds = 600
        one.client.refresh_token_seconds = 3600
        result = one.sign_in()
        access, identity = both(result)
        assert access["exp"] - access["iat"] == result["ExpiresIn"] == 300
        assert identity["exp"] - identity["iat"] == 600
        one.clock.advance(301)
        refused(
            "NotAuthorizedException",
            "Access Token has expired",
            lambda: one.get_user(result["AccessToken"]),
        )
        assert one.refresh(result)["ExpiresIn"] == 300
        one.clock.advance(3300)
        refused("NotAuthorizedException", "Refresh Token has expired", lambda: one.refresh(result))

    @pytest.mark.parametrize(
        ("methods", "amr", "acr"),
        [
            (["pwd"], ["pwd"], 1),
            (["email_otp"], ["email_otp"], 2),
            (["swk"], ["swk"], 3),
            (["pwd", "sms"], ["pwd", "sms", "mfa"], 3),
            (["pwd", "otp"], ["pwd", "otp", "mfa"], 4),
        ],
        ids=str,
    )
    def test_level_and_methods_survive_a_refresh(
        self, methods: list[str], amr: list[str], acr: int
    ) -> None:
        one = OnePool()
        result = one.pool.tokens.issue(one.ana, one.client, one.clock.now(), methods=methods)
        for tokens in (result, one.refresh(result)):
            for claims in both(tokens):
                assert (claims["amr"], claims["acr"]) == (amr, f"urn:cognito:loa:{acr}")

    @pytest.mark.parametrize("target", ["urn:cognito:loa:4", None])
    def test_sign_in_with_a_target_level_says_how_the_user_signed_in(
        self, target: str | None
    ) -> None:
        one = OnePool({"phone_number": "+15550001234", "mfa": (Factor.SMS,)})
        wanted = {"TARGET_ACR_VALUES": target} if target else {}
        given = {"PREFERRED_CHALLENGE": "PASSWORD", "USERNAME": "ana", "PASSWORD": PASSWORD}
        begun = one.pool.perform(
            "InitiateAuth",
            {
                "ClientId": one.client.id,
                "AuthFlow": "USER_AUTH",
                "AuthParameters": {**given, **wanted},
            },
        )
        code = one.pool.inbox.messages()[-1].code
        done = one.pool.perform(
            "RespondToAuthChallenge",
            {
                "ClientId": one.client.id,
                "ChallengeName": begun["ChallengeName"],
                "Session": begun["Session"],
                "ChallengeResponses": {"USERNAME": "ana", "SMS_MFA_CODE": code},
            },
        )
        expected = (["pwd", "sms", "mfa"], "urn:cognito:loa:3") if target else (None, None)
        for claims in both(done["AuthenticationResult"]):
            assert (claims.get("amr"), claims.get("acr")) == expected

    @pytest.mark.parametrize(
        ("settings", "issuer"),
        [
            ({}, "http://issuer"),
            (
                {"issuer": "aws"},
                "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Sandbox01",
            ),
            (
                {"issuer": "aws", "issuer_type": "UPDATED", "id": "eusc-de-east-1_Pool1"},
                "https://issuer-cognito-idp.eusc-de-east-1.amazonaws.eu/eusc-de-east-1_Pool1",
            ),
            (
                {"issuer": "aws", "id": "cn-north-1_Pool1"},
                "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_Pool1",
            ),
        ],
        ids=str,
    )
    def test_issuer_is_that_of_the_seed(self, settings: Any, issuer: str) -> None:
        one = OnePool(**settings)
        result = one.sign_in()
        assert [claims["iss"] for claims in both(result)] == [issuer, issuer]
        assert one.get_user(result["AccessToken"])["Username"] == "ana"


class TestRefreshing:
    def test_refresh_changes_neither_sign_in_nor_refresh_token(self) -> None:
        one = OnePool()
        result = one.sign_in()
        one.clock.advance(100)
        renewed = one.refresh(result)
        assert "RefreshToken" not in renewed
        for before, after in zip(both(result), both(renewed), strict=True):
            for name in ("auth_time", "origin_jti", "event_id", "sub"):
                assert after[name] == before[name]
            assert after["iat"] == before["iat"] + 100
            assert after["jti"] != before["jti"]

    def test_new_attributes_and_groups_are_in_renewed_tokens(self) -> None:
        one = OnePool()
        result = one.sign_in()
        one.ana.attributes["given_name"] = "Ana"
        one.ana.groups = [Group("staff")]
        _, identity = both(one.refresh(result))
        assert (identity["given_name"], identity["cognito:groups"]) == ("Ana", ["staff"])

    def test_unknown_token_is_refused(self) -> None:
        refused(
            "NotAuthorizedException",
            "Invalid Refresh Token.",
            lambda: OnePool().refresh({"RefreshToken": "never.issued"}),
        )

    def test_disabled_or_deleted_user_is_refused(self) -> None:
        one = OnePool()
        result = one.sign_in()
        one.ana.is_enabled = False
        refused("NotAuthorizedException", "User is disabled.", lambda: one.refresh(result))
        one.pool.users.remove(one.ana)
        refused("UserNotFoundException", "User does not exist.", lambda: one.refresh(result))

    def test_user_who_was_deleted_and_created_again_is_another(self) -> None:
        one = OnePool()
        result, ana = one.sign_in(), one.ana
        one.pool.users.remove(ana)
        again = UserSeed(username="ana", password=SecretStr(PASSWORD))
        one.pool.users.add(type(ana).of(again, one.pool.settings, one.clock.now()))
        refused("UserNotFoundException", "User does not exist.", lambda: one.refresh(result))

    @pytest.mark.parametrize("names_device", [False, True])
    def test_device_that_was_never_confirmed_is_refused(self, names_device: bool) -> None:
        """amplify-android#2506."""
        one = OnePool(device_tracking="always")
        result = one.sign_in()
        key = result["NewDeviceMetadata"]["DeviceKey"]
        assert claims_of(result["AccessToken"])["device_key"] == key
        assert "device_key" not in claims_of(result["IdToken"])
        named = {"DeviceKey": key} if names_device else {}
        refused(
            "NotAuthorizedException",
            "Invalid Refresh Token.",
            lambda: one.refresh(result, **named),
        )

    @pytest.mark.parametrize("secret", [None, "aClientSecretOfTheUsualLength"])
    def test_old_flow_needs_the_hash_over_the_pools_own_name(self, secret: str | None) -> None:
        """API reference, InitiateAuth, example 4; pycognito#18."""
        email = "ana@example.com"
        one = OnePool({"email": email}, client_secret=secret and SecretStr(secret))
        result = one.sign_in(USERNAME=email, **one.hashed(email))
        given = {"REFRESH_TOKEN": result["RefreshToken"]}
        assert one.initiate("REFRESH_TOKEN_AUTH", {**given, **one.hashed("ana")})["AccessToken"]
        if secret:
            for wrong in ({}, one.hashed(email), one.hashed(one.ana.sub)):
                with pytest.raises(CognitoError) as error:
                    one.initiate("REFRESH_TOKEN_AUTH", {**given, **wrong})
                assert error.value.code == "NotAuthorizedException"
        unknown = {"REFRESH_TOKEN": "never.issued", **one.hashed("ana")}
        with pytest.raises(CognitoError, match="Invalid Refresh Token"):
            one.initiate("REFRESH_TOKEN_AUTH", unknown)


class TestRotation:
    def test_replaced_token_is_valid_for_the_grace_period(self) -> None:
        one = OnePool(refresh_rotation=True, rotation_grace_seconds=10)
        first = one.sign_in()
        second = one.refresh(first)
        one.clock.advance(9)
        assert one.refresh(first)["RefreshToken"] != second["RefreshToken"]
        one.clock.advance(2)
        with pytest.raises(CognitoError, match="RefreshTokenReuseException"):
            one.refresh(first)
        refused(
            "NotAuthorizedException",
            "Refresh Token has been revoked",
            lambda: one.refresh(second),
        )

    def test_old_flow_is_refused(self) -> None:
        one = OnePool(refresh_rotation=True)
        token = one.sign_in()["RefreshToken"]
        with pytest.raises(CognitoError, match="NotAuthorizedException"):
            one.initiate("REFRESH_TOKEN_AUTH", {"REFRESH_TOKEN": token})


class TestRevocation:
    def test_revoked_token_ends_its_sign_in_only(self) -> None:
        one = OnePool()
        first, second = one.sign_in(), one.sign_in()
        renewed = one.refresh(first)
        one.revoke(first["RefreshToken"], RevokeAssociatedSessions="LINKED")
        for tokens in (first, renewed):
            refused(
                "NotAuthorizedException",
                "Access Token has been revoked",
                partial(one.get_user, tokens["AccessToken"]),
            )
        refused(
            "NotAuthorizedException", "Refresh Token has been revoked", lambda: one.refresh(first)
        )
        assert one.get_user(second["AccessToken"])["Username"] == "ana"

    def test_unknown_token_is_no_error(self) -> None:
        OnePool().revoke("never.issued")

    def test_access_token_is_of_an_unsupported_type(self) -> None:
        one = OnePool()
        token = one.sign_in()["AccessToken"]
        with pytest.raises(CognitoError, match="UnsupportedTokenTypeException"):
            one.revoke(token)

    def test_client_without_revocation_refuses_and_has_no_origin_jti(self) -> None:
        one = OnePool()
        one.client.revokes_tokens = False
        result = one.sign_in()
        assert not any("origin_jti" in claims for claims in both(result))
        with pytest.raises(CognitoError, match="UnsupportedOperationException"):
            one.revoke(result["RefreshToken"])
        assert one.refresh(result)["AccessToken"]
        one.pool.perform("GlobalSignOut", {"AccessToken": result["AccessToken"]})
        with pytest.raises(CognitoError, match="Access Token has been revoked"):
            one.get_user(result["AccessToken"])

    def test_bad_access_tokens_are_refused_in_their_own_words(self) -> None:
        one = OnePool()
        result = one.sign_in()
        access = result["AccessToken"]
        head, body, signature = access.split(".")
        forged = f"{head}.{body}.{'AB'[signature[0] == 'A']}{signature[1:]}"
        no_scope = one.pool.tokens.sign({**claims_of(access), "scope": "openid"})
        for token, words in (
            (forged, "Could not verify signature for Access Token"),
            (result["IdToken"], "Invalid Access Token"),
            ("x.y.z", "Invalid Access Token"),
            (no_scope, "Access Token does not have required scopes"),
        ):
            refused("NotAuthorizedException", words, partial(one.get_user, token))


class TestPreTokenGeneration:
    def test_first_version_changes_the_id_token_and_the_groups(self) -> None:
        events: list[Json] = []

        def hook(event: Json) -> Json:
            events.append(event)
            event["response"]["claimsOverrideDetails"] = {
                "claimsToAddOrOverride": {"tier": "gold", "email": "x", "sub": "other"},
                "claimsToSuppress": ["email", "exp"],
                "groupOverrideDetails": {
                    "groupsToOverride": ["vip"],
                    "iamRolesToOverride": ["arn:vip"],
                    "preferredRole": "arn:vip",
                },
            }
            return event

        one = OnePool({"email": "ana@example.com"}, triggers={"PreTokenGeneration": hook})
        access, identity = both(one.sign_in())
        assert identity["tier"] == "gold"
        assert "email" not in identity
        assert identity["sub"] == access["sub"] == one.ana.sub
        assert identity["exp"]
        assert identity["cognito:groups"] == access["cognito:groups"] == ["vip"]
        assert identity["cognito:roles"] == ["arn:vip"]
        assert identity["cognito:preferred_role"] == "arn:vip"
        assert "tier" not in access
        assert events[0]["version"] == "1"
        assert events[0]["triggerSource"] == "TokenGeneration_Authentication"
        assert events[0]["request"]["groupConfiguration"] == {
            "groupsToOverride": [],
            "iamRolesToOverride": [],
            "preferredRole": None,
        }

    def test_second_version_changes_the_access_token_and_its_scopes(self) -> None:
        events: list[Json] = []

        def hook(event: Json) -> Json:
            events.append(event)
            event["response"]["claimsAndScopeOverrideDetails"] = {
                "idTokenGeneration": {"claimsToAddOrOverride": {"tier": {"name": "gold"}}},
                "accessTokenGeneration": {
                    "claimsToAddOrOverride": {"tenant": "t1", "client_id": "other", "acr": "9"},
                    "scopesToAdd": ["orders/read", "openid"],
                    "scopesToSuppress": ["openid"],
                },
            }
            return event

        one = OnePool(triggers={"PreTokenGeneration": hook}, pre_token_version="V2_0")
        access, identity = both(one.sign_in())
        assert identity["tier"] == {"name": "gold"}
        assert access["tenant"] == "t1"
        assert access["client_id"] == one.client.id
        assert "acr" not in access
        assert access["scope"] == "aws.cognito.signin.user.admin orders/read"
        assert events[0]["version"] == "2"
        assert events[0]["request"]["scopes"] == ["aws.cognito.signin.user.admin"]

    def test_refresh_runs_it_with_its_own_metadata(self) -> None:
        events: list[Json] = []

        def hook(event: Json) -> Json:
            events.append(event)
            return event

        one = OnePool(triggers={"PreTokenGeneration": hook})
        one.refresh(one.sign_in(), ClientMetadata={"tenant": "t1"})
        assert events[1]["triggerSource"] == "TokenGeneration_RefreshTokens"
        assert events[1]["request"]["clientMetadata"] == {"tenant": "t1"}

    def test_failure_is_told_and_leaves_the_refresh_token(self) -> None:
        def hook(event: Json) -> Json:
            if event["triggerSource"] == "TokenGeneration_RefreshTokens" and fails:
                raise ValueError("no tokens today")
            return event

        fails = True
        one = OnePool(triggers={"PreTokenGeneration": hook}, refresh_rotation=True)
        result = one.sign_in()
        refused(
            "UserLambdaValidationException",
            "PreTokenGeneration failed with error no tokens today.",
            lambda: one.refresh(result),
        )
        fails = False
        assert one.refresh(result)["AccessToken"]


def test_openid_configuration_leads_to_the_keys_of_the_tokens() -> None:
    ana = UserSeed(username="ana", password=SecretStr(PASSWORD))
    with Sandbox(Seed(pool=PoolSeed(issuer="aws"), users=(ana,))) as sandbox:
        client = jwt.PyJWKClient(f"{sandbox.endpoint}/{sandbox.pool_id}/.well-known/jwks.json")
        request = {
            "ClientId": sandbox.client_id,
            "AuthFlow": "USER_PASSWORD_AUTH",
            "AuthParameters": {"USERNAME": "ana", "PASSWORD": PASSWORD},
        }
        token = sandbox.pool.perform("InitiateAuth", request)["AuthenticationResult"]["AccessToken"]
        found = jwt.PyJWKClient(
            f"{sandbox.endpoint}/{sandbox.pool_id}/.well-known/openid-configuration",
            cache_jwk_set=False,
        ).fetch_data()
        assert found["issuer"] == claims_of(token)["iss"]
        assert found["jwks_uri"] == client.uri
        assert client.get_signing_key_from_jwt(token)


def test_wrong_client_secret_is_refused_with_an_error_of_the_operation() -> None:
    one = OnePool(client_secret=SecretStr("aClientSecretOfTheUsualLength"))
    token = one.sign_in()["RefreshToken"]
    for call, code in (
        (partial(one.revoke, token, ClientSecret="another"), "UnauthorizedException"),
        (
            partial(one.refresh, {"RefreshToken": token}, ClientSecret="another"),
            "NotAuthorizedException",
        ),
    ):
        with pytest.raises(CognitoError) as error:
            call()
        assert error.value.code == code


class TestSessions:
    """Sessions are listed and revoked if the pool tracks them: botocore's service model."""

    @pytest.fixture
    def one(self) -> OnePool:
        one = OnePool()
        self.track(one)
        return one

    def track(self, one: OnePool, most: int = 20) -> None:
        request = {"UserSessionTracking": "ENABLED", "TokenSession": {"MaxPerUser": most}}
        one.pool.perform("SetUserPoolSessionConfiguration", {"UserPoolId": one.pool.id, **request})

    def listed(self, one: OnePool, tokens: Json) -> list[Json]:
        response = one.pool.perform("ListUserSessions", {"AccessToken": tokens["AccessToken"]})
        return list(response["Sessions"])

    def test_pool_does_not_track_sessions_by_default(self) -> None:
        one = OnePool()
        found = one.pool.perform("GetUserPoolSessionConfiguration", {"UserPoolId": one.pool.id})
        assert found["UserSessionTracking"] == "DISABLED"
        assert found["TokenSession"] == {"MaxPerUser": 20}
        with pytest.raises(CognitoError, match="OperationNotEnabledException"):
            self.listed(one, one.sign_in())

    @pytest.mark.parametrize("rotates", [False, True])
    def test_each_sign_in_is_a_session(self, rotates: bool) -> None:
        one = OnePool(refresh_rotation=rotates)
        self.track(one)
        first, second = one.sign_in(), one.sign_in()
        one.clock.advance(60)
        one.refresh(first)
        here, there = self.listed(one, first)
        assert re.fullmatch("tkn[a-z0-9]{25}", here["SessionId"])
        assert (here["IsCurrentSession"], there["IsCurrentSession"]) == (True, False)
        assert here["LastActiveDate"] - there["LastActiveDate"] == pytest.approx(60, abs=1)
        one.revoke(second["RefreshToken"])
        assert [found["SessionId"] for found in self.listed(one, first)] == [here["SessionId"]]

    def test_other_session_can_be_revoked_and_the_own_one_cannot(self, one: OnePool) -> None:
        first, second = one.sign_in(), one.sign_in()
        here, there = self.listed(one, first)
        revoke = partial(self._revoke, one, first)
        revoke(there["SessionId"])
        with pytest.raises(CognitoError, match="Refresh Token has been revoked"):
            one.refresh(second)
        with pytest.raises(CognitoError, match="InvalidParameterException"):
            revoke(here["SessionId"])
        with pytest.raises(CognitoError, match="ResourceNotFoundException"):
            revoke(there["SessionId"])

    def _revoke(self, one: OnePool, tokens: Json, session_id: str) -> None:
        request = {"AccessToken": tokens["AccessToken"], "SessionId": session_id}
        assert one.pool.perform("RevokeUserSession", request) == {}

    def test_administrator_revokes_any_session(self, one: OnePool) -> None:
        tokens = one.sign_in()
        named = {"UserPoolId": one.pool.id, "Username": "ana"}
        (found,) = one.pool.perform("AdminListUserSessions", named)["Sessions"]
        assert found["IsCurrentSession"] is False
        request = {**named, "SessionId": found["SessionId"]}
        assert one.pool.perform("AdminRevokeUserSession", request) == {}
        with pytest.raises(CognitoError, match="Access Token has been revoked"):
            one.get_user(tokens["AccessToken"])

    def test_sign_in_beyond_the_limit_ends_the_least_recently_used_one(self) -> None:
        one = OnePool()
        self.track(one, most=2)
        first, second = one.sign_in(), one.sign_in()
        one.clock.advance(60)
        one.refresh(first)
        one.sign_in()
        assert one.refresh(first)
        with pytest.raises(CognitoError, match="Refresh Token has been revoked"):
            one.refresh(second)


def test_new_password_has_a_trigger_source_of_its_own() -> None:
    sources: list[str] = []

    def hook(event: Json) -> Json:
        sources.append(event["triggerSource"])
        return event

    one = OnePool({"status": "FORCE_CHANGE_PASSWORD"}, triggers={"PreTokenGeneration": hook})
    given = {"USERNAME": "ana", "PASSWORD": PASSWORD}
    client = {"ClientId": one.client.id}
    flow = {"AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": given}
    begun = one.pool.perform("InitiateAuth", {**client, **flow})
    answer = {"USERNAME": "ana", "NEW_PASSWORD": "Correct-horse-2"}
    named = {"ChallengeName": begun["ChallengeName"], "Session": begun["Session"]}
    one.pool.perform("RespondToAuthChallenge", {**client, **named, "ChallengeResponses": answer})
    assert sources == ["TokenGeneration_NewPasswordChallenge"]
