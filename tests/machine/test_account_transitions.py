"""The transitions of an account, as a table like that of the sign-in (`test_transitions`).

Every guard, taken out of any one transition, changes the result of at least one row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from tests.flows import ACCOUNT_FLOWS, ACCOUNT_TRIGGERS, NOW, OWN_INPUTS, POLICY

import oncegate.machine.advance as advance_module
from oncegate.account import OfferedFactor
from oncegate.adapters import FactorOffer
from oncegate.machine.account import AccountMachine
from oncegate.machine.advance import ACCOUNT_CHART, NotAllowed, advance
from oncegate.machine.context import GuardInputs
from oncegate.machine.engine import CompiledChart
from oncegate.record import Flow
from oncegate.states import AccountState

DIGEST = "digest of the answer"

TABLE = """
# state                  | trigger             | given               | result

# ── the user begins a change ──
managing                 | add_authenticator   |                     | requesting_setup
managing                 | add_authenticator   | late                | ! stale
managing                 | add_authenticator   | another user        | ! not_this_user
managing                 | add_authenticator   | of nobody           | ! not_this_user
managing                 | add_authenticator   | signed in long ago  | ! sign_in_again
managing                 | add_authenticator   | no budget           | requesting_setup
managing                 | add_passkey         |                     | requesting_setup
managing                 | add_passkey         | late                | ! stale
managing                 | add_passkey         | another user        | ! not_this_user
managing                 | add_passkey         | of nobody           | ! not_this_user
managing                 | add_passkey         | signed in long ago  | ! sign_in_again
managing                 | add_passkey         | no budget           | requesting_setup
managing                 | submit_address      |                     | requesting_setup
managing                 | submit_address      | late                | ! stale
managing                 | submit_address      | another user        | ! not_this_user
managing                 | submit_address      | of nobody           | ! not_this_user
managing                 | submit_address      | signed in long ago  | ! sign_in_again
managing                 | submit_address      | cooling             | ! too_soon
managing                 | submit_address      | no new codes        | ! no_more_codes
managing                 | submit_address      | no budget           | ! too_many_codes
managing                 | use_factor          |                     | changing
managing                 | use_factor          | late                | ! stale
managing                 | use_factor          | another user        | ! not_this_user
managing                 | use_factor          | of nobody           | ! not_this_user
managing                 | use_factor          | signed in long ago  | ! sign_in_again
managing                 | use_factor          | no budget           | changing
managing                 | change_password     |                     | changing
managing                 | change_password     | late                | ! stale
managing                 | change_password     | another user        | ! not_this_user
managing                 | change_password     | of nobody           | ! not_this_user
managing                 | change_password     | signed in long ago  | ! sign_in_again
managing                 | change_password     | no budget           | changing
managing                 | remove_passkey      |                     | changing
managing                 | remove_passkey      | late                | ! stale
managing                 | remove_passkey      | another user        | ! not_this_user
managing                 | remove_passkey      | of nobody           | ! not_this_user
managing                 | remove_passkey      | signed in long ago  | ! sign_in_again
managing                 | remove_passkey      | no budget           | changing
managing                 | forget_device       |                     | changing
managing                 | forget_device       | late                | ! stale
managing                 | forget_device       | another user        | ! not_this_user
managing                 | forget_device       | of nobody           | ! not_this_user
managing                 | forget_device       | signed in long ago  | changing
managing                 | forget_device       | no budget           | changing
managing                 | sign_out_everywhere |                     | changing
managing                 | sign_out_everywhere | late                | ! stale
managing                 | sign_out_everywhere | another user        | ! not_this_user
managing                 | sign_out_everywhere | of nobody           | ! not_this_user
managing                 | sign_out_everywhere | signed in long ago  | changing
managing                 | sign_out_everywhere | no budget           | changing
managing                 | delete_account      |                     | changing
managing                 | delete_account      | late                | ! stale
managing                 | delete_account      | another user        | ! not_this_user
managing                 | delete_account      | of nobody           | ! not_this_user
managing                 | delete_account      | signed in long ago  | ! sign_in_again
managing                 | delete_account      | no budget           | changing
managing                 | cancel              |                     | ! not_allowed
managing                 | submit_code         |                     | ! not_allowed
managing                 | request_new_code    |                     | ! not_allowed
managing                 | submit_passkey      |                     | ! not_allowed

