"""What oncegate relies on, as tests: for third parties' stores, device vaults and user interfaces.

Subclass a suite in a file that pytest collects, and say how to make what is on trial::

    from oncegate.testing import StoreConformance

    class TestMyStore(StoreConformance):
        def make(self):
            return MyStore(...)

Nothing here needs pytest: a suite is a class with methods that assert. `ScriptedTransport` plays
Cognito for the tests of a user interface, without a network; `InterfaceConformance` is such tests.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from pydantic import SecretStr

from oncegate.calls import Call, CheckCode, CheckPassword
from oncegate.challenge import (
    CodeChallenge,
    CustomChallenge,
    Delivery,
    Factor,
    FactorChoice,
    NewPasswordChallenge,
    PasskeyChallenge,
    TotpSetup,
)
from oncegate.device import Device
from oncegate.outcomes import (
    ChallengeIssued,
    NotSent,
    Outcome,
    OutcomeUnknown,
    Refusal,
    Rejected,
    Tokens,
    TokensIssued,
)
from oncegate.ports import DeviceVault, FlowStore, StoredFlow, Transport

__all__ = [
    "Interface",
    "InterfaceConformance",
    "LocalCognito",
    "ScriptedTransport",
    "SentMessage",
    "StoreConformance",
    "TransportConformance",
    "VaultConformance",
]


class ScriptedTransport:
    """A transport whose outcomes are laid out beforehand, and that remembers what it was asked.

    Args:
        outcomes: what comes of the first call, the second, …; a callable is called for it.

    Attributes:
        calls: what it was asked, in order.
    """

    longest_call = 30.0
    is_passwordless = False

    def __init__(self, *outcomes: Outcome | Callable[[Call], Outcome]) -> None:
        self.outcomes = deque(outcomes)
        self.calls: list[Call] = []

    def make(self, call: Call) -> Outcome:
        """See `oncegate.Transport.make`."""
        self.calls.append(call)
        outcome = self.outcomes.popleft()
        return outcome(call) if callable(outcome) else outcome


def _key() -> str:
    return uuid.uuid4().hex


def _row(version: int, sealed: bytes = b"\x00sealed\xff", ends_in: float = 3600.0) -> StoredFlow:
    return StoredFlow(version, sealed, time.time() + ends_in)


class StoreConformance:
    """What the driver relies on when it saves before it sends. Keys are new in each test."""

    def make(self) -> FlowStore:
        """The store on trial, each time on the same data."""
        raise NotImplementedError

    def test_nothing_is_there_at_first(self) -> None:
        assert self.make().load(_key()) is None

    def test_what_was_saved_is_loaded(self) -> None:
        store, key, row = self.make(), _key(), _row(1)
        assert store.swap(key, 0, row) is True
        loaded = store.load(key)
        assert loaded == row
        assert isinstance(loaded, StoredFlow)

    def test_a_row_is_made_once(self) -> None:
        store, key, row = self.make(), _key(), _row(1)
        assert store.swap(key, 0, row)
        assert store.swap(key, 0, _row(1, b"second")) is False
        assert store.load(key) == row

    def test_a_swap_goes_by_the_version(self) -> None:
        store, key, two = self.make(), _key(), _row(2, b"two")
        store.swap(key, 0, _row(1))
        assert store.swap(key, 1, two)
        for stale in (0, 1, 3):
            assert not store.swap(key, stale, _row(9, b"nine"))
        assert store.load(key) == two

    def test_no_swap_makes_a_row_out_of_nothing(self) -> None:
        store, key = self.make(), _key()
        assert not store.swap(key, 1, _row(2))
        assert store.load(key) is None

    def test_rows_do_not_touch_each_other(self) -> None:
        store, key, other, row = self.make(), _key(), _key(), _row(1, b"other")
        store.swap(key, 0, _row(1, b"one"))
        store.swap(other, 0, row)
        store.swap(key, 1, _row(2, b"two"))
        assert store.load(other) == row

    def test_a_row_that_need_not_last_is_saved_like_any_other(self) -> None:
        store, key = self.make(), _key()
        for version in range(4):
            row = _row(version + 1)._replace(lasting=version % 2 == 1)
            assert store.swap(key, version, row)
            assert not store.swap(key, version, row)
            loaded = store.load(key)
            assert loaded is not None
            assert loaded[:3] == row[:3]

    def test_a_row_of_four_kilobytes_of_any_bytes(self) -> None:
        store, key, row = self.make(), _key(), _row(1, bytes(range(256)) * 16)
        store.swap(key, 0, row)
        assert store.load(key) == row

    def test_another_worker_sees_it_at_once(self) -> None:
        here, there, key = self.make(), self.make(), _key()
        row = _row(1)
        if not self.is_shared:
            return
        here.swap(key, 0, row)
        assert there.load(key) == row
        assert not there.swap(key, 0, _row(1))
        assert there.swap(key, 1, _row(2))
        assert not here.swap(key, 1, _row(2))

    is_shared = True
    """Whether two stores that `make` made see each other's rows."""

    def test_of_many_threads_one_wins_each_version(self) -> None:
        threads, versions = 8, 20
        store, key, together = self.make(), _key(), threading.Barrier(threads)

        def race(name: int) -> list[int]:
            won = []
            for version in range(versions):
                together.wait()
                if store.swap(key, version, _row(version + 1, str(name).encode())):
                    won.append(version)
            return won

        with ThreadPoolExecutor(threads) as pool:
            won = [version for result in pool.map(race, range(threads)) for version in result]
        assert sorted(won) == list(range(versions))
        last = store.load(key)
        assert last is not None
        assert last.version == versions

    def test_it_says_since_when_it_lost_nothing(self) -> None:
        assert 0.0 <= self.make().since() <= time.time() + 1


