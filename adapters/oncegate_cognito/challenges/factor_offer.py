"""Whether a user has a second factor: GetUserAuthFactors."""

from __future__ import annotations

from typing import Final

from oncegate import Factor
from oncegate.adapters import ChallengeIssued, Confirmed, FactorOffer, FindFactors, Outcome
from oncegate_cognito._registry import performs
from oncegate_cognito._requests import Requests

_PASSKEY: Final = str(Factor.PASSKEY)


@performs(FindFactors)
def find(call: FindFactors, requests: Requests) -> Outcome:
    """Offer what was asked for, unless the user has a second factor in use, or a passkey."""
    has = requests.send("get_user_auth_factors", AccessToken=call.access_token.get_secret_value())
    if has.get("UserMFASettingList") or _PASSKEY in has.get("ConfiguredUserAuthFactors", ()):
        return Confirmed()
    return ChallengeIssued(challenge=FactorOffer(username=call.username, factors=call.factors))
