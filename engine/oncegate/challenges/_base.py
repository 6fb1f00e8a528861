"""What the challenges' files have in common: base classes, factors, deliveries and form fields."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SecretStr,
    StringConstraints,
    ValidationError,
)
from pydantic import Field as ModelField

from oncegate._secret import Secret
from oncegate._stored import StoredModel
from oncegate.errors import InvalidInput
from oncegate.messages import TEXTS
from oncegate.states import AnyState

if TYPE_CHECKING:
    from oncegate.challenges import Call, InMemory
    from oncegate.record import Flow
    from oncegate.ways_in import WaysIn


class Factor(StrEnum):
    """The factors of a user pool that can be chosen, by Cognito's names.

    The first three are second factors; EMAIL is a first factor as well, as are those after it.
    PASSWORD includes PASSWORD_SRP: the transport decides how a password is proven.
    """

    SMS = "SMS_MFA"
    EMAIL = "EMAIL_OTP"
    TOTP = "SOFTWARE_TOKEN_MFA"
    SMS_OTP = "SMS_OTP"
    PASSKEY = "WEB_AUTHN"
    PASSWORD = "PASSWORD"


FIRST_FACTORS = (Factor.EMAIL, Factor.SMS_OTP, Factor.PASSKEY, Factor.PASSWORD)
SECOND_FACTORS = (Factor.SMS, Factor.EMAIL, Factor.TOTP)

SHORTEST, LONGEST = 4, 12
"""Digits of a code. Cognito's own have 6 or 8, according to what they are for, and a pool's custom
sender may send others, so no exact length is ever required (amplify-js#14428)."""


class Delivery(StoredModel):
    """Where Cognito sent a code.

    Attributes:
        medium: ``"SMS"`` or ``"EMAIL"``; ``""`` if it must not be told (a recovery's code).
        destination: masked by Cognito, such as ``"+*******1234"``; empty if it must not be told.
    """

    medium: str
    destination: str


# ── form fields ──


class Choice(BaseModel):
    """One value that a field can take.

    Attributes:
        label_code: code of the label in `oncegate.messages.TEXTS`.
        hint: what follows from the choice, in one sentence; empty if the label says enough.
        hint_code: the hint's code.
        values: values of the label's placeholders.
    """

    model_config = ConfigDict(defer_build=True, frozen=True)

    value: str
    label: str
    label_code: str = ModelField(default="", exclude=True)
    hint: str = ""
    hint_code: str = ModelField(default="", exclude=True)
    values: dict[str, str] = ModelField(default_factory=dict, exclude=True)


class PasswordRule(BaseModel):
    """One rule for a new password, to be shown, and checked while the user types.

    Cognito decides whether a password is accepted.

    Attributes:
        label: what the password has to have.
        label_code: code of the label in `oncegate.messages.TEXTS`.
        pattern: regular expression of ECMAScript (with any flags) and of Python. A password that
            contains a match meets the rule.
        values: values of the label's placeholders.
    """

    model_config = ConfigDict(defer_build=True, frozen=True)

    label: str
    label_code: str = ModelField(default="", exclude=True)
    pattern: str
    values: dict[str, int] = ModelField(default_factory=dict, exclude=True)


class Field(BaseModel):
    """One input of an action. Its name is that of the event's own field.

    Attributes:
        label_code: key of `oncegate.messages.TEXTS`; empty for a user attribute outside the table.
        hint: what to enter, in one sentence; empty if the label says enough.
        hint_code: the hint's code in `oncegate.messages.TEXTS`.
        type: an HTML input type; ``"choice"`` if ``choices`` lists the values; ``"passkey"`` for the
            browser's answer to `Step.passkey_options`, as JSON; ``"authorization"`` for what the
            browser brings back from `Step.authorize_url`. Users type neither of the last two.
        autocomplete: HTML autofill token (HTML Living Standard, 4.10.18.7).
        inputmode: keyboard that a phone should show.
        pattern: regular expression for the whole value, with ASCII digits and without blanks and dashes.
        secret: whether to hide what is typed and never show it again.
        value: initial value; always empty for a secret.
        choices: the values that the field can take; empty for any.
        style: ``"buttons"`` if each choice is a button, which sends the action. If the field is not
            required, they are beside the action's own button.
        rules: for a new password, the rules of the application's `oncegate.PasswordPolicy`.
    """

    model_config = ConfigDict(defer_build=True, frozen=True)

    name: str
    label: str
    label_code: str = ModelField(default="", exclude=True)
    hint: str = ""
    hint_code: str = ModelField(default="", exclude=True)
    type: Literal[
        "text", "password", "email", "tel", "date", "url", "choice", "passkey", "authorization"
    ]
    autocomplete: str = "off"
    inputmode: Literal["text", "numeric", "email", "tel", "url"] = "text"
    pattern: str | None = None
    secret: bool = False
    required: bool = True
    value: str = ModelField(default="", repr=False)
    choices: tuple[Choice, ...] = ()
    style: Literal["", "buttons"] = ModelField(default="", exclude=True)
    rules: tuple[PasswordRule, ...] = ()


def field(name: str, text: str, **more: Any) -> Field:
    """Return a field, labelled by the text ``field.<text>``."""
    code = f"field.{text}"
    more.setdefault("type", "text")
    return Field(name=name, label=TEXTS[code], label_code=code, **more)


def choice(value: str, label_code: str, hint_code: str = "") -> Choice:
    """Return a choice, labelled by a text of the table.

    Args:
        value: value of the field if this is chosen.
        label_code: code of the label.
        hint_code: code of the hint; empty for none.
    """
    hint = TEXTS[hint_code] if hint_code else ""
    return Choice(
        value=value, label=TEXTS[label_code], label_code=label_code, hint=hint, hint_code=hint_code
    )


# ── what users type ──


# What people, keyboards and copied text put around and into codes: invisible marks, blanks and dashes
# (Unicode's general categories), the minus sign, and variation selectors.
_SEPARATORS = frozenset({"Cf", "Zs", "Zl", "Zp", "Pd"})
_MORE_SEPARATORS = frozenset("\u2212\ufe0e\ufe0f")
_LONGEST_CODE_TEXT = 256


def _ascii_digits(code: object) -> object:
    """Return what was typed with ASCII digits, and without separators.

    A keyboard types the digits of its own script, such as Arabic-Indic or fullwidth ones.
    """
    if isinstance(code, SecretStr):
        code = code.get_secret_value()
    if not isinstance(code, str) or len(code) > _LONGEST_CODE_TEXT:
        return code
    return "".join(_ascii_digit(char) for char in code if not _is_separator(char))


def _ascii_digit(char: str) -> str:
    value = unicodedata.digit(char, None)
    return char if value is None else str(value)


def plain_phone_number(number: str) -> str:
    """Return a phone number as Cognito takes it: the sign and ASCII digits, without what separates them.

    AWS developer guide, "Working with user attributes": a phone number has no blanks, dashes or
    parentheses. A zero in parentheses stays, and is refused: in "+49 (0)151" it is none of the number's.
    """
    plain = "".join(_ascii_digit(c) for c in number if not _is_separator(c) and c != ".")
    return plain if "(0" in plain else plain.translate({ord("("): None, ord(")"): None})


def _is_separator(char: str) -> bool:
    return char.isspace() or char in _MORE_SEPARATORS or unicodedata.category(char) in _SEPARATORS


def _digits(code: SecretStr) -> SecretStr:
    value = code.get_secret_value()
    if not (value.isascii() and value.isdigit() and SHORTEST <= len(value) <= LONGEST):
        raise ValueError("a code is 4 to 12 digits")
    return code


def _as_text(credential: object) -> object:
    return json.dumps(credential) if isinstance(credential, dict) else credential


def _json_object(credential: SecretStr) -> SecretStr:
    try:
        is_object = isinstance(json.loads(credential.get_secret_value()), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise ValueError("a credential is a JSON object")
    return credential


def _encodable(value: Any) -> Any:
    """Refuse lone surrogates: JSON can have them, UTF-8 and Cognito cannot."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    try:
        text.encode()
    except UnicodeEncodeError:
        # `from None`: the error holds what was typed.
        raise ValueError("not valid Unicode") from None
    return value


_Encodable = AfterValidator(_encodable)
CodeText = Annotated[SecretStr, BeforeValidator(_ascii_digits), AfterValidator(_digits)]
# Cognito's own limits (botocore's service model): UsernameType 1..128, PasswordType at most 256.
UsernameText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128), _Encodable
]
PasswordText = Annotated[SecretStr, ModelField(min_length=1, max_length=256), _Encodable]
AnswerText = Annotated[SecretStr, ModelField(min_length=1, max_length=2048), _Encodable]
EmailText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^[^@\s]{1,64}@[^@\s]{1,190}$"),
    _Encodable,
]
TokenText = Annotated[SecretStr, ModelField(max_length=16384), _Encodable]
CredentialText = Annotated[
    SecretStr,
    ModelField(max_length=16384),
    BeforeValidator(_as_text),
    AfterValidator(_json_object),
    _Encodable,
]
AttributeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][\w:.-]{0,63}$")]
AttributeValue = Annotated[str, StringConstraints(max_length=2048), _Encodable]


# ── base classes ──


_MESSAGES = {"wrong_credentials": "answer_refused"}
_MESSAGES_WITHOUT_A_CODE = {
    "wrong_code": "not_accepted",
    "code_already_used": "not_accepted",
    "code_expired": "challenge_dead",
    "too_many_wrong_codes": "too_many_wrong_answers",
    "already_tried": "stale",
}


class ChallengeBase(StoredModel):
    """What every challenge carries.

    Attributes:
        session: Cognito's session, valid for one answer; about 1,500 characters. Empty if Cognito has
            none for this challenge.
        username: the pool's own name for the user (USER_ID_FOR_SRP), never the alias that was typed.
        valid_for: seconds from the call that brought the challenge; AuthSessionValidity is 3 to 15
            minutes (botocore's service model).
        delivery: destination of the code; None if none was sent.
    """

    session: Secret
    username: str
    valid_for: float = ModelField(default=180.0, gt=0, le=900)
    delivery: Delivery | None = None

    @property
    def waits_in(self) -> AnyState | None:
        """The state in which the flow waits for the answer; None if the user answers nothing."""
        return None

    @property
    def choices(self) -> tuple[Factor, ...]:
        """The factors that the user can choose, instead of this challenge or as its answer."""
        return ()

    @property
    def takes_code(self) -> bool:
        """Whether a code answers it."""
        return False

    @property
    def messages(self) -> Mapping[str, str]:
        """The message's code for each reason whose own text would be false for this challenge.

        Subclasses extend it.
        """
        return _MESSAGES if self.takes_code else _MESSAGES | _MESSAGES_WITHOUT_A_CODE

    @property
    def answer_can_send(self) -> bool:
        """Whether the call that answers it can make Cognito send a code."""
        return False

    def main_event(self, flow: Flow) -> str:
        """Return the event that the page is for, if it is not the state's first one; empty otherwise."""
        return ""

    def call(self, flow: Flow, memory: InMemory) -> Call:
        """Return the call that an in-flight flow with this challenge is about to make."""
        raise AssertionError(f"{flow.state} has no call for {type(self).__name__}")


class InvalidEvent(InvalidInput):
    """An event whose fields are invalid. It names them and why, never their values.

    Attributes:
        problems: one for each field, such as ``code: value_error``, or ``use: literal_error, expected
            'preferred', 'enabled' or 'off'``.
    """

    def __init__(self, error: ValidationError) -> None:
        self.problems = tuple(_problems(error))
        super().__init__(f"not an event: {'; '.join(self.problems)}"[:500])

    @property
    def fields(self) -> dict[str, str]:
        """The invalid fields of the event, each with a word for what is wrong, such as ``"missing"``."""
        found = {}
        for problem in self.problems:
            where, _, why = problem.partition(": ")
            path = where.split(".")
            is_attribute = path[1:2] == ["attributes"]
            if name := ".".join(path[1 : 3 if is_attribute else 2]):
                found[name] = why.partition(",")[0]
        return found


_ENUM = re.compile(r"<\w+\.\w+: ('[^']*')>")
"""Repr of an enumeration's member, which has its value."""


def _problems(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_input=False, include_url=False):
        where = ".".join(map(str, problem["loc"]))
        inner = problem.get("ctx", {}).get("error")
        if isinstance(inner, InvalidEvent):  # the event of a union, refused by its own constructor
            yield from (f"{where}.{one}" for one in inner.problems)
        elif problem["type"].startswith("union_tag"):
            expected = problem.get("ctx", {}).get("expected_tags", "")
            yield f"type: one of {expected}" if expected else "type: missing"
        elif problem["type"] == "literal_error":
            expected = _ENUM.sub(r"\1", problem["ctx"]["expected"])
            yield f"{where}: literal_error, expected {expected}"
        else:
            yield f"{where or 'event'}: {problem['type']}"


class EventBase(BaseModel):
    """What every event of a user has.

    Attributes:
        machine_event: name of the chart's event.
        answered_with: the event's answer to a challenge. Two events with the same answer are
            the same attempt; the driver stores a keyed digest of it.
        first_factor: the password that the event brings, which may be used once more while the event
            is processed.
        can_be_repeated: whether the user can give the same answer once more.
        ends_flow: whether the user gives up with it.
        beside: name of the field that a page offers it beside, such as ``"password"``; empty for none.
        summary_code: code of the text under which a page folds its form up, if it is not the main one.
        title_code: code of the heading of the action's own page, if its form has one. The text of the
            summary leads there.
    """

    model_config = ConfigDict(
        defer_build=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    machine_event: ClassVar[str]
    can_be_repeated: ClassVar[bool] = True
    ends_flow: ClassVar[bool] = False
    beside: ClassVar[str] = ""
    summary_code: ClassVar[str] = ""
    title_code: ClassVar[str] = ""

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            # `from None`: pydantic's error holds what was typed.
            raise InvalidEvent(error) from None

    @property
    def answered_with(self) -> tuple[str, ...]:
        return ()

    @property
    def first_factor(self) -> SecretStr | None:
        return None

    @property
    def detail(self) -> str:
        """Words of others in the event, for the log: never a secret."""
        return ""

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        """Return the inputs that a user interface shows for this event."""
        return ()

    @classmethod
    def label_code(cls, flow: Flow) -> str:
        """Return the code of the action's label in `oncegate.messages.TEXTS`."""
        return f"action.{cls.machine_event}"

    @classmethod
    def hint_code(cls, target: AnyState) -> str:
        """Return the code of what to read before the action; empty if there is nothing.

        Args:
            target: state that the event leads to.
        """
        return ""


class CallBase(BaseModel):
    """What every call has.

    Attributes:
        can_send: whether the call can make Cognito send a code.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, hide_input_in_errors=True)

    can_send: ClassVar[bool] = False
