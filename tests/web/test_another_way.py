"""Secondary actions of a step, in HTML and JSON: another way to sign in, and the recoveries.

No page names them: they are forms like those of any other action.
"""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
from tests.doubles import ScriptedTransport, a_text, the_tokens
from tests.web.example_apps import client_of, web_for
from tests.web.pages import Visit

from oncegate import Factor
from oncegate.adapters import (
    CheckCode,
    CheckPassword,
    Rejected,
    RejectionReason,
    StartSignIn,
)

EMAIL = a_text(kind=Factor.EMAIL, is_first_factor=True, available=(Factor.SMS_OTP, Factor.PASSWORD))
TEXT = a_text(kind=Factor.SMS_OTP, is_first_factor=True, available=(Factor.EMAIL,))
ANA = {"username": "ana", "password": "wrong-horse-1"}


def _passwordless(*outcomes: Any) -> ScriptedTransport:
    transport = ScriptedTransport(*outcomes)
    transport.is_passwordless = True
    return transport


def test_page_offers_another_way_beside_the_code(framework: str) -> None:
    transport = _passwordless(EMAIL, TEXT, the_tokens())
    with client_of(framework, web_for(transport)) as client:
        visit = Visit(client)
        visit.open()
        visit.say("submit_username", username="ana")
        assert next(iter(visit.page.forms)) == "submit-code"
        assert "<summary" in visit.shown()
        assert "Try another way" in visit.page.text
        visit.say("choose_factor", factor="SMS_OTP")
        assert isinstance(transport.calls[-1], StartSignIn)
        assert transport.calls[-1].preferred is Factor.SMS_OTP
        visit.say("submit_code", code="12345678")
        assert isinstance(transport.calls[-1], CheckCode)


def test_api_offers_another_way_beside_the_code(framework: str) -> None:
    transport = _passwordless(EMAIL, the_tokens())
    with client_of(framework, web_for(transport)) as client:
        headers = {"accept": "application/json"}
        step = client.post("/auth/flows", headers=headers).json()

        def send(event: str, **fields: Any) -> Any:
            body = {"type": event, "version": step["version"], **fields}
            url = f"/auth/flows/{step['flow_id']}/events"
            return client.post(url, json=body, headers=headers).json()

        step = send("submit_username", username="ana")
        other = next(action for action in step["actions"] if action["event"] == "choose_factor")
        values = [choice["value"] for choice in other["fields"][0]["choices"]]
        assert (other["is_main"], values) == (False, ["SMS_OTP", "PASSWORD"])
        step = send("choose_factor", factor="PASSWORD")
        assert (step["state"], len(transport.calls)) == ("awaiting_password", 1)
        step = send("submit_password", password="Correct-horse-1")
        assert isinstance(transport.calls[-1], CheckPassword)
        assert step["state"] == "authenticated"


def test_rejected_password_page_offers_the_recoveries(framework: str) -> None:
    transport = ScriptedTransport(Rejected(reason=RejectionReason.SIGN_UP_NOT_CONFIRMED))
    with client_of(framework, web_for(transport)) as client:
        visit = Visit(client)
        visit.open()
        visit.say("submit_password", **ANA)
        assert "Incorrect username or password." in visit.page.text
        for words in ("Forgot password?", "Confirm a new account"):
            assert words in visit.page.text
        visit.say("confirm_account")
        assert "Confirm your account" in visit.page.text
        assert len(transport.calls) == 1


TYPED = {
    **dict.fromkeys(("123456", "12345678", "١٢٣٤٥٦", "１２３４５６", "123–456", " 1 2 3 4 "), True),
    **dict.fromkeys(("\u200e123456\u200e", "\ufeff123\u200b456", "123\u2212456"), True),
    **dict.fromkeys(("123", "1234567890123", "12a4", ""), False),
}


@pytest.mark.needs("node")
@pytest.mark.parametrize("flag", ["u", "v"])
def test_code_field_lets_pass_what_the_engine_normalises(flag: str) -> None:
    """A browser tests the pattern before the server normalises what was typed: case 12."""
    with client_of("flask", web_for(ScriptedTransport(a_text()))) as client:
        visit = Visit(client)
        visit.open()
        visit.say("submit_password", **ANA)
        (pattern,) = re.findall(r' pattern="([^"]+)"', visit.shown())
    program = (
        f"const pattern = new RegExp({json.dumps(f'^(?:{pattern})$')}, '{flag}');"
        f"console.log(JSON.stringify({json.dumps([*TYPED])}.map((one) => pattern.test(one))))"
    )
    done = subprocess.run(["node", "--eval", program], capture_output=True, check=True, text=True)
    assert dict(zip(TYPED, json.loads(done.stdout), strict=True)) == TYPED
