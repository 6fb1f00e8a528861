"""The password: InitiateAuth with it or by SRP, and the answers to PASSWORD and PASSWORD_SRP."""

from __future__ import annotations

from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from oncegate import Factor
from oncegate.adapters import (
    CheckPassword,
    NotSent,
    Outcome,
    OutcomeUnknown,
    PasswordChallenge,
    Rejected,
    RejectionReason,
)
from oncegate_cognito._registry import (
    PASSWORD_SRP,
    ReceivedChallenge,
    others_than,
    parses,
    performs,
)
from oncegate_cognito._requests import Requests
from oncegate_cognito._responses import user_id
from oncegate_cognito.errors import outcome_of_exception
from oncegate_cognito.srp import ClientSrp

_ONLY_PLAIN: Final = (
    "Cognito asked for the password itself (PASSWORD) instead of a proof by SRP, and none was sent. "
    "Allow it with allow_plain_password=True only if this pool has no PASSWORD_SRP."
)


@parses(Factor.PASSWORD, PASSWORD_SRP)
def parse(received: ReceivedChallenge) -> PasswordChallenge:
    """Return the challenge."""
    return PasswordChallenge(
        srp=received.name == PASSWORD_SRP, available=others_than(received), **received.common
    )


@performs(CheckPassword)
def check(call: CheckPassword, requests: Requests) -> Outcome:
    """Prove the password by SRP, or send it if the transport may."""
    by_srp = _proves_by_srp(call, requests)
    if not by_srp and not requests.can_send_password:
        return Rejected(reason=RejectionReason.MISCONFIGURED, detail=_ONLY_PLAIN)
    password = call.password.get_secret_value()
    srp = ClientSrp() if by_srp else None
    proof = {"SRP_A": srp.public_hex} if srp else {"PASSWORD": password}
    username = call.challenge.username if call.challenge else call.username
    try:
        response = _first_request(call, requests, proof)
    except (ClientError, BotoCoreError) as failure:
        outcome = outcome_of_exception(failure)
        if srp is None or not isinstance(outcome, OutcomeUnknown):
            return outcome
        # The first half of SRP proves nothing yet, so Cognito sends nothing.
        return outcome.model_copy(update={"can_have_sent": False})
    if srp is None or response.get("ChallengeName") != "PASSWORD_VERIFIER":
        return requests.outcome(response, username)
    user = user_id(response["ChallengeParameters"], username)
    if not requests.context.may_send(user):
        return NotSent(cause="too_many_codes")
    try:
        response = requests.prove(
            srp,
            response,
            group=requests.app.pool_name,
            identity=user,
            password=password,
            username=user,
            device_key=call.device_key,
        )
    except (ClientError, BotoCoreError) as failure:
        outcome = outcome_of_exception(failure)
        if isinstance(outcome, Rejected):
            # A recovery that follows is for this user, whatever name was typed.
            outcome = outcome.model_copy(update={"username": user})
        return outcome
    return requests.outcome(response, user)


def _first_request(call: CheckPassword, requests: Requests, proof: dict[str, str]) -> Any:
    challenge = call.challenge
    if challenge is None:
        how = {
            "USER_AUTH": {"PREFERRED_CHALLENGE": PASSWORD_SRP, **requests.levels},
            "CUSTOM_AUTH": {"CHALLENGE_NAME": "SRP_A"},
        }.get(requests.auth_flow, {})
        # USER_SRP_AUTH answers SRP_A with PASSWORD_VERIFIER, and Cognito sends nothing before the proof
        # (AWS API reference, InitiateAuth). With USER_AUTH, a user without a password can be sent a code
        # at once; with CUSTOM_AUTH, the pool's Lambda decides.
        can_have_effect = "SRP_A" not in proof or requests.auth_flow != "USER_SRP_AUTH"
        return requests.initiate(
            call.username,
            {**how, **proof},
            call.device_key,
            can_have_effect=can_have_effect,
        )
    name = PASSWORD_SRP if "SRP_A" in proof else "PASSWORD"
    if challenge.kind == "SELECT_CHALLENGE":
        name, proof = challenge.kind, {"ANSWER": name, **proof}
    session = challenge.session.get_secret_value()
    return requests.respond(name, session, challenge.username, proof, call.device_key)


def _proves_by_srp(call: CheckPassword, requests: Requests) -> bool:
    match call.challenge:
        case None:
            return requests.auth_flow != "USER_PASSWORD_AUTH"
        case challenge if challenge.kind == "PASSWORD":
            return challenge.srp
        case challenge:
            return challenge.password_by_srp