# ── the user confirms a change ──
confirming_authenticator | submit_code         |                     | checking_setup
confirming_authenticator | submit_code         | late                | ! stale
confirming_authenticator | submit_code         | another user        | ! not_this_user
confirming_authenticator | submit_code         | of nobody           | ! not_this_user
confirming_authenticator | submit_code         | attempted           | ! already_tried
confirming_authenticator | submit_code         | no guesses          | ! too_many_guesses
confirming_authenticator | submit_code         | no budget           | checking_setup
confirming_authenticator | submit_code         | signed in long ago  | checking_setup
confirming_authenticator | submit_passkey      |                     | ! not_allowed
confirming_address       | submit_code         |                     | checking_setup
confirming_address       | submit_code         | late                | ! stale
confirming_address       | submit_code         | another user        | ! not_this_user
confirming_address       | submit_code         | of nobody           | ! not_this_user
confirming_address       | submit_code         | attempted           | ! already_tried
confirming_address       | submit_code         | no guesses          | ! too_many_guesses
confirming_address       | submit_code         | no budget           | checking_setup
confirming_address       | submit_code         | signed in long ago  | checking_setup
confirming_address       | submit_passkey      |                     | ! not_allowed
registering_passkey      | submit_passkey      |                     | checking_setup
registering_passkey      | submit_passkey      | late                | ! stale
registering_passkey      | submit_passkey      | another user        | ! not_this_user
registering_passkey      | submit_passkey      | of nobody           | ! not_this_user
registering_passkey      | submit_passkey      | attempted           | ! already_tried
registering_passkey      | submit_passkey      | no guesses          | checking_setup
confirming_address       | request_new_code    |                     | requesting_setup
confirming_address       | request_new_code    | late                | ! stale
confirming_address       | request_new_code    | another user        | ! not_this_user
confirming_address       | request_new_code    | of nobody           | ! not_this_user
confirming_address       | request_new_code    | cooling             | ! too_soon
confirming_address       | request_new_code    | no new codes        | ! no_more_codes
confirming_address       | request_new_code    | no budget           | ! too_many_codes
confirming_authenticator | request_new_code    |                     | ! not_allowed
registering_passkey      | request_new_code    |                     | ! not_allowed
confirming_authenticator | cancel              |                     | managing
confirming_authenticator | cancel              | late                | ! stale
confirming_authenticator | cancel              | another user        | ! not_this_user
confirming_authenticator | cancel              | of nobody           | ! not_this_user
confirming_authenticator | delete_account      |                     | ! not_allowed
confirming_authenticator | submit_address      |                     | ! not_allowed
confirming_address       | cancel              |                     | managing
confirming_address       | cancel              | late                | ! stale
confirming_address       | cancel              | another user        | ! not_this_user
confirming_address       | cancel              | of nobody           | ! not_this_user
confirming_address       | delete_account      |                     | ! not_allowed
confirming_address       | submit_address      |                     | ! not_allowed
registering_passkey      | cancel              |                     | managing
registering_passkey      | cancel              | late                | ! stale
registering_passkey      | cancel              | another user        | ! not_this_user
registering_passkey      | cancel              | of nobody           | ! not_this_user
registering_passkey      | delete_account      |                     | ! not_allowed
registering_passkey      | submit_address      |                     | ! not_allowed

