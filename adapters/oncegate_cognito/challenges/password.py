"""The password: InitiateAuth with it or by SRP, and the answers to PASSWORD and PASSWORD_SRP."""

from __future__ import annotations

from oncegate import Factor
from oncegate.adapters import CheckPassword, Outcome, PasswordChallenge
from oncegate_cognito._registry import ReceivedChallenge, parses, performs
from oncegate_cognito._requests import PASSWORD_SRP, Requests
from oncegate_cognito._responses import user_id
from oncegate_cognito.srp import ClientSrp


@parses(Factor.PASSWORD, PASSWORD_SRP)
def parse(received: ReceivedChallenge) -> PasswordChallenge:
    """Return the challenge."""
    return PasswordChallenge(srp=received.name == PASSWORD_SRP, **received.common)


@performs(CheckPassword)
def check(call: CheckPassword, requests: Requests) -> Outcome:
    """Prove the password: by SRP, or by sending it."""
    password = call.password.get_secret_value()
    challenge = call.challenge
    by_srp = _proves_by_srp(call, requests)
    srp = ClientSrp() if by_srp else None
    proof = {"SRP_A": srp.public_hex} if srp else {"PASSWORD": password}
    if challenge is None:
        how = {
            "USER_AUTH": {"PREFERRED_CHALLENGE": PASSWORD_SRP, **requests.levels},
            "CUSTOM_AUTH": {"CHALLENGE_NAME": "SRP_A"},
        }.get(requests.auth_flow, {})
        response = requests.initiate(call.username, {**how, **proof}, call.device_key)
        username = call.username
    else:
        name = PASSWORD_SRP if by_srp else "PASSWORD"
        if challenge.kind == "SELECT_CHALLENGE":
            name, proof = challenge.kind, {"ANSWER": name, **proof}
        username = challenge.username
        response = requests.respond(
            name, challenge.session.get_secret_value(), username, proof, call.device_key
        )
    if srp is None or response.get("ChallengeName") != "PASSWORD_VERIFIER":
        return requests.outcome(response, username)
    user = user_id(response["ChallengeParameters"], username)
    response = requests.prove(
        srp,
        response,
        group=requests.app.pool_name,
        identity=user,
        password=password,
        username=user,
        device_key=call.device_key,
    )
    return requests.outcome(response, user)


def _proves_by_srp(call: CheckPassword, requests: Requests) -> bool:
    match call.challenge:
        case None:
            return requests.auth_flow != "USER_PASSWORD_AUTH"
        case challenge if challenge.kind == "PASSWORD":
            return challenge.srp
        case challenge:
            return challenge.password_by_srp
