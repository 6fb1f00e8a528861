"""A program that signs a user in with plain strings, as an application's author would write it."""

from __future__ import annotations

from oncegate import (
    Cancel,
    ChooseFactor,
    CodeBudget,
    Event,
    Factor,
    FlowState,
    InvalidInput,
    PasswordPolicy,
    RememberDevice,
    RequestContext,
    RequestNewCode,
    ResetPassword,
    SealingKeys,
    SignIn,
    Step,
    StepRef,
    StoreUnavailable,
    SubmitAnswer,
    SubmitCode,
    SubmitEmail,
    SubmitNewPassword,
    SubmitPasskey,
    SubmitPassword,
    SubmitUsername,
    request_id,
)
from oncegate.adapters import new_key
from oncegate_cognito import CognitoTransport
from oncegate_stores import SQLiteStore


def new_sign_in() -> SignIn:
    transport = CognitoTransport(pool_id="eu-west-1_aBcDeFgHi", client_id="1example23456789")
    return SignIn(
        transport=transport,
        store=SQLiteStore("flows.db"),
        budget=CodeBudget(),
        keys=SealingKeys(new_key()),
        password_policy=PasswordPolicy(minimum_length=12, require_symbols=False),
    )


def sign_in_with_a_code(sign_in: SignIn, username: str, password: str, code: str) -> str | None:
    step = sign_in.start()
    step = sign_in.send(step, SubmitPassword(username=username, password=password))
    if step.delivery is not None:
        print(step.delivery.medium, step.delivery.destination)
    step = sign_in.send(step, SubmitCode(code=code, remember_device=True))
    if step.state is FlowState.AUTHENTICATED and step.tokens is not None:
        return step.tokens.access_token
    return None


def answer_from_a_form(sign_in: SignIn, flow_id: str, version: int, address: str) -> Step:
    context = RequestContext(
        source_address=address,
        user_agent="Firefox",
        language="de",
        client_metadata={"campaign": "autumn"},
    )
    with request_id("request-1"):
        try:
            return sign_in.send(
                StepRef(flow_id, version), SubmitCode(code="123456"), context=context
            )
        except (InvalidInput, StoreUnavailable):
            return sign_in.get(flow_id)


def every_event() -> list[Event]:
    return [
        Cancel(),
        ChooseFactor(factor=Factor.SMS),
        RememberDevice(remember=True),
        RequestNewCode(),
        ResetPassword(code="123456", new_password="a new password"),
        SubmitAnswer(answer="blue"),
        SubmitCode(code="123456"),
        SubmitEmail(email="ana@example.com"),
        SubmitNewPassword(new_password="a new password"),
        SubmitNewPassword(new_password="a new password", attributes={"name": "Ana"}),
        SubmitPasskey(credential='{"id": "…"}'),
        SubmitPassword(username="ana", password="a password"),
        SubmitPassword(password="a password"),
        SubmitUsername(username="ana"),
    ]


def form_of(step: Step) -> list[tuple[str, str, list[str]]]:
    return [
        (action.event, action.label, [f"{field.label}: {field.type}" for field in action.fields])
        for action in step.actions
    ]


def report(step: Step) -> str:
    notice = step.reason or step.message
    return f"{step.title}: {notice.text}" if notice is not None else step.title
