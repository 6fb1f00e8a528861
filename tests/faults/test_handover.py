"""P7: the session goes to the request that carried the accepted answer, and to no other.

A caller who knows a flow ID can continue that flow, for a reload has to find the challenge. It must not
be enough to receive the session or the tokens once the user has finished the sign-in.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.doubles import DictStore, ManualClock, ScriptedTransport, a_text, code, the_tokens
from tests.doubles import password as a_password

from oncegate import (
    Cancel,
    Event,
    InvalidInput,
    RememberDevice,
    RequestNewCode,
    SealingKeys,
    SignIn,
    Step,
    StepRef,
    SubmitCode,
    SubmitPasskey,
    SubmitPassword,
)
from oncegate.adapters import (
    ChallengeIssued,
    Device,
    DeviceRegistered,
    DeviceRemembered,
    FlowId,
    NewDevice,
    Outcome,
    PasskeyChallenge,
    Tokens,
)
from oncegate_vaults import MemoryVault

KEYS = SealingKeys("q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4")
NEW_DEVICE = NewDevice(key="us-east-1_device", group_key="group")
EVERY_EVENT: tuple[Event, ...] = (
    Cancel(),
    code("654321"),
    RememberDevice(remember=False),
    RequestNewCode(),
    SubmitPassword(username="ana", password="wrong"),
)


class Keeper:
    def __init__(self) -> None:
        self.created = 0

    def create(self, tokens: Tokens) -> str:
        self.created += 1
        return f"session-{self.created}"


class Site:
    """A sign-in with a session keeper, whose calls are counted."""

    def __init__(self, *outcomes: Outcome, keeper: bool = True, **more: Any) -> None:
        self.transport = ScriptedTransport(*outcomes)
        self.store = DictStore()
        self.clock = ManualClock()
        self.sign_in = SignIn(
            transport=self.transport,
            store=self.store,
            clock=self.clock,
            keeper=Keeper() if keeper else None,
            keys=KEYS,
            listeners=[],
            **more,
        )

    def again(self, step: Step, event: Event) -> Step:
        """Send an event as a browser does: with no more than the flow's ID and a version."""
        return self.sign_in.send(StepRef(step.flow_id, step.version), event)


def signed_in_by_code(**more: Any) -> tuple[Site, Step, Step]:
    site = Site(a_text(), the_tokens(), **more)
    asked = site.sign_in.send(site.sign_in.start(), a_password())
    return site, asked, site.again(asked, code())


def offered_device(**more: Any) -> tuple[Site, Step, Step]:
    device = Device(
        key=NEW_DEVICE.key, group_key="group", password="s", username="ana", typed="ana"
    )
    issued = the_tokens().model_copy(update={"new_device": NEW_DEVICE})
    registered = DeviceRegistered(device=device, ask_user=True)
    site = Site(a_text(), issued, registered, DeviceRemembered(), vault=MemoryVault(), **more)
    asked = site.sign_in.send(site.sign_in.start(), a_password())
    return site, asked, site.again(asked, code())


SIGNED_IN = pytest.mark.parametrize("signed_in", [signed_in_by_code, offered_device])
Walk = Callable[..., tuple[Site, Step, Step]]


def has_session(step: Step) -> bool:
    return step.session_id is not None or step.tokens is not None


@SIGNED_IN
@pytest.mark.parametrize("keeper", [True, False])
class TestOthersWithTheFlowId:
    def test_get_never_yields_the_session(self, signed_in: Walk, keeper: bool) -> None:
        site, _, mine = signed_in(keeper=keeper)
        assert has_session(mine)
        assert not has_session(site.sign_in.get(mine.flow_id))

    def test_no_event_without_the_answer_yields_the_session(
        self, signed_in: Walk, keeper: bool
    ) -> None:
        for event in EVERY_EVENT:
            site, asked, mine = signed_in(keeper=keeper)
            for seen in (asked, mine, site.sign_in.get(mine.flow_id)):
                assert not has_session(site.again(seen, event)), event
            assert not has_session(site.sign_in.get(mine.flow_id)), event


@SIGNED_IN
class TestTheSameAnswer:
    def test_second_click_receives_the_same_session_and_makes_no_call(
        self, signed_in: Walk
    ) -> None:
        site, asked, mine = signed_in()
        calls = len(site.transport.calls)
        second = site.again(asked, code())
        assert second.session_id == mine.session_id == "session-1"
        assert len(site.transport.calls) == calls

    def test_lost_response_asks_for_the_answer_once_more(self, signed_in: Walk) -> None:
        site, _, mine = signed_in()
        if mine.state == "offering_device":
            site.again(mine, RememberDevice(remember=True))
        calls = len(site.transport.calls)
        asked = site.sign_in.get(mine.flow_id)
        assert (asked.state, asked.message and asked.message.code) == (
            "authenticated",
            "confirm_answer",
        )
        assert (asked.events, asked.attempts_left) == (("submit_code",), 5)
        assert asked.fields[0].pattern == "[0-9]{4,12}"
        assert site.again(asked, code()).session_id == mine.session_id
        assert len(site.transport.calls) == calls

    def test_five_tries_then_not_even_the_right_answer(self, signed_in: Walk) -> None:
        site, asked, mine = signed_in()
        for left in (4, 3, 2, 1, 0):
            step = site.again(asked, code(f"00000{left}"))
            assert (step.session_id, step.reason and step.reason.code) == (
                None,
                "not_the_same_answer",
            )
        refused = site.again(asked, code())
        assert refused.session_id is None
        if mine.state == "authenticated":
            assert (refused.actions, refused.message and refused.message.code) == (
                (),
                "not_confirmed",
            )

    def test_parallel_guesses_are_counted(self, signed_in: Walk) -> None:
        site, asked, _ = signed_in()
        right_last = [*(f"{number:06}" for number in range(40)), "123456"]
        results: list[Step] = []
        barrier = threading.Barrier(len(right_last))

        def guess(digits: str) -> None:
            barrier.wait()
            results.append(site.again(asked, code(digits)))

        threads = [threading.Thread(target=guess, args=(digits,)) for digits in right_last]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        compared = [one for one in results if one.reason and "same" in one.reason.code]
        assert len(compared) + sum(map(has_session, results)) == 5


