"""`SignIn`: the driver for threads."""

from __future__ import annotations

from oncegate.challenges import Event
from oncegate.context import RequestContext, StepRef
from oncegate.driver.effects import Sleep
from oncegate.driver.script import Driver, Script
from oncegate.step import Step


class Runner(Driver):
    """Runs scripts in the calling thread."""

    def _run(self, script: Script) -> Step:
        while isinstance(result := self.run_until_sleep(script), Sleep):
            self.perform(result)
        return result


class SignIn(Runner):
    """Signs users in, one flow each. Safe to share between threads.

    Example:
        >>> step = sign_in.start()
        >>> step = sign_in.send(step, SubmitPassword(username="ana", password="…"))
        >>> step.state
        <FlowState.AWAITING_MFA: 'awaiting_mfa'>
    """

    def start(self) -> Step:
        """Begin a flow. Nothing is stored and nothing is sent before its first event."""
        return self.starting()

    def get(self, flow_id: str, *, patience: float = 0.0) -> Step:
        """Return the current step of a flow. Never calls Cognito.

        Args:
            flow_id: `Step.flow_id`.
            patience: seconds to wait while a call to Cognito is under way.

        Raises:
            InvalidInput: not a flow ID.
            RecordUnreadable: the stored record is corrupt, or sealed with other keys.
            StoreUnavailable: the store did not answer.
        """
        return self._run(self.getting(flow_id, patience))

    def send(
        self, step: Step | StepRef, event: Event, *, context: RequestContext | None = None
    ) -> Step:
        """Send an event to a flow.

        A repeated call is always recognised: it names the step that the user saw, and if that is not
        the current step, nothing is sent.

        Args:
            step: the step that the event answers.
            event: the user's event.
            context: the request that brought the event.

        Returns:
            The next step. If the event was late, repeated or not allowed, the current step with the
            `reason`.

        Raises:
            InvalidInput: not a step, or not an event.
            RecordUnreadable: the stored record is corrupt, or sealed with other keys.
            StoreUnavailable: the store did not answer. If a call had left, the flow goes on by itself
                when the lease expires; the call is not repeated.
        """
        return self._run(self.sending(step, event, context))
