"""What the user sees of Cognito's answers in their real shape, with the source of each fact.

The pool is the sandbox's, without a network; `tests/sandbox/test_signing_in.py` tests the pool itself.
"""

from __future__ import annotations

from typing import Any

import pyotp
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr
from tests.doubles import InProcessClient, ManualClock
from tests.walks.authenticator import Authenticator
from tests.world import PoolClock

from oncegate import (
    ChooseFactor,
    CodeBudget,
    ConfirmAccount,
    Event,
    Factor,
    ForgotPassword,
    RequestContext,
    RequestNewCode,
    ResetPassword,
    SignIn,
    Step,
    SubmitAnswer,
    SubmitCode,
    SubmitPasskey,
    SubmitPassword,
    SubmitUsername,
)
from oncegate.adapters import ChallengeIssued, DeviceChallenge, Rejected, RejectionReason
from oncegate_cognito import CognitoTransport
from oncegate_cognito._responses import outcome_of_response
from oncegate_sandbox import Pool, PoolSeed, Seed, UserSeed
from oncegate_stores import MemoryStore

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PASSWORD = "Correct-horse-1"
EMAIL: dict[str, Any] = {"email": "ana@example.com"}
PHONE: dict[str, Any] = {"phone_number": "+15550001234"}
TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
FLOWS = ("USER_PASSWORD_AUTH", "USER_SRP_AUTH")


class Person:
    """A user who signs in to a pool with one user, ana.

    Attributes:
        step: the step that is shown.
    """

    def __init__(
        self,
        auth_flow: Any = "USER_PASSWORD_AUTH",
        *,
        pool: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        **user: Any,
    ) -> None:
        self.clock = ManualClock()
        ana = UserSeed.model_validate({"username": "ana", "password": PASSWORD, **user})
        seed = Seed(pool=PoolSeed(**(pool or {})), users=(ana,))
        self.pool = Pool(seed, "http://issuer", PoolClock(self.clock), signing_key=KEY)
        self.client = InProcessClient(self.pool)
        client: Any = self.client
        self.transport = CognitoTransport(
            pool_id=seed.pool.id,
            client_id=seed.pool.client_id,
            client_secret=seed.pool.client_secret,
            auth_flow=auth_flow,
            client=client,
        )
        self.sign_in = SignIn(
            transport=self.transport,
            store=MemoryStore(),
            clock=self.clock,
            listeners=[],
            **(settings or {}),
        )
        self.context = RequestContext()
        self.step = self.sign_in.start()

    def again(self) -> Person:
        """Open a new sign-in page."""
        self.step = self.sign_in.start()
        return self

    def send(self, event: Event) -> Step:
        self.step = self.sign_in.send(self.step, event, context=self.context)
        return self.step

    def enter(self, password: str = PASSWORD, username: str = "ana") -> Step:
        return self.send(SubmitPassword(username=username, password=password))

    def name(self, username: str = "ana", preferred: Factor | None = None) -> Step:
        return self.send(SubmitUsername(username=username, preferred=preferred))

    @property
    def codes(self) -> list[str]:
        return [message.code for message in self.pool.inbox.messages()]

    @property
    def told(self) -> tuple[str, str | None]:
        """The state, and the code of the message."""
        return self.step.state.value, self.step.message.code if self.step.message else None

    @property
    def other_ways(self) -> list[str]:
        """The factors that the secondary action offers."""
        for action in self.step.actions[1:]:
            if action.event == "choose_factor":
                return [choice.value for choice in action.fields[0].choices]
        return []


def look(step: Step) -> dict[str, Any]:
    """Return what a step shows, without what is its own in every flow, and without the typed name."""
    own = {"flow_id", "username", "expires_at", "new_code_at"}
    shown = step.model_dump(mode="json", exclude=own)
    return {**shown, "times": [step.expires_at is None, step.new_code_at is None]}


# ── codes ──