class TestOtherAnswers:
    def test_password_alone_is_an_answer(self) -> None:
        site = Site(the_tokens())
        start = site.sign_in.start()
        mine = site.again(start, a_password())
        assert mine.session_id
        asked = site.sign_in.get(mine.flow_id)
        assert (asked.events, [field.name for field in asked.fields]) == (
            ("submit_password",),
            ["password"],
        )
        assert site.again(start, a_password()).session_id == mine.session_id
        right = a_password().password
        other = SubmitPassword(username="bob", password=right)
        assert site.again(asked, SubmitPassword(username="ana", password="no")).session_id is None
        # The flow names the user, so the name in the form does not matter.
        assert site.again(asked, other).session_id == mine.session_id

    def test_password_of_a_flow_that_a_code_finished_is_no_answer(self) -> None:
        site, _, mine = signed_in_by_code()
        assert site.again(mine, a_password()).session_id is None
        assert site.sign_in.get(mine.flow_id).attempts_left == 5

    def test_passkey_is_not_asked_for_again_but_a_second_click_is_recognised(self) -> None:
        challenge = PasskeyChallenge(session="s" * 30, username="ana", options="{}")
        site = Site(ChallengeIssued(challenge=challenge), the_tokens())
        asked = site.sign_in.send(site.sign_in.start(), a_password())
        event = SubmitPasskey(credential={"id": "x"})
        mine = site.again(asked, event)
        assert site.sign_in.get(mine.flow_id).actions == ()
        assert site.again(asked, event).session_id == mine.session_id

    def test_step_that_has_the_tokens_keeps_them_over_the_offer(self) -> None:
        site, _, mine = offered_device(keeper=False)
        assert mine.tokens is not None
        step = site.sign_in.send(mine, RememberDevice(remember=False))
        assert (step.state, step.tokens) == ("authenticated", mine.tokens)

    def test_record_without_the_digest_hands_nothing_over(self) -> None:
        """Schema 1 has no digest: the session goes to the winning request only."""
        site, asked, mine = signed_in_by_code(record_schema=1)
        assert mine.session_id
        step = site.again(asked, code())
        assert (step.session_id, step.actions) == (None, ())


class TestFlowIds:
    def test_id_that_was_not_issued_is_refused_before_the_store(self) -> None:
        site = Site(a_text())
        site.store.load = site.store.swap = None  # type: ignore[method-assign,assignment]
        for foreign in (
            FlowId.new(site.clock.now()).text,
            FlowId.new(site.clock.now(), KEYS.bound_to("another application")).text,
            "A" * 43,
        ):
            with pytest.raises(InvalidInput):
                site.sign_in.get(foreign)
            with pytest.raises(InvalidInput):
                site.sign_in.send(StepRef(foreign, 0), a_password())

    def test_id_with_one_other_character_is_refused(self) -> None:
        site = Site()
        text = site.sign_in.start().flow_id
        for at in range(len(text)):
            other = "A" if text[at] != "A" else "E"
            with pytest.raises(InvalidInput):
                site.sign_in.get(text[:at] + other + text[at + 1 :])

    def test_flow_of_another_pool_on_the_same_store_and_key_is_refused(self) -> None:
        site = Site(a_text())
        step = site.sign_in.send(site.sign_in.start(), a_password())
        transport = ScriptedTransport()
        transport.app_id = "another/pool"
        other = SignIn(transport=transport, store=site.store, keys=KEYS, listeners=[])
        with pytest.raises(InvalidInput):
            other.get(step.flow_id)

    def test_event_without_a_call_on_a_flow_that_was_never_stored_stores_nothing(self) -> None:
        site = Site()
        step = site.sign_in.send(site.sign_in.start(), Cancel())
        assert (step.state, site.store.rows) == ("failed", {})
        for event in (code(), RememberDevice(), RequestNewCode()):
            site.sign_in.send(site.sign_in.start(), event)
        assert site.store.rows == {}


def test_code_with_separators_is_the_same_answer() -> None:
    site, asked, mine = signed_in_by_code()
    assert site.again(asked, SubmitCode(code="123 456")).session_id == mine.session_id