class VaultConformance:
    """What the driver relies on when it keeps devices."""

    def make(self) -> DeviceVault:
        """The vault on trial, each time on the same data."""
        raise NotImplementedError

    def device(self, username: str = "ana", key: str = "key-1", **more: object) -> Device:
        """A device of somebody."""
        return Device.model_validate(
            {
                "username": username,
                "typed": f"{username}@example.com",
                "key": key,
                "group_key": "group",
                "password": f"the secret of {key}",
                **more,
            }
        )

    def test_empty(self) -> None:
        assert self.make().find("ana") is None
        self.make().drop(self.device())

    def test_kept_found_and_dropped(self) -> None:
        self.make().keep(self.device())
        found = self.make().find("ana")
        assert found == self.device()
        assert found.password.get_secret_value() == "the secret of key-1"
        assert self.make().find("ana@example.com") == found
        assert self.make().find("") is None
        self.make().drop(found)
        assert self.make().find("ana") is None

    def test_a_device_takes_the_place_of_the_users_last(self) -> None:
        self.make().keep(self.device(key="old"))
        self.make().keep(self.device(key="new", remembered=True))
        found = self.make().find("ana")
        assert found is not None
        assert (found.key, found.remembered) == ("new", True)
        self.make().drop(self.device(key="old"))
        assert self.make().find("ana") is not None

    def test_users_do_not_get_in_each_others_way(self) -> None:
        for name in ("ana", "bob"):
            self.make().keep(self.device(name, f"of {name}"))
        self.make().drop(self.device("ana", "of ana"))
        assert self.make().find("ana") is None
        assert self.make().find("bob") is not None

    def test_an_own_name_goes_before_what_somebody_typed(self) -> None:
        self.make().keep(self.device("bob", "of bob"))
        self.make().keep(self.device("eve", "of eve", typed="bob"))
        found = self.make().find("bob")
        assert found is not None
        assert found.key == "of bob"


