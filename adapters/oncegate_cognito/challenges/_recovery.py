"""What creating and confirming an account and resetting a password share: where a code was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from oncegate.adapters import ChallengeIssued, Delivery, SendCode


def code_sent(call: SendCode, response: Mapping[str, Any]) -> ChallengeIssued:
    """Return the call's challenge, with where the code was sent.

    Its session, of a sign-up, is dropped: it belongs to the code before, and may have ended.
    """
    changed = {"delivery": delivery_of(response), "session": SecretStr("")}
    return ChallengeIssued(challenge=call.challenge.model_copy(update=changed))


def delivery_of(response: Mapping[str, Any]) -> Delivery:
    """Return where a code was sent (CodeDeliveryDetails)."""
    details = response.get("CodeDeliveryDetails") or {}
    return Delivery(
        medium=details.get("DeliveryMedium", ""), destination=details.get("Destination", "")
    )
