"""What is sent beside an operation's own arguments: for every operation whose model has it."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import pytest
from pydantic import SecretStr
from tests.cognito.wire import RecordedClient, Sent

from oncegate import (
    ChooseFactor,
    Factor,
    RequestContext,
    SignIn,
    SubmitCode,
    SubmitPassword,
    Tokens,
)
from oncegate.adapters import (
    Call,
    CheckCode,
    CheckPassword,
    CodeChallenge,
    ConfirmSignUp,
    FactorChoice,
    NewDevice,
    PasswordReset,
    RegisterDevice,
    RequestCode,
    ResetPasswordWith,
    SendCode,
    SignUpConfirmation,
    StartSignIn,
    TotpSetup,
)
from oncegate_cognito import AdminCognitoTransport, CognitoTransport
from oncegate_cognito._context import ContextSettings, SentContext
from oncegate_stores import MemoryStore

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CONTEXT = RequestContext(
    source_address="203.0.113.7",
    user_agent=FIREFOX,
    language="de-AT",
    client_metadata={"captcha": "a-token"},
    encoded_data="eyJwYXlsb2FkIjo",
    server_name="shop.example",
    server_path="/auth/",
)
SETTINGS: dict[str, Any] = {
    "client_metadata": {"app": "shop", "captcha": "none"},
    "analytics_endpoint_id": "endpoint-1",
    "force_alias_creation": True,
}
METADATA = {"app": "shop", "captcha": "a-token", "language": "de-AT"}
USER_CONTEXT = {"IpAddress": "203.0.113.7", "EncodedData": "eyJwYXlsb2FkIjo"}
SERVER_CONTEXT = {
    **USER_CONTEXT,
    "ServerName": "shop.example",
    "ServerPath": "/auth/",
    "HttpHeaders": [
        {"headerName": "User-Agent", "headerValue": FIREFOX},
        {"headerName": "Accept-Language", "headerValue": "de-AT"},
    ],
}
EXPECTED: dict[str, Any] = {
    "ClientMetadata": METADATA,
    "UserContextData": USER_CONTEXT,
    "ContextData": SERVER_CONTEXT,
    "AnalyticsMetadata": {"AnalyticsEndpointId": "endpoint-1"},
    "ForceAliasCreation": True,
}

SECRET = SecretStr("client-secret")
SESSION = SecretStr("s" * 40)
CODE, PASSWORD = SecretStr("123456"), SecretStr("Correct-horse-1")
TO_SET_UP = FactorChoice(
    kind="MFA_SETUP", factors=(Factor.TOTP,), session=SESSION, username="a-uuid"
)
RESET = PasswordReset(username="ana")
CONFIRMATION = SignUpConfirmation(username="ana")
SMS = CodeChallenge(kind=Factor.SMS, session=SESSION, username="ana")
SETUP = TotpSetup(
    session=SESSION, username="ana", secret=SecretStr("JBSW"), uri=SecretStr("otpauth://totp/x")
)
CALLS: list[Call] = [
    CheckPassword(username="ana", password=PASSWORD),
    StartSignIn(username="ana"),
    CheckCode(challenge=SMS, code=CODE),
    RequestCode(challenge=TO_SET_UP, factor=Factor.TOTP, typed="ana@example.com"),
    CheckCode(challenge=SETUP, code=CODE),
    SendCode(challenge=RESET),
    ResetPasswordWith(challenge=RESET, code=CODE, new_password=PASSWORD),
    SendCode(challenge=CONFIRMATION),
    ConfirmSignUp(challenge=CONFIRMATION, code=CODE),
    RegisterDevice(
        new_device=NewDevice(key="k", group_key="g"),
        username="ana",
        typed="ana",
        access_token=SecretStr("access"),
    ),
]


@cache
def shared_client() -> RecordedClient:
    """Making one takes longer than a test."""
    return RecordedClient()


def input_members(client: RecordedClient, operation: str) -> Any:
    shape = client.boto.meta.service_model.operation_model(operation).input_shape
    return shape.members if shape else {}


def performed(
    kind: type[CognitoTransport], calls: list[Call], context: RequestContext, **settings: Any
) -> tuple[RecordedClient, list[Sent]]:
    client = shared_client()
    client.sent.clear()
    transport = kind(
        pool_id="us-east-1_Pool1",
        client_id="client1",
        client=client.boto,
        auth_flow="USER_PASSWORD_AUTH",
        **settings,
    )
    for call in calls:
        transport.perform(call, context)
    if transport.token_service and not calls:
        transport.token_service.renew(Tokens(access_token="a", refresh_token="r"))
    return client, list(client.sent)


@pytest.mark.parametrize("kind", [CognitoTransport, AdminCognitoTransport])
def test_each_request_has_what_its_operation_has_in_the_model(kind: type[CognitoTransport]) -> None:
    client, sent = performed(kind, CALLS, CONTEXT, client_secret=SECRET, **SETTINGS)
    of_admin = kind is AdminCognitoTransport
    assert {one.operation.removeprefix("Admin") for one in sent} == {
        *("InitiateAuth", "RespondToAuthChallenge", "AssociateSoftwareToken"),
        *("VerifySoftwareToken", "ForgotPassword", "ConfirmForgotPassword"),
        *("ResendConfirmationCode", "ConfirmSignUp", "ConfirmDevice"),
    }
    assert ("AdminInitiateAuth" in {one.operation for one in sent}) == of_admin
    for one in sent:
        members = input_members(client, one.operation)
        expected = {name: value for name, value in EXPECTED.items() if name in members}
        assert {name: one.body[name] for name in EXPECTED if name in one.body} == expected


def test_renewal_has_the_settings_metadata() -> None:
    _, (renewal,) = performed(CognitoTransport, [], CONTEXT, **SETTINGS)
    assert renewal.operation == "GetTokensFromRefreshToken"
    assert renewal.body["ClientMetadata"] == {"app": "shop", "captcha": "none"}


def test_every_operation_of_the_model_gets_what_it_has() -> None:
    client = shared_client()
    made = SentContext(client.boto, ContextSettings(**SETTINGS, send_source_address=True))
    with_any = set()
    for method, operation in client.boto.meta.method_to_api_mapping.items():
        members = input_members(client, operation)
        assert made.of(method, CONTEXT) == {
            name: value for name, value in EXPECTED.items() if name in members
        }
        with_any |= {operation} if set(EXPECTED) & set(members) else set()
    assert {
        "SignUp",
        "AdminCreateUser",
        "GetTokensFromRefreshToken",
        "AdminInitiateAuth",
    } < with_any


def test_nothing_is_sent_without_a_context_and_settings() -> None:
    _, sent = performed(CognitoTransport, CALLS, RequestContext(), client_secret=SECRET)
    assert len(sent) > 8
    assert not [one for one in sent if set(EXPECTED) & set(one.body)]


# ── the user's address ──
# "You can only activate EnablePropagateAdditionalUserContextData in an app client that has a client
# secret", without which "you can't send the source IP address": botocore's service model,
# CreateUserPoolClient. EncodedData needs neither (AWS developer guide, adaptive authentication).


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"EncodedData"}),
        ({"client_secret": SECRET}, {"IpAddress", "EncodedData"}),
        ({"client_secret": SECRET, "send_source_address": False}, {"EncodedData"}),
        ({"send_source_address": True}, {"IpAddress", "EncodedData"}),
    ],
    ids=["public", "secret", "off", "on"],
)
def test_public_operations_send_the_address_of_clients_with_a_secret(
    settings: Any, expected: set[str]
) -> None:
    _, (sent,) = performed(CognitoTransport, CALLS[:1], CONTEXT, **settings)
    assert set(sent.body["UserContextData"]) == expected


def test_admin_operations_send_the_address_of_any_client() -> None:
    _, (sent,) = performed(AdminCognitoTransport, CALLS[:1], CONTEXT)
    assert sent.body["ContextData"] == SERVER_CONTEXT
    assert "UserContextData" not in sent.body


@pytest.mark.parametrize(
    ("address", "sent_as"),
    [
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("testclient", None),
        ("/run/gunicorn.sock", None),
        ("", None),
        (None, None),
    ],
)
def test_source_that_is_no_address_is_left_out(address: str | None, sent_as: str | None) -> None:
    context = RequestContext(source_address=address, user_agent=FIREFOX)
    _, (public,) = performed(CognitoTransport, CALLS[:1], context, client_secret=SECRET)
    _, (admin,) = performed(AdminCognitoTransport, CALLS[:1], context)
    assert public.body.get("UserContextData", {}).get("IpAddress") == sent_as
    assert admin.body.get("ContextData", {}).get("IpAddress") == sent_as


# ── limits of the model ──


@pytest.mark.parametrize(
    "value", ["x" * 131_073, "\ud83d", 7], ids=["too long", "surrogate", "number"]
)
def test_value_that_cannot_be_sent_is_left_out_with_one_warning(
    value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    context = RequestContext(
        encoded_data=value, client_metadata={"captcha": value, "kept": "yes"}, language="de"
    )
    with caplog.at_level(logging.WARNING, "oncegate"):
        _, sent = performed(CognitoTransport, CALLS[:1] * 3, context)
    assert len(sent) == 3
    for one in sent:
        assert one.body["ClientMetadata"] == {"kept": "yes", "language": "de"}
        assert "UserContextData" not in one.body
    assert [line.count('"name"') for line in caplog.messages] == [1, 1]
    assert "xxxx" not in caplog.text
    assert not any(value in line for line in caplog.messages if isinstance(value, str))


@pytest.mark.parametrize("value", [None, 7, [], ["x"]], ids=str)
def test_context_of_another_type_does_not_stop_a_sign_in(value: Any) -> None:
    context = RequestContext(
        source_address=value,
        user_agent=value,
        language=value,
        client_metadata=value,
        encoded_data=value,
        server_name=value,
        server_path=value,
    )
    for kind in (CognitoTransport, AdminCognitoTransport):
        _, sent = performed(kind, CALLS, context, client_secret=SECRET)
        assert len(sent) > 8
        assert not [one for one in sent if set(EXPECTED) & set(one.body)]


def test_longest_value_is_sent() -> None:
    context = RequestContext(encoded_data="x" * 131_072)
    _, (sent,) = performed(CognitoTransport, CALLS[:1], context)
    assert sent.body["UserContextData"] == {"EncodedData": "x" * 131_072}


def test_metadata_takes_precedence_over_the_language() -> None:
    """A name that the application or an event sets is theirs, also that of the language."""
    context = RequestContext(language="de")
    settings = {"client_metadata": {"language": "fr"}}
    _, (sent,) = performed(CognitoTransport, CALLS[:1], context, **settings)
    assert sent.body["ClientMetadata"] == {"language": "fr"}
    context = RequestContext(language="de", client_metadata={"language": "es"})
    _, (sent,) = performed(CognitoTransport, CALLS[:1], context, **settings)
    assert sent.body["ClientMetadata"] == {"language": "es"}


def test_names_of_events_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    names = [f"n{number}" for number in range(30)]
    with caplog.at_level(logging.WARNING, "oncegate"):
        context = RequestContext(client_metadata=dict.fromkeys(names, "\ud83d"))
        _, (sent,) = performed(CognitoTransport, CALLS[:1], context)
    assert "ClientMetadata" not in sent.body
    assert len(caplog.messages) == 20


def test_name_that_cannot_be_sent_is_left_out() -> None:
    context = RequestContext(client_metadata={"x" * 131_073: "yes", "\ud83d": "yes", "kept": "yes"})
    _, (sent,) = performed(CognitoTransport, CALLS[:1], context)
    assert sent.body["ClientMetadata"] == {"kept": "yes"}


def test_empty_metadata_is_sent() -> None:
    context = RequestContext(client_metadata={"coupon": ""})
    _, (sent,) = performed(CognitoTransport, CALLS[:1], context)
    assert sent.body["ClientMetadata"] == {"coupon": ""}


# ── names ──


def test_language_has_the_name_of_the_setting() -> None:
    context = RequestContext(language="de")
    _, (sent,) = performed(CognitoTransport, CALLS[:1], context, language_key="locale")
    assert sent.body["ClientMetadata"] == {"locale": "de"}
    _, (sent,) = performed(CognitoTransport, CALLS[:1], context, language_key=None)
    assert "ClientMetadata" not in sent.body


@pytest.mark.parametrize("header", ["*", "<script>", "de_AT", "x" * 9, "de; drop"])
def test_language_that_is_no_tag_is_left_out(header: str) -> None:
    _, (sent,) = performed(CognitoTransport, CALLS[:1], RequestContext(language=header))
    assert "ClientMetadata" not in sent.body


@pytest.mark.parametrize(
    ("agent", "settings", "name"),
    [
        (FIREFOX, {}, "Firefox on Linux"),
        ("", {}, "oncegate"),
        ("Unknown/1.0", {}, "oncegate"),
        ("curl/8.5.0", {}, "curl"),
        (FIREFOX, {"device_name": "till 4"}, "till 4"),
    ],
)
def test_device_is_named_after_the_browser_unless_set(
    agent: str, settings: dict[str, str], name: str
) -> None:
    context = RequestContext(user_agent=agent)
    _, (sent,) = performed(CognitoTransport, CALLS[-1:], context, **settings)
    assert sent.operation == "ConfirmDevice"
    assert sent.body["DeviceName"] == name


def test_authenticator_app_shows_what_the_user_typed() -> None:
    """Case 29: with UsernameAttributes the pool's own name is a UUID (AWS developer guide)."""
    to_set_up = {
        "ChallengeName": "MFA_SETUP",
        "Session": "s" * 40,
        "ChallengeParameters": {
            "MFAS_CAN_SETUP": '["SMS_MFA","SOFTWARE_TOKEN_MFA"]',
            "USER_ID_FOR_SRP": "0b5c4b1e-9f3a-4f7e-8a51-6f0c7d9a1e22",
        },
    }
    client = RecordedClient(InitiateAuth=to_set_up)
    transport = CognitoTransport(
        pool_id="us-east-1_Pool1",
        client_id="client1",
        client=client.boto,
        auth_flow="USER_PASSWORD_AUTH",
        totp_issuer="A/B Shop",
    )
    sign_in = SignIn(transport=transport, store=MemoryStore())
    event = SubmitPassword(username="ana@example.com", password="Correct-horse-1")
    step = sign_in.send(sign_in.start(), event)
    if step.state == "password_verified":
        step = sign_in.send(step, ChooseFactor(factor=Factor.TOTP))
    assert step.totp is not None
    assert step.totp.uri.startswith("otpauth://totp/A%2FB%20Shop:ana%40example.com?secret=")
    step = sign_in.send(step, SubmitCode(code="123456"))
    assert step.state == "authenticated"
    (verified,) = [one.body for one in client.sent if one.operation == "VerifySoftwareToken"]
    assert verified["FriendlyDeviceName"] == "A/B Shop"