# ── the application has a second factor offered ──
managing                 | offer_factor        |                     | finding_factors
managing                 | offer_factor        | late                | ! stale
managing                 | offer_factor        | another user        | ! not_this_user
managing                 | offer_factor        | of nobody           | ! not_this_user
managing                 | offer_factor        | offered before      | ! offered_before
managing                 | offer_factor        | signed in long ago  | finding_factors
managing                 | offer_factor        | no budget           | finding_factors
confirming_address       | offer_factor        |                     | ! not_allowed
offering_factor          | offer_factor        |                     | ! not_allowed
finding factors          | offer_factor        |                     | ! in_flight
finding factors          | cancel              |                     | ! in_flight
offering_factor          | submit_code         |                     | ! not_allowed
offering_factor          | submit_address      |                     | ! not_allowed
offering_factor          | change_password     |                     | ! not_allowed
offering_factor          | add_authenticator   |                     | requesting_setup
offering_factor          | add_authenticator   | late                | ! stale
offering_factor          | add_authenticator   | another user        | ! not_this_user
offering_factor          | add_authenticator   | of nobody           | ! not_this_user
offering_factor          | add_authenticator   | signed in long ago  | ! sign_in_again
offering_factor          | add_authenticator   | no app offered      | ! not_offered
offering_factor          | add_passkey         |                     | requesting_setup
offering_factor          | add_passkey         | late                | ! stale
offering_factor          | add_passkey         | another user        | ! not_this_user
offering_factor          | add_passkey         | of nobody           | ! not_this_user
offering_factor          | add_passkey         | signed in long ago  | ! sign_in_again
offering_factor          | add_passkey         | no passkey offered  | ! not_offered
offering_factor          | cancel              |                     | managing
offering_factor          | cancel              | late                | ! stale
offering_factor          | cancel              | another user        | ! not_this_user
offering_factor          | cancel              | of nobody           | ! not_this_user
finding factors          | factor is offered   |                     | offering_factor: None
finding factors          | confirmed           |                     | managing: None
finding factors          | code of a sign-in is asked |                     | managing: None
finding factors          | app is asked        |                     | managing: None
requesting an app        | factor is offered   |                     | managing: change_outcome_unknown
finding factors          | signed_out          |                     | closed: signed_out_elsewhere
finding factors          | refused             |                     | managing: None
finding factors          | misconfigured       |                     | managing: None
finding factors          | locked              |                     | managing: None
finding factors          | not_sent            |                     | managing: None
finding factors          | unknown             |                     | managing: None
finding factors          | time_passed         |                     | ! in_flight
finding factors          | time_passed         | due                 | managing: None
offering_factor          | time_passed         |                     | ! not_allowed
offering_factor          | time_passed         | due                 | managing: None

# ── a call is in flight, or the flow has ended ──
requesting an app        | cancel              |                     | ! in_flight
requesting an app        | submit_address      |                     | ! in_flight
requesting an address    | cancel              |                     | ! in_flight
requesting an address    | submit_address      |                     | ! in_flight
requesting another code  | cancel              |                     | ! in_flight
requesting another code  | submit_address      |                     | ! in_flight
requesting a passkey     | cancel              |                     | ! in_flight
requesting a passkey     | submit_address      |                     | ! in_flight
checking an app          | cancel              |                     | ! in_flight
checking an app          | submit_address      |                     | ! in_flight
checking an address      | cancel              |                     | ! in_flight
checking an address      | submit_address      |                     | ! in_flight
checking a passkey       | cancel              |                     | ! in_flight
checking a passkey       | submit_address      |                     | ! in_flight
changing                 | cancel              |                     | ! in_flight
changing                 | submit_address      |                     | ! in_flight
checking an address      | submit_code         |                     | ! in_flight
requesting another code  | request_new_code    |                     | ! in_flight
closed                   | delete_account      |                     | ! finished
closed                   | confirmed           |                     | ! finished
closed                   | time_passed         | due                 | ! finished

# ── outcomes: accepted ──
requesting an app        | app is asked        |                     | confirming_authenticator
requesting an address    | address code is asked |                     | confirming_address
requesting an address    | confirmed           |                     | managing: address_changed
requesting another code  | address code is asked |                     | confirming_address
requesting a passkey     | passkey is asked    |                     | registering_passkey
checking an app          | confirmed           |                     | managing: authenticator_added
checking an address      | confirmed           |                     | managing: address_verified
checking a passkey       | confirmed           |                     | managing: passkey_added
changing                 | confirmed           | by use_factor       | managing: factor_changed
changing                 | confirmed           | by change_password  | managing: password_was_changed
changing                 | confirmed           | by remove_passkey   | managing: passkey_removed
changing                 | confirmed           | by forget_device    | managing: device_was_forgotten
changing                 | confirmed           | by sign_out_everywhere | closed: signed_out_everywhere
changing                 | confirmed           | by delete_account   | closed: account_deleted