class SentMessage(Protocol):
    """A text or mail that a Cognito which stands in for the real one has sent."""

    @property
    def username(self) -> str: ...
    @property
    def medium(self) -> str: ...
    @property
    def destination(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def sent_at(self) -> datetime: ...


class LocalCognito(Protocol):
    """What a suite needs of a Cognito that counts; `oncegate_sandbox.Sandbox` is one."""

    @property
    def endpoint(self) -> str: ...
    @property
    def pool_id(self) -> str: ...
    @property
    def client_id(self) -> str: ...
    def messages(self) -> Sequence[SentMessage]: ...
    def calls(self) -> Mapping[str, int]: ...
    def lose_next_response(self, operation: str) -> None: ...


class TransportConformance:
    """What the driver relies on when it calls: once, and told apart what came of it.

    The pool has to have a user ``ana`` with the password ``Correct-horse-1`` and a phone, as the
    sandbox has without a seed.
    """

    texting_operation = "RespondToAuthChallenge"
    """The operation that makes Cognito text, in the way that this transport proves a password."""

    def cognito(self) -> AbstractContextManager[LocalCognito]:
        """A Cognito of this test's own, such as ``Sandbox()``."""
        raise NotImplementedError

    def make(self, *, pool_id: str, client_id: str, endpoint_url: str) -> Transport:
        """The transport on trial."""
        raise NotImplementedError

    def _at(self, cognito: LocalCognito) -> Transport:
        return self.make(
            pool_id=cognito.pool_id, client_id=cognito.client_id, endpoint_url=cognito.endpoint
        )

    def _password(self, value: str = "Correct-horse-1") -> CheckPassword:
        return CheckPassword(username="ana", password=SecretStr(value))

    def test_a_code_and_its_answer(self) -> None:
        with self.cognito() as cognito:
            transport = self._at(cognito)
            outcome = transport.make(self._password())
            assert isinstance(outcome, ChallengeIssued)
            challenge = outcome.challenge
            assert isinstance(challenge, CodeChallenge)
            assert challenge.delivery is not None
            (message,) = cognito.messages()
            wrong = "".join(str((int(digit) + 1) % 10) for digit in message.code)
            refused = transport.make(CheckCode(challenge=challenge, code=SecretStr(wrong)))
            assert isinstance(refused, Rejected)
            assert refused.refusal is Refusal.WRONG_CODE
            right = CheckCode(challenge=challenge, code=SecretStr(message.code))
            assert isinstance(transport.make(right), TokensIssued)
            again = transport.make(right)
            assert isinstance(again, Rejected)
            assert again.refusal is Refusal.CHALLENGE_DEAD

    def test_a_wrong_password(self) -> None:
        with self.cognito() as cognito:
            outcome = self._at(cognito).make(self._password("wrong"))
            assert isinstance(outcome, Rejected)
            assert outcome.refusal is Refusal.WRONG_CREDENTIALS
            assert cognito.messages() in ([], ())

    def test_a_lost_response_is_unknown_and_nothing_is_repeated(self) -> None:
        with self.cognito() as cognito:
            cognito.lose_next_response(self.texting_operation)
            assert isinstance(self._at(cognito).make(self._password()), OutcomeUnknown)
            assert len(cognito.messages()) == 1
            assert cognito.calls()[self.texting_operation] == 1

    def test_nobody_there_is_not_sent(self) -> None:
        with self.cognito() as cognito:
            transport = self._at(cognito)
        assert isinstance(transport.make(self._password()), NotSent)

    def test_it_knows_its_longest_call(self) -> None:
        with self.cognito() as cognito:
            assert 0 < self._at(cognito).longest_call < 600


class Interface(Protocol):
    """What a suite needs of a user interface: a browser, a terminal or a program, with one person."""

    def open(self) -> str:
        """Open the sign-in, or reload it where it is open.

        Returns:
            The state that is shown, by its name.
        """
        ...

    def say(self, event: str, **fields: str) -> str:
        """Fill in what is shown, send it off, and return the state that is shown then.

        Args:
            event: by its type, such as ``submit_code``.
            fields: by the names that the step gives them.
        """
        ...

    def say_again(self) -> str:
        """Send the last off once more from the page it was on, as a double click does."""
        ...

    def shown(self) -> str:
        """All that the person can see now."""
        ...


_THE_TOKENS = TokensIssued(tokens=Tokens(access_token="eyJ.access", refresh_token="eyJ.refresh"))


class InterfaceConformance:
    """What a person relies on, whatever the interface: one code, and never a lost place.

    Cognito is played by a `ScriptedTransport`, so that every call is seen. Each test is one person who
    signs in once.
    """

    def make(self, transport: Transport) -> Interface:
        """The interface on trial, around a driver with this transport and a store of its own."""
        raise NotImplementedError

    def _played(self, *outcomes: Outcome) -> tuple[Interface, ScriptedTransport]:
        transport = ScriptedTransport(*outcomes)
        return self.make(transport), transport

    def _password(self, interface: Interface) -> str:
        assert interface.open() == "idle"
        return interface.say("submit_password", username="ana", password="Correct-horse-1")

    def test_opening_and_reloading_call_nothing(self) -> None:
        interface, transport = self._played()
        assert [interface.open() for _ in range(3)] == ["idle"] * 3
        assert transport.calls == []

    def test_a_sign_in(self) -> None:
        interface, transport = self._played(_texted(), _THE_TOKENS)
        assert self._password(interface) == "awaiting_mfa"
        assert "1234" in interface.shown()
        assert interface.say("submit_code", code="123 456") == "authenticated"
        code = transport.calls[-1]
        assert isinstance(code, CheckCode)
        assert code.code.get_secret_value() == "123456"

    def test_a_reload_sends_nothing_and_finds_the_place(self) -> None:
        interface, transport = self._played(_texted(), _THE_TOKENS)
        self._password(interface)
        assert [interface.open() for _ in range(3)] == ["awaiting_mfa"] * 3
        assert len(transport.calls) == 1
        assert interface.say("submit_code", code="123456") == "authenticated"

    def test_a_double_click_on_the_password_sends_one_code(self) -> None:
        interface, transport = self._played(_texted())
        self._password(interface)
        assert interface.say_again() == "awaiting_mfa"
        assert interface.open() == "awaiting_mfa"
        assert len(transport.calls) == 1

    def test_a_double_click_on_the_last_step_is_signed_in_all_the_same(self) -> None:
        interface, transport = self._played(_texted(), _THE_TOKENS)
        self._password(interface)
        interface.say("submit_code", code="123456")
        assert interface.say_again() == "authenticated"
        assert len(transport.calls) == 2

    def test_a_wrong_code_is_asked_again_in_place(self) -> None:
        wrong = Rejected(refusal=Refusal.WRONG_CODE)
        interface, transport = self._played(_texted(), wrong, _THE_TOKENS)
        self._password(interface)
        assert interface.say("submit_code", code="111111") == "awaiting_mfa"
        assert "111111" not in interface.shown()
        assert interface.say("submit_code", code="123456") == "authenticated"
        assert len(transport.calls) == 3

    def test_a_lost_answer_is_not_called_wrong(self) -> None:
        interface, _ = self._played(_texted(), OutcomeUnknown())
        self._password(interface)
        before = interface.shown()
        assert interface.say("submit_code", code="123456") == "idle"
        assert interface.shown() != before
        assert "not right" not in interface.shown()

    def test_a_wrong_password_is_not_shown_again(self) -> None:
        interface, _ = self._played(Rejected(refusal=Refusal.WRONG_CREDENTIALS), _texted())
        assert self._password(interface) == "idle"
        assert "Correct-horse-1" not in interface.shown()
        assert interface.say("submit_password", username="ana", password="other") == "awaiting_mfa"

    def test_a_way_out(self) -> None:
        interface, transport = self._played(_texted())
        self._password(interface)
        assert interface.say("cancel") == "failed"
        assert len(transport.calls) == 1

    def test_whatever_is_asked_has_a_page_and_an_answer(self) -> None:
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
