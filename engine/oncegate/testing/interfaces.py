"""The conformance suite of user interfaces."""

from __future__ import annotations

from typing import Any, Protocol

from oncegate.challenges import (
    CheckCode,
    CodeChallenge,
    CustomChallenge,
    Delivery,
    Factor,
    FactorChoice,
    NewPasswordChallenge,
    PasskeyChallenge,
    TotpSetup,
)
from oncegate.outcomes import (
    ChallengeIssued,
    Outcome,
    OutcomeUnknown,
    Rejected,
    RejectionReason,
    TokensIssued,
)
from oncegate.ports import Transport
from oncegate.testing.transports import ScriptedTransport
from oncegate.tokens import Tokens


class Interface(Protocol):
    """What the suite needs of a user interface: a browser, a terminal or a program, with one user."""

    def open(self) -> str:
        """Open the sign-in, or reload it if it is open.

        Returns:
            The state that is shown, by its name.
        """
        ...

    def say(self, event: str, **fields: str) -> str:
        """Fill in the form that is shown, submit it, and return the state that is shown then.

        Args:
            event: the event's type, such as ``submit_code``.
            fields: values, by the names in the step.
        """
        ...

    def say_again(self) -> str:
        """Submit the last form again, from the page that it was on, as a double click does."""
        ...

    def shown(self) -> str:
        """Return all that the user can see now."""
        ...


_THE_TOKENS = TokensIssued(tokens=Tokens(access_token="eyJ.access", refresh_token="eyJ.refresh"))


class InterfaceConformance:
    """What a user relies on with any interface: one code, and never a lost place.

    Cognito is played by a `ScriptedTransport`, so that every call is seen. Each test is one user who
    signs in once.
    """

    def make(self, transport: Transport) -> Interface:
        """Return the interface under test, around a driver with this transport and its own store."""
        raise NotImplementedError

    def _played(self, *outcomes: Outcome) -> tuple[Interface, ScriptedTransport]:
        transport = ScriptedTransport(*outcomes)
        return self.make(transport), transport

    def _password(self, interface: Interface) -> str:
        assert interface.open() == "idle"
        return interface.say("submit_password", username="ana", password="Correct-horse-1")

    def test_opening_and_reloading_make_no_call(self) -> None:
        interface, transport = self._played()
        assert [interface.open() for _ in range(3)] == ["idle"] * 3
        assert transport.calls == []

    def test_password_and_code_sign_in(self) -> None:
        interface, transport = self._played(_texted(), _THE_TOKENS)
        assert self._password(interface) == "awaiting_mfa"
        assert "1234" in interface.shown()
        assert interface.say("submit_code", code="123 456") == "authenticated"
        code = transport.calls[-1]
        assert isinstance(code, CheckCode)
        assert code.code.get_secret_value() == "123456"

    def test_reload_sends_nothing_and_shows_the_same_step(self) -> None:
        interface, transport = self._played(_texted(), _THE_TOKENS)
        self._password(interface)
        assert [interface.open() for _ in range(3)] == ["awaiting_mfa"] * 3
        assert len(transport.calls) == 1
        assert interface.say("submit_code", code="123456") == "authenticated"

    def test_double_click_on_the_password_sends_one_code(self) -> None:
        interface, transport = self._played(_texted())
        self._password(interface)
        assert interface.say_again() == "awaiting_mfa"
        assert interface.open() == "awaiting_mfa"
        assert len(transport.calls) == 1

    def test_double_click_on_the_last_step_signs_in_once(self) -> None:
        interface, transport = self._played(_texted(), _THE_TOKENS)
        self._password(interface)
        interface.say("submit_code", code="123456")
        assert interface.say_again() == "authenticated"
        assert len(transport.calls) == 2

    def test_wrong_code_is_asked_for_again(self) -> None:
        wrong = Rejected(reason=RejectionReason.WRONG_CODE)
        interface, transport = self._played(_texted(), wrong, _THE_TOKENS)
        self._password(interface)
        assert interface.say("submit_code", code="111111") == "awaiting_mfa"
        assert "111111" not in interface.shown()
        assert interface.say("submit_code", code="123456") == "authenticated"
        assert len(transport.calls) == 3

    def test_lost_answer_is_not_called_incorrect(self) -> None:
        interface, _ = self._played(_texted(), OutcomeUnknown())
        self._password(interface)
        before = interface.shown()
        assert interface.say("submit_code", code="123456") == "idle"
        assert interface.shown() != before
        assert "incorrect" not in interface.shown().lower()

    def test_wrong_password_is_not_shown_again(self) -> None:
        interface, _ = self._played(Rejected(reason=RejectionReason.WRONG_CREDENTIALS), _texted())
        assert self._password(interface) == "idle"
        assert "Correct-horse-1" not in interface.shown()
        assert interface.say("submit_password", username="ana", password="other") == "awaiting_mfa"

    def test_cancel_ends_the_sign_in(self) -> None:
        interface, transport = self._played(_texted())
        self._password(interface)
        # The end, or the first page of the next sign-in.
        assert interface.say("cancel") in {"failed", "idle"}
        assert len(transport.calls) == 1

    def test_every_challenge_can_be_answered(self) -> None:
        for outcome, state, event, fields in _ASKED:
            interface, transport = self._played(outcome, _THE_TOKENS)
            assert self._password(interface) == state
            assert interface.open() == state
            assert len(transport.calls) == 1
            assert interface.say(event, **fields) == "authenticated", state


def _issued(challenge: type[Any], **more: Any) -> ChallengeIssued:
    about = {"session": "s" * 40, "username": "ana", **more}
    return ChallengeIssued(challenge=challenge.model_validate(about))


def _texted(kind: Factor = Factor.SMS) -> ChallengeIssued:
    delivery = Delivery(medium="SMS", destination="+*******1234")
    return _issued(CodeChallenge, kind=kind, delivery=delivery)


_ASKED: list[tuple[Outcome, str, str, dict[str, str]]] = [
    (
        _issued(CodeChallenge, kind=Factor.TOTP),
        "awaiting_mfa",
        "submit_code",
        {"code": "123456"},
    ),
    (
        _issued(FactorChoice, kind="SELECT_MFA_TYPE", factors=(Factor.SMS, Factor.EMAIL)),
        "password_verified",
        "choose_factor",
        {"factor": "EMAIL_OTP"},
    ),
    (
        _issued(
            TotpSetup, secret="JBSWY3DPEHPK3PXP", uri="otpauth://totp/x?secret=JBSWY3DPEHPK3PXP"
        ),
        "setting_up_totp",
        "submit_code",
        {"code": "123456"},
    ),
    (
        _issued(NewPasswordChallenge, required_attributes=("given_name",)),
        "awaiting_new_password",
        "submit_new_password",
        {"new_password": "Better-horse-9", "attributes.given_name": "Ana"},
    ),
    (
        _issued(CustomChallenge, parameters={"question": "Which horse?"}),
        "awaiting_answer",
        "submit_answer",
        {"answer": "the correct one"},
    ),
    (
        _issued(PasskeyChallenge, options='{"challenge": "AAAA"}'),
        "awaiting_passkey",
        "submit_passkey",
        {"credential": '{"id": "AAAA"}'},
    ),
]