# ── outcomes: accepted, with an answer that the call cannot have ──
changing                 | code of a sign-in is asked | by use_factor  | managing: change_outcome_unknown
changing                 | tokens              | by use_factor       | managing: change_outcome_unknown
changing                 | app is asked        | by use_factor       | managing: change_outcome_unknown
requesting an app        | code of a sign-in is asked |              | managing: change_outcome_unknown
requesting an app        | address code is asked |                   | managing: change_outcome_unknown
requesting an app        | confirmed           |                     | managing: change_outcome_unknown
requesting a passkey     | code of a sign-in is asked |              | managing: change_outcome_unknown
requesting a passkey     | confirmed           |                     | managing: change_outcome_unknown
requesting an address    | code of a sign-in is asked |              | confirming_address: address_outcome_unknown
requesting an address    | app is asked        |                     | confirming_address: address_outcome_unknown
requesting another code  | code of a sign-in is asked |              | confirming_address: address_outcome_unknown
requesting another code  | tokens              |                     | confirming_address: address_outcome_unknown
checking an app          | code of a sign-in is asked |              | managing: change_outcome_unknown
checking an app          | app is asked        |                     | managing: change_outcome_unknown
checking an address      | code of a sign-in is asked |              | managing: change_outcome_unknown
checking a passkey       | tokens              |                     | managing: change_outcome_unknown

# ── outcomes: rejected ──
requesting an app        | signed_out          |                     | closed: signed_out_elsewhere
requesting an address    | signed_out          |                     | closed: signed_out_elsewhere
requesting another code  | signed_out          |                     | closed: signed_out_elsewhere
requesting a passkey     | signed_out          |                     | closed: signed_out_elsewhere
checking an app          | signed_out          |                     | closed: signed_out_elsewhere
checking an address      | signed_out          |                     | closed: signed_out_elsewhere
checking a passkey       | signed_out          |                     | closed: signed_out_elsewhere
changing                 | signed_out          |                     | closed: signed_out_elsewhere
requesting an app        | refused             |                     | managing: change_refused
requesting an app        | misconfigured       |                     | managing: change_unavailable
requesting an app        | challenge_dead      |                     | managing: setup_expired
requesting an address    | refused             |                     | managing: change_refused
requesting an address    | misconfigured       |                     | managing: change_unavailable
requesting an address    | challenge_dead      |                     | managing: setup_expired
requesting another code  | refused             |                     | managing: change_refused
requesting another code  | misconfigured       |                     | managing: change_unavailable
requesting another code  | challenge_dead      |                     | managing: setup_expired
requesting a passkey     | refused             |                     | managing: change_refused
requesting a passkey     | misconfigured       |                     | managing: change_unavailable
requesting a passkey     | challenge_dead      |                     | managing: setup_expired
checking an app          | refused             |                     | managing: change_refused
checking an app          | misconfigured       |                     | managing: change_unavailable
checking an app          | challenge_dead      |                     | managing: setup_expired
checking an address      | refused             |                     | managing: change_refused
checking an address      | misconfigured       |                     | managing: change_unavailable
checking an address      | challenge_dead      |                     | managing: setup_expired
checking a passkey       | refused             |                     | managing: change_refused
checking a passkey       | misconfigured       |                     | managing: change_unavailable
checking a passkey       | challenge_dead      |                     | managing: setup_expired
changing                 | refused             |                     | managing: change_refused
changing                 | misconfigured       |                     | managing: change_unavailable
changing                 | challenge_dead      |                     | managing: setup_expired
checking an app          | wrong_code          |                     | confirming_authenticator: wrong_code
checking an app          | wrong_code          | last attempt        | managing: setup_ended
checking an app          | code_expired        |                     | managing: setup_expired
checking an address      | wrong_code          |                     | confirming_address: wrong_code
checking an address      | wrong_code          | last attempt        | managing: setup_ended
checking an address      | code_expired        |                     | managing: setup_expired
checking an app          | locked              |                     | confirming_authenticator: locked
checking an app          | locked              | last attempt        | confirming_authenticator: locked
checking an address      | locked              |                     | confirming_address: locked
checking an address      | locked              | last attempt        | confirming_address: locked
checking a passkey       | locked              |                     | registering_passkey: locked
checking a passkey       | locked              | last attempt        | registering_passkey: locked
requesting another code  | locked              |                     | confirming_address: locked
requesting an address    | locked              |                     | managing: locked
requesting an app        | locked              |                     | managing: locked
requesting an address    | username_taken      |                     | managing: address_taken
checking an address      | username_taken      |                     | managing: address_taken
requesting an address    | input_refused       |                     | managing: input_refused
changing                 | wrong_credentials   |                     | managing: wrong_password
changing                 | new_password_refused |                     | managing: new_password_refused
changing                 | locked              |                     | managing: locked

