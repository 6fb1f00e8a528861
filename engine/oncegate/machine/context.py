"""What guards and effects work on: a copy of the flow, the trigger, and what the worker knows."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from pydantic import SecretStr

from oncegate._stored import FROM_STORE
from oncegate.challenges import AnyEvent, Challenge
from oncegate.outcomes import Outcome, Rejected, RejectionReason
from oncegate.record import Flow
from oncegate.states import AnyState
from oncegate.tokens import Tokens
from oncegate.ways_in import WaysIn

_FIELDS = frozenset(Flow.model_fields)


_WAYS_IN = WaysIn()


class TimePassed:
    """The trigger for a flow whose deadline may have passed."""

    machine_event: ClassVar[str] = "time_passed"


TIME_PASSED = TimePassed()

Trigger = AnyEvent | Outcome | TimePassed


class Policy(NamedTuple):
    """The application's settings that the machine needs.

    Attributes:
        lease: seconds until an in-flight state counts as orphaned.
        cooldown: seconds between a code and the earliest request for the next.
        retain_password: whether the password is retained, sealed, while a challenge lives, so that a
            new code takes one click.
        show_trigger_words: whether users see the words of the pool's own Lambda triggers.
        reveal_existing_users: whether signing up tells that a name is taken.
        ways_in: what the first step offers beside the sign-in.
    """

    lease: float = 0.0
    cooldown: float = 0.0
    retain_password: bool = False
    show_trigger_words: bool = False
    reveal_existing_users: bool = False
    ways_in: WaysIn = _WAYS_IN


class GuardInputs(NamedTuple):
    """What the worker holds in memory and the guards ask for. None of it is stored.

    Attributes:
        device_key: key of the device that the vault has for this user.
        has_vault: whether there is a device vault at all.
        password: first factor that the event brought, which may be used once more.
        budget_remains: whether this user and this source may cause another code.
        guesses_remain: whether a code of this user is taken now.
        offer_is_due: whether a second factor may be offered to this user now.
        account_tag: tag of the password in the event (`oncegate.budget.password_tag`).
        from_known_browser: whether the user whose name the event brought has signed in before in this
            browser.
        tokens: those that wait with the flow for the user's answer about the device.
        answer_event: type of the event that the worker processes.
        answer_digest: keyed digest of the answer in it; empty if it brought none, or without tokens.
        worker: name of the process that will make the call, if one follows; may be empty.
        worker_is_gone: whether the process that made the call of this flow has ended.
        owner: ID (sub) of the signed-in user whose event it is; None in a sign-in.
        sign_in_is_recent: whether that user has signed in recently enough to change a credential.
    """

    device_key: str | None = None
    has_vault: bool = False
    password: SecretStr | None = None
    budget_remains: bool = True
    guesses_remain: bool = True
    offer_is_due: bool = False
    account_tag: str = ""
    from_known_browser: bool = False
    tokens: Tokens | None = None
    answer_event: str = ""
    answer_digest: str = ""
    worker: str = ""
    worker_is_gone: bool = False
    owner: str | None = None
    sign_in_is_recent: bool = False


class TransitionContext:
    """What one run of the machine works on. It is made for one trigger and then thrown away.

    Attributes:
        before: the flow as the caller passed it.
        flow: the flow as changed so far.
        trigger: the event, outcome or time that is applied.
        now: seconds since the epoch.
        expected_version: version of the step that a user's event answers.
        digest: keyed digest of the answer in the event.
        policy: the application's settings.
        inputs: the worker's answers to guards.
    """

    __slots__ = (
        "_is_copy",
        "before",
        "digest",
        "expected_version",
        "flow",
        "inputs",
        "now",
        "policy",
        "trigger",
    )

    def __init__(
        self,
        flow: Flow,
        trigger: Trigger,
        *,
        now: float,
        expected_version: int,
        digest: str,
        policy: Policy,
        inputs: GuardInputs,
    ) -> None:
        self.before = flow
        self.flow = flow
        self.trigger = trigger
        self.now = now
        self.expected_version = expected_version
        self.digest = digest
        self.policy = policy
        self.inputs = inputs
        self._is_copy = False

    @property
    def state(self) -> AnyState:
        return self.flow.state

    @state.setter
    def state(self, state: AnyState) -> None:
        if state is not self.flow.state:
            self.change(state=state)

    @property
    def challenge(self) -> Challenge | None:
        return self.flow.challenge

    @property
    def rejection_reason(self) -> RejectionReason | None:
        return self.trigger.reason if isinstance(self.trigger, Rejected) else None

    def change(self, **fields: Any) -> None:
        """Change fields of the flow. The values are validated when the run has ended.

        Raises:
            AttributeError: a flow has no such field.
        """
        if not fields.keys() <= _FIELDS:
            unknown = sorted(fields.keys() - _FIELDS)
            raise AttributeError(f"a flow has no field {', '.join(unknown)}")
        if not self._is_copy:
            self.flow, self._is_copy = self.flow.model_copy(), True
        # The copy is this context's own; another copy for each change would take as long as the rest.
        self.flow.__dict__.update(fields)

    def finished(self) -> Flow:
        """Return the changed flow, validated, as the next version."""
        flow = self.flow
        values = {**flow.__dict__, **(flow.model_extra or {})}
        values |= {"version": flow.version + 1, "saved_at": self.now}
        return Flow.model_validate(values, context=FROM_STORE)
