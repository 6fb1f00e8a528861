"""Remembered devices: DEVICE_SRP_AUTH, ConfirmDevice and UpdateDeviceStatus."""

from __future__ import annotations

from pydantic import SecretStr

from oncegate.adapters import (
    CheckDevice,
    Device,
    DeviceChallenge,
    DeviceRegistered,
    DeviceRemembered,
    MarkRemembered,
    Outcome,
    RegisterDevice,
)
from oncegate_cognito._registry import ReceivedChallenge, parses, performs
from oncegate_cognito._requests import Requests
from oncegate_cognito.srp import ClientSrp, DeviceSecret


@parses("DEVICE_SRP_AUTH")
def parse(received: ReceivedChallenge) -> DeviceChallenge:
    """Return the challenge."""
    return DeviceChallenge(**received.common)


@performs(CheckDevice)
def check(call: CheckDevice, requests: Requests) -> Outcome:
    """Prove that this is a device that Cognito remembers."""
    srp = ClientSrp()
    device, user = call.device, call.challenge.username
    session = call.challenge.session.get_secret_value()
    response = requests.respond(
        "DEVICE_SRP_AUTH", session, user, {"SRP_A": srp.public_hex}, device.key
    )
    if response.get("ChallengeName") == "DEVICE_PASSWORD_VERIFIER":
        response = requests.prove(
            srp,
            response,
            group=device.group_key,
            identity=device.key,
            password=device.password.get_secret_value(),
            username=user,
            device_key=device.key,
        )
    return requests.outcome(response, user)


@performs(RegisterDevice)
def register(call: RegisterDevice, requests: Requests) -> Outcome:
    """Register this device, with a secret that is generated here."""
    new = call.new_device
    secret = DeviceSecret.new(new.group_key, new.key)
    response = requests.send(
        "confirm_device",
        AccessToken=call.access_token.get_secret_value(),
        DeviceKey=new.key,
        DeviceName=requests.device_name,
        DeviceSecretVerifierConfig={"PasswordVerifier": secret.verifier, "Salt": secret.salt},
    )
    device = Device(
        username=call.username,
        typed=call.typed,
        key=new.key,
        group_key=new.group_key,
        password=SecretStr(secret.password),
    )
    ask_user = bool(response.get("UserConfirmationNecessary"))
    return DeviceRegistered(device=device, ask_user=ask_user)


@performs(MarkRemembered)
def remember(call: MarkRemembered, requests: Requests) -> Outcome:
    """Let this device replace the second factor from now on."""
    requests.send(
        "update_device_status",
        AccessToken=call.access_token.get_secret_value(),
        DeviceKey=call.device_key,
        DeviceRememberedStatus="remembered",
    )
    return DeviceRemembered()