@pytest.mark.parametrize(
    "digits",
    ["٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "０１２３４５６７８９"],
    ids=["Arabic", "Devanagari", "fullwidth"],
)
def test_code_in_other_digits_signs_in(digits: str) -> None:
    """case 12"""
    person = Person(**PHONE, mfa=["SMS_MFA"])
    person.enter()
    typed = "".join(digits[int(digit)] for digit in person.codes[-1])
    assert person.send(SubmitCode(code=f"\u200e{typed[:3]}–{typed[3:]}\u200e")).tokens


@pytest.mark.parametrize("factor", [Factor.EMAIL, Factor.SMS_OTP])
def test_first_factor_code_of_eight_digits_fits_its_field(factor: Factor) -> None:
    """case 13; amplify-js#14428"""
    import re

    person = Person("USER_AUTH", **EMAIL, **PHONE)
    step = person.name(preferred=factor)
    assert len(person.codes[-1]) == 8
    pattern = step.fields[0].pattern
    assert pattern is not None
    assert re.fullmatch(pattern, person.codes[-1])
    assert person.send(SubmitCode(code=person.codes[-1])).tokens


# ── USER_AUTH ──


@pytest.mark.parametrize("secret", [None, "the-secret"])
def test_alias_that_was_typed_answers_the_first_factor(secret: str | None) -> None:
    """a recorded pool: no response names the user, and SECRET_HASH covers the name that was typed"""
    person = Person("USER_AUTH", pool={"client_secret": secret}, **EMAIL)
    person.name("ana@example.com", Factor.EMAIL)
    assert person.send(SubmitCode(code=person.codes[-1])).tokens
    (_, request) = person.client.requests[-1]
    assert request["ChallengeResponses"]["USERNAME"] == "ana@example.com"


def test_user_without_a_password_gets_the_code_at_once() -> None:
    """a transcript of the AWS CLI"""
    person = Person("USER_AUTH", password="", **EMAIL)
    assert person.name().state == "awaiting_mfa"
    assert (len(person.codes), person.other_ways) == (1, [])
    assert person.send(SubmitCode(code=person.codes[-1])).tokens


def test_codes_of_a_user_without_a_password_do_not_count_for_each_password_that_is_typed() -> None:
    settings = {"budget": CodeBudget(per_user=3)}
    person = Person("USER_AUTH", password="", **EMAIL, settings=settings)
    for number in range(6):
        person.again().enter(f"wrong-horse-{number}")
        if person.step.state == "choosing_first_factor":
            person.send(ChooseFactor(factor=Factor.EMAIL))
    assert len(person.codes) == 3


class TestAnotherWay:
    """API reference, InitiateAuth: AvailableChallenges beside a challenge that was issued at once"""

    def test_other_first_factors_are_offered_beside_a_challenge(self) -> None:
        person = Person("USER_AUTH", **EMAIL, **PHONE, passkeys=[Authenticator().seed()])
        step = person.name(preferred=Factor.EMAIL)
        assert step.actions[0].event == "submit_code"
        (action,) = [one for one in step.actions if one.event == "choose_factor"]
        assert (action.label, action.is_main) == ("Try another way", False)
        assert person.other_ways == ["WEB_AUTHN", "SMS_OTP", "PASSWORD"]

    def test_another_code_signs_in_and_the_first_one_is_dropped(self) -> None:
        person = Person("USER_AUTH", **EMAIL, **PHONE)
        seen = person.name(preferred=Factor.EMAIL)
        step = person.send(ChooseFactor(factor=Factor.SMS_OTP))
        assert (step.state, step.delivery and step.delivery.medium) == ("awaiting_mfa", "SMS")
        assert len(person.codes) == 2
        # A second click from the page before neither sends nor answers.
        late = person.sign_in.send(seen, ChooseFactor(factor=Factor.SMS_OTP))
        assert late.reason is not None
        assert (late.reason.code, len(person.codes)) == ("stale", 2)
        assert person.send(SubmitCode(code=person.codes[1])).tokens

    def test_password_is_asked_without_a_call_and_signs_in(self) -> None:
        person = Person("USER_AUTH", **EMAIL, **PHONE)
        person.name(preferred=Factor.EMAIL)
        before = len(person.client.requests)
        step = person.send(ChooseFactor(factor=Factor.PASSWORD))
        assert (step.state, len(person.client.requests)) == ("awaiting_password", before)
        assert person.other_ways == ["EMAIL_OTP", "SMS_OTP"]
        assert person.send(SubmitPassword(password=PASSWORD)).tokens
        assert len(person.codes) == 1

    def test_password_can_be_left_for_another_code(self) -> None:
        person = Person("USER_AUTH", **EMAIL, **PHONE)
        person.name()
        person.send(ChooseFactor(factor=Factor.PASSWORD))
        assert person.other_ways == ["EMAIL_OTP", "SMS_OTP"]
        person.send(ChooseFactor(factor=Factor.EMAIL))
        assert person.send(SubmitCode(code=person.codes[-1])).tokens

    def test_passkey_can_replace_a_code_and_be_replaced(self) -> None:
        passkey = Authenticator()
        person = Person("USER_AUTH", **EMAIL, passkeys=[passkey.seed()])
        person.name(preferred=Factor.PASSKEY)
        assert person.other_ways == ["EMAIL_OTP", "PASSWORD"]
        person.send(ChooseFactor(factor=Factor.EMAIL))
        step = person.send(ChooseFactor(factor=Factor.PASSKEY))
        assert step.passkey_options is not None
        credential = passkey.answer(step.passkey_options)
        assert person.send(SubmitPasskey(credential=credential)).tokens

    def test_code_of_the_same_factor_has_its_cooldown(self) -> None:
        person = Person("USER_AUTH", **EMAIL, **PHONE)
        person.name(preferred=Factor.EMAIL)
        person.send(ChooseFactor(factor=Factor.SMS_OTP))
        step = person.send(ChooseFactor(factor=Factor.EMAIL))
        assert step.reason is not None
        assert (step.state, step.reason.code) == ("awaiting_mfa", "too_soon")
        person.clock.advance(30)
        assert person.send(ChooseFactor(factor=Factor.EMAIL)).reason is None
        assert len(person.codes) == 3

    def test_ways_are_counted_with_the_new_codes_of_the_flow(self) -> None:
        person = Person("USER_AUTH", **EMAIL, **PHONE, settings={"new_codes_per_flow": 1})
        person.name(preferred=Factor.EMAIL)
        person.send(ChooseFactor(factor=Factor.SMS_OTP))
        person.clock.advance(30)
        step = person.send(ChooseFactor(factor=Factor.EMAIL))
        assert step.reason is not None
        assert (step.reason.code, len(person.codes)) == ("no_more_codes", 2)

    def test_ways_are_counted_against_the_budget(self) -> None:
        settings = {"budget": CodeBudget(per_user=1)}
        person = Person("USER_AUTH", **EMAIL, **PHONE, settings=settings)
        person.name(preferred=Factor.EMAIL)
        for factor in (Factor.SMS_OTP,):
            step = person.send(ChooseFactor(factor=factor))
            assert step.reason is not None
            assert (step.state, step.reason.code) == ("awaiting_mfa", "too_many_codes")
        assert person.send(SubmitCode(code=person.codes[-1])).tokens

    def test_second_factor_offers_no_other_first_factor(self) -> None:
        person = Person("USER_AUTH", **EMAIL, **PHONE, mfa=["SMS_MFA"])
        person.enter()
        assert (person.step.state, person.other_ways) == ("awaiting_mfa", [])


# ── MFA ──


def test_lock_out_keeps_the_challenge_and_its_session() -> None:
    """case 6; AWS developer guide, MFA"""
    person = Person(**PHONE, mfa=["SMS_MFA"])
    person.enter()
    other = Person(**PHONE, mfa=["SMS_MFA"])
    other.pool, other.client = person.pool, person.client
    # Five wrong codes in other sign-ins of this user; each flow allows five.
    for flow in range(2):
        elsewhere = person.sign_in.send(
            person.sign_in.start(), SubmitPassword(username="ana", password=PASSWORD)
        )
        for number in range(3 if flow == 0 else 2):
            elsewhere = person.sign_in.send(elsewhere, SubmitCode(code=f"00000{flow}{number}"))
    step = person.again().enter()
    first = step.challenge_id
    step = person.send(SubmitCode(code=person.codes[-1]))
    assert (person.told, step.challenge_id) == (("awaiting_mfa", "locked"), first)
    assert step.attempts_left == 5
    person.clock.advance(2)
    assert person.send(SubmitCode(code=person.codes[-1])).tokens, "the very same code"


@pytest.mark.parametrize("ends", [True, False])
def test_wrong_authenticator_code_is_survived_whatever_it_does_to_the_session(ends: bool) -> None:
    """two clients say that it uses the session up, one that it does not"""
    person = Person(
        pool={"wrong_totp_ends_session": ends},
        totp_secret=TOTP_SECRET,
        mfa=["SOFTWARE_TOKEN_MFA"],
    )
    person.enter()
    person.send(SubmitCode(code="000000"))
    assert person.told == ("awaiting_mfa", "wrong_code")
    step = person.send(SubmitCode(code=pyotp.TOTP(TOTP_SECRET).at(int(person.clock.now()))))
    if not ends:
        assert step.tokens
        return
    assert person.told == ("idle", "challenge_dead")
    person.clock.advance(30)
    person.enter()
    assert person.send(SubmitCode(code=pyotp.TOTP(TOTP_SECRET).at(int(person.clock.now())))).tokens


def test_set_up_by_sms_only_is_explained() -> None:
    """case 22; amplify-flutter#95"""
    response = {
        "ChallengeName": "MFA_SETUP",
        "Session": "s" * 40,
        "ChallengeParameters": {"USER_ID_FOR_SRP": "ana", "MFAS_CAN_SETUP": '["SMS_MFA"]'},
    }
    outcome = outcome_of_response(response, username="ana", valid_for=180)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is RejectionReason.SECOND_FACTOR_MISSING
    assert "phone number" in outcome.detail


def test_user_without_a_second_factor_is_told_who_can_help() -> None:
    """amplify-js#14013"""
    person = Person(pool={"mfa": "on"})
    person.pool.settings.second_factors = frozenset({Factor.SMS})
    person.enter()
    assert person.told == ("failed", "second_factor_missing")


# ── shapes ──


@pytest.mark.parametrize("session", [{}, {"Session": "s" * 40}])
def test_device_challenge_may_come_without_a_session(session: dict[str, str]) -> None:
    """amplify-js#12887, a log"""
    parameters = {"USERNAME": "ana"}
    response = {"ChallengeName": "DEVICE_SRP_AUTH", "ChallengeParameters": parameters, **session}
    outcome = outcome_of_response(response, username="typed", valid_for=180)
    assert isinstance(outcome, ChallengeIssued)
    assert isinstance(outcome.challenge, DeviceChallenge)
    assert outcome.challenge.username == "ana"


def test_srp_signs_in_without_a_session() -> None:
    """measured: ministack#1758"""
    assert Person("USER_SRP_AUTH").enter().tokens


def test_custom_auth_that_fails_speaks_of_the_answer() -> None:
    """case 7; amplify-swift#3695, amplify-js#5834"""
    lambda_ = "def next_challenge(username, past):\n    return len(past) < 2 and {'answer': 'wren'}"
    person = Person("CUSTOM_AUTH", pool={"custom_auth": lambda_})
    person.name()
    for answer in ("owl", "rook"):
        person.send(SubmitAnswer(answer=answer))
    state, message = person.told
    assert state == "idle"
    assert message not in {"wrong_credentials", None}


def test_custom_auth_without_triggers_is_for_the_developer() -> None:
    """nine code bases that quote it"""
    person = Person("CUSTOM_AUTH")
    person.name()
    assert person.told == ("failed", "misconfigured")


# ── who exists, and in what state (P6, P8) ──


class TestUnconfirmed:
    """Cognito says UserNotConfirmedException before it checks the password: case 30"""

    @pytest.mark.parametrize("flow", FLOWS)
    @pytest.mark.parametrize("password", [PASSWORD, "wrong-horse-1"])
    def test_password_page_does_not_tell_that_a_sign_up_is_unconfirmed(
        self, flow: str, password: str
    ) -> None:
        person = Person(flow, **EMAIL, status="UNCONFIRMED")
        unconfirmed = look(person.enter(password))
        confirmed = look(Person(flow, **EMAIL).enter("wrong-horse-1"))
        unknown = look(Person(flow).enter("wrong-horse-1", "ana"))
        nobody = person.again().enter(password, "bob")
        assert unconfirmed == confirmed == unknown
        assert look(nobody) == {
            **unconfirmed,
            "actions": look(nobody)["actions"],
            "fields": look(nobody)["fields"],
        }
        assert [action.event for action in nobody.actions] == [
            action["event"] for action in unconfirmed["actions"]
        ]
        assert person.codes == [], "no code is sent without being requested"

    @pytest.mark.parametrize("legacy", [False, True])
    @pytest.mark.parametrize(
        "begins", [ConfirmAccount(), ForgotPassword()], ids=lambda one: one.type
    )
    def test_recovery_looks_the_same_for_everybody(self, begins: Any, legacy: bool) -> None:
        looks = []
        for name, user in (
            ("ana", {**EMAIL, "status": "UNCONFIRMED"}),
            ("ana", EMAIL),
            ("bob", EMAIL),
        ):
            if legacy and isinstance(begins, ForgotPassword) and user.get("status"):
                continue  # Cognito says that it has no verified address, which is for support
            person = Person(pool={"prevent_user_existence_errors": not legacy}, **user)
            person.enter("wrong-horse-1", name)
            pages = [look(person.send(begins)), look(person.send(RequestNewCode()))]
            answer: Event = SubmitCode(code="000000")
            if isinstance(begins, ForgotPassword):
                answer = ResetPassword(code="000000", new_password="Better-horse-2")
            pages.append(look(person.send(answer)))
            looks.append(pages)
        assert all(pages == looks[0] for pages in looks)
        assert looks[0][1]["delivery"] == {"medium": "", "destination": ""}

    def test_user_confirms_and_signs_in(self) -> None:
        person = Person(**EMAIL, status="UNCONFIRMED")
        person.enter()
        person.send(ConfirmAccount())
        assert person.told == ("awaiting_confirmation", "sign_up_not_confirmed")
        person.send(RequestNewCode())
        person.send(SubmitCode(code=person.codes[-1]))
        assert person.told == ("idle", "confirmed")
        assert person.enter().tokens

    def test_codes_count_for_the_name_and_not_for_each_password(self) -> None:
        person = Person(**EMAIL, status="UNCONFIRMED", settings={"budget": CodeBudget(per_user=3)})
        for number in range(6):
            person.again().enter(f"wrong-horse-{number}")
            person.send(ConfirmAccount())
            person.send(RequestNewCode())
        assert len(person.codes) == 3

    def test_codes_count_for_the_source(self) -> None:
        budget = CodeBudget(per_user=100, per_source=2)
        person = Person(**EMAIL, status="UNCONFIRMED", settings={"budget": budget})
        person.context = RequestContext(source_address="203.0.113.7")
        for _ in range(4):
            person.again().enter("wrong-horse-1")
            person.send(ConfirmAccount())
            person.send(RequestNewCode())
        assert len(person.codes) == 2

    def test_user_whose_codes_others_have_used_up_still_confirms_and_signs_in(self) -> None:
        """P8: the newest code went to the user, and entering it needs no other one."""
        person = Person(**EMAIL, status="UNCONFIRMED", settings={"budget": CodeBudget(per_user=2)})
        for _ in range(4):
            person.again().enter("wrong-horse-1")
            person.send(ConfirmAccount())
            person.send(RequestNewCode())
        assert len(person.codes) == 2
        person.again().enter()
        person.send(ConfirmAccount())
        person.send(SubmitCode(code=person.codes[-1]))
        assert person.told == ("idle", "confirmed")
        assert person.enter().tokens


class TestImported:
    """RESET_REQUIRED: most pools say only that the password is wrong (dev guide, importing users)"""

    @pytest.mark.parametrize("legacy", [False, True])
    @pytest.mark.parametrize("flow", FLOWS)
    def test_user_resets_the_password_and_is_signed_in(self, flow: str, legacy: bool) -> None:
        pool = {"prevent_user_existence_errors": not legacy}
        person = Person(flow, pool=pool, **EMAIL, status="RESET_REQUIRED")
        person.enter()
        assert person.told == ("idle", "wrong_credentials")
        person.send(ForgotPassword())
        person.send(RequestNewCode())
        new = SecretStr("Better-horse-2")
        step = person.send(ResetPassword(code=person.codes[-1], new_password=new))
        assert step.tokens, "continues with the new password"
        assert step.password_changed
