"""P6: a name that is known to the limits takes as many trips to the store as an unknown one.

The limits note for which user a name stands once a code was sent under it. What they save by that, a
caller could measure. The store here loads and saves several rows in one trip, and keeps what is related.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from tests import world
from tests.doubles import a_text, code, password
from tests.engine.test_trips import RESET as CODE_SENT
from tests.engine.test_trips import BatchingStore, Setting
from tests.world import NEW_PASSWORD, WRONG_PASSWORD, RecordingStore, World

from oncegate import (
    Cancel,
    Event,
    Factor,
    ForgotPassword,
    RequestNewCode,
    ResetPassword,
    SignUp,
    SubmitUsername,
)
from oncegate.adapters import Change, StoredRecord

KNOWN, UNKNOWN = "ana", "eva"

WRONG, OTHER_WRONG = password(WRONG_PASSWORD), password("Another-wrong-1")
FORGOT = ForgotPassword(username=KNOWN)
RESET = ResetPassword(code="000000", new_password=NEW_PASSWORD)
JOIN = SignUp(username=KNOWN, password=NEW_PASSWORD, attributes={"email": "someone@example.com"})

FLOWS: dict[str, list[list[Event]]] = {
    "wrong passwords": [[WRONG], [WRONG], [WRONG, WRONG], [OTHER_WRONG], [OTHER_WRONG]],
    "resets": [[FORGOT, RESET, RequestNewCode(), RESET], [FORGOT, FORGOT, RESET], [FORGOT]],
    "accounts": [[JOIN, JOIN, code("000000"), RequestNewCode(), Cancel()], [JOIN]],
    "all": [[WRONG], [FORGOT, RESET], [WRONG], [JOIN], [FORGOT], [OTHER_WRONG], [JOIN]],
}


class BatchingRecordingStore(RecordingStore):
    store: BatchingStore

    def load_many(self, keys: Sequence[str]) -> Mapping[str, StoredRecord]:
        return self.store.load_many(keys)

    def swap_many(self, changes: Sequence[Change]) -> Sequence[bool]:
        return self.store.swap_many(changes)


def trips(name: str, learned: list[Event], flows: list[list[Event]], auth_flow: str) -> list[str]:
    """Return for each event its trips, such as ``"load save 3 save 2"`` with the number of rows."""
    store = BatchingStore()
    here = World(store, auth_flow=auth_flow)
    for event in learned:
        _send(here, here.start(), event)
        here.clock.advance(31)
    seen = list[str]()
    for events in flows:
        flow_id = here.start()
        for event in events:
            is_named = getattr(event, "username", None)
            named = event.model_copy(update={"username": name}) if is_named else event
            store.trips.clear()
            _send(here, flow_id, named)
            saved = [
                f"{kind} {len(keys)}" if kind == "save" else kind for kind, keys in store.trips
            ]
            seen.append(" ".join([event.type, *saved]))
            here.clock.advance(31)
    return seen


def _send(here: World, flow_id: str, event: Event) -> None:
    worker = here.click(flow_id, event)
    while worker.step is None:
        here.do_one_thing(worker)


@pytest.mark.parametrize("flows", FLOWS.values(), ids=FLOWS)
@pytest.mark.parametrize(
    ("auth_flow", "learned"),
    [
        *(
            (auth_flow, learned)
            for auth_flow in ("USER_PASSWORD_AUTH", "USER_SRP_AUTH", "USER_AUTH")
            for learned in ([], [password()])
        ),
        ("USER_AUTH", [SubmitUsername(username=KNOWN, preferred=Factor.SMS)]),
    ],
)
def test_known_name_takes_as_many_trips_as_an_unknown_one(
    monkeypatch: pytest.MonkeyPatch, auth_flow: str, learned: list[Event], flows: list[list[Event]]
) -> None:
    monkeypatch.setattr(world, "RecordingStore", BatchingRecordingStore)
    known, unknown = (trips(name, learned, flows, auth_flow) for name in (KNOWN, UNKNOWN))
    assert known == unknown


def test_name_without_a_password_takes_as_many_trips_where_it_is_known() -> None:
    """The rows that a name brings with it are those for the user's password alone."""
    seen = list[list[str]]()
    for name in (KNOWN, UNKNOWN):
        setting = Setting(a_text(), CODE_SENT)
        setting.send(SubmitUsername(username=KNOWN))
        setting.send(ForgotPassword(username=name))
        seen.append(setting.trips)
    assert seen[0] == seen[1] == ["load", "load", "save", "save"]