# ── outcomes: not sent, unknown ──
requesting an app        | not_sent            |                     | managing: throttled
requesting an address    | not_sent            |                     | managing: throttled
requesting a passkey     | not_sent            |                     | managing: throttled
changing                 | not_sent            |                     | managing: throttled
requesting another code  | not_sent            |                     | confirming_address: throttled
checking an app          | not_sent            |                     | confirming_authenticator: throttled
checking an address      | not_sent            |                     | confirming_address: throttled
checking a passkey       | not_sent            |                     | registering_passkey: throttled
requesting an app        | unknown             |                     | managing: change_outcome_unknown
requesting an address    | unknown             |                     | confirming_address: address_outcome_unknown
requesting another code  | unknown             |                     | confirming_address: address_outcome_unknown
requesting a passkey     | unknown             |                     | managing: change_outcome_unknown
checking an app          | unknown             |                     | managing: change_outcome_unknown
checking an address      | unknown             |                     | managing: change_outcome_unknown
checking a passkey       | unknown             |                     | managing: change_outcome_unknown
changing                 | unknown             |                     | managing: change_outcome_unknown

# ── time ──
requesting an app        | time_passed         |                     | ! in_flight
requesting an app        | time_passed         | due                 | managing: change_outcome_unknown
requesting an address    | time_passed         |                     | ! in_flight
requesting an address    | time_passed         | due                 | confirming_address: address_outcome_unknown
requesting another code  | time_passed         |                     | ! in_flight
requesting another code  | time_passed         | due                 | confirming_address: address_outcome_unknown
requesting a passkey     | time_passed         |                     | ! in_flight
requesting a passkey     | time_passed         | due                 | managing: change_outcome_unknown
checking an app          | time_passed         |                     | ! in_flight
checking an app          | time_passed         | due                 | managing: change_outcome_unknown
checking an address      | time_passed         |                     | ! in_flight
checking an address      | time_passed         | due                 | managing: change_outcome_unknown
checking a passkey       | time_passed         |                     | ! in_flight
checking a passkey       | time_passed         | due                 | managing: change_outcome_unknown
changing                 | time_passed         |                     | ! in_flight
changing                 | time_passed         | due                 | managing: change_outcome_unknown
confirming_authenticator | time_passed         |                     | ! not_allowed
confirming_authenticator | time_passed         | due                 | managing: setup_expired
confirming_address       | time_passed         |                     | ! not_allowed
confirming_address       | time_passed         | due                 | managing: setup_expired
registering_passkey      | time_passed         |                     | ! not_allowed
registering_passkey      | time_passed         | due                 | managing: setup_expired
managing                 | time_passed         | due                 | ! not_allowed
"""


class Situation(NamedTuple):
    """Everything that `advance` is given."""

    flow: Flow
    inputs: GuardInputs = OWN_INPUTS
    lateness: int = 0
    now: float = NOW


def _flow(**fields: Any) -> Callable[[Situation], Situation]:
    return lambda it: it._replace(flow=it.flow.model_copy(update=fields))


def _inputs(**fields: Any) -> Callable[[Situation], Situation]:
    return lambda it: it._replace(inputs=it.inputs._replace(**fields))


def _offer_of(factor: OfferedFactor) -> FactorOffer:
    return FactorOffer(username="u", factors=(factor,))


GIVEN: dict[str, Callable[[Situation], Situation]] = {
    "late": lambda it: it._replace(lateness=1),
    "due": lambda it: it._replace(now=NOW + 1e6),
    "another user": _inputs(owner="the sub of another user"),
    "of nobody": lambda it: it._replace(
        flow=it.flow.model_copy(update={"owner": None}), inputs=it.inputs._replace(owner=None)
    ),
    "signed in long ago": _inputs(sign_in_is_recent=False),
    "offered before": _inputs(offer_is_due=False),
    "no app offered": _flow(challenge=_offer_of("passkey")),
    "no passkey offered": _flow(challenge=_offer_of("authenticator")),
    "attempted": _flow(attempted_digests=(DIGEST,)),
    "cooling": _flow(new_code_at=NOW + 1),
    "no new codes": _flow(new_codes_left=0),
    "last attempt": _flow(attempts_left=1),
    "no budget": _inputs(budget_remains=False),
    "no guesses": _inputs(guesses_remain=False),
    **{f"by {event}": _inputs(answer_event=event) for event in advance_module.EVENTS},
}


class Row(NamedTuple):
    state: str
    trigger: str
    given: tuple[str, ...]
    expected: str


def rows() -> Iterator[Row]:
    for line in TABLE.splitlines():
        if line and not line.startswith("#"):
            state, trigger, given, expected = (cell.strip() for cell in line.split("|"))
            yield Row(state, trigger, tuple(given.split(", ")) if given else (), expected)


ROWS = list(rows())


def result(row: Row) -> str:
    """What the machine does in the situation of a row, in the words of the table."""
    it = Situation(ACCOUNT_FLOWS[row.state])
    for name in row.given:
        it = GIVEN[name](it)
    try:
        flow = advance(
            it.flow,
            ACCOUNT_TRIGGERS[row.trigger],
            now=it.now,
            expected_version=it.flow.version - it.lateness,
            digest=DIGEST,
            policy=POLICY,
            inputs=it.inputs,
        )
    except NotAllowed as no:
        return f"! {no.reason}"
    return f"{flow.state}: {flow.message}" if ": " in row.expected else flow.state.value


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: " ".join((row.state, row.trigger, *row.given))
)
def test_row(row: Row) -> None:
    assert result(row) == row.expected


def test_every_row_is_there_once() -> None:
    situations = [row[:3] for row in ROWS]
    assert len(situations) == len(set(situations))


# ── the table notices every transition and every guard ──


class Place(NamedTuple):
    """Where a transition is in the compiled chart."""

    source: AccountState
    event: str | None
    position: int


TAKEN = [
    (Place(state, event, position), transition)
    for state in AccountState
    for event in [None, *sorted({str(event) for event in AccountMachine._events})]
    for position, transition in enumerate(ACCOUNT_CHART.transitions(state, event))
]
GUARDED = [
    (where, index, name)
    for where, transition in TAKEN
    for index, name in enumerate(transition.guards)
]


class Without(CompiledChart[AccountMachine]):
    """The chart with one transition changed, or removed."""

    def __init__(self, where: Place, change: Callable[[Any], Any]) -> None:
        super().__init__(AccountMachine)
        source = dict(self._rows[where.source])
        row = list(source[where.event])
        changed = change(row[where.position])
        row[where.position : where.position + 1] = [] if changed is None else [changed]
        source[where.event] = tuple(row)
        self._rows = {**self._rows, where.source: source}


def noticed(chart: CompiledChart[AccountMachine], patch: pytest.MonkeyPatch) -> list[Row]:
    """The rows whose result is another one with another chart."""
    patch.setattr(advance_module, "ACCOUNT_CHART", chart)
    patch.setattr(advance_module, "USES_LIBRARY_ENGINE", False)  # only the table is changed
    found = []
    for row in ROWS:
        try:
            differs = result(row) != row.expected
        except (AssertionError, KeyError, TypeError):
            differs = True  # an effect met what it is never meant to meet
        if differs:
            found.append(row)
    return found


@pytest.mark.parametrize(
    ("where", "transition"), TAKEN, ids=[f"{w.source}-{w.event}-{w.position}" for w, _ in TAKEN]
)
def test_removed_transition_is_noticed(
    where: Place, transition: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert noticed(Without(where, lambda _: None), monkeypatch), transition


@pytest.mark.parametrize(
    ("where", "index", "name"),
    GUARDED,
    ids=[f"{w.source}-{w.event}-{w.position}-{n}" for w, _, n in GUARDED],
)
def test_guard_removed_from_one_transition_is_noticed(
    where: Place, index: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unguarded(transition: Any) -> Any:
        kept = [at for at in range(len(transition.guards)) if at != index]
        return transition._replace(
            guards=tuple(transition.guards[at] for at in kept),
            conditions=tuple(transition.conditions[at] for at in kept),
        )

    assert noticed(Without(where, unguarded), monkeypatch), f"{where} without {name}"
