"""What confirming a sign-up and resetting a password share: the response to a request for a code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oncegate.adapters import ChallengeIssued, Delivery, SendCode


def code_sent(call: SendCode, response: Mapping[str, Any]) -> ChallengeIssued:
    """Return the call's challenge, with where the code was sent (CodeDeliveryDetails)."""
    details = response.get("CodeDeliveryDetails") or {}
    delivery = Delivery(
        medium=details.get("DeliveryMedium", ""), destination=details.get("Destination", "")
    )
    return ChallengeIssued(challenge=call.challenge.model_copy(update={"delivery": delivery}))
