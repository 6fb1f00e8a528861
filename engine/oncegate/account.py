"""What signed-in users change: second factors, addresses, passkeys, devices, the password.

`Account` is to the account what `oncegate.SignIn` is to the sign-in. It has the same promise: a code
that verifies an address is sent once per wish, whatever is clicked, reloaded or killed.

Applications import from here.
"""

from oncegate.budget import OFFER_EVERY
from oncegate.challenges import (
    AccountEvent,
    AddAuthenticator,
    AddPasskey,
    Cancel,
    ChangePassword,
    DeleteAccount,
    ForgetDevice,
    OfferedFactor,
    OfferFactor,
    RemovePasskey,
    RequestNewCode,
    SignOutEverywhere,
    SubmitAddress,
    SubmitCode,
    SubmitPasskey,
    UseFactor,
)
from oncegate.driver.account import RECENT_WITHIN, Account, AsyncAccount
from oncegate.overview import AccountOverview, ListedDevice, ListedPasskey
from oncegate.states import AccountState

__all__ = [
    "OFFER_EVERY",
    "RECENT_WITHIN",
    "Account",
    "AccountEvent",
    "AccountOverview",
    "AccountState",
    "AddAuthenticator",
    "AddPasskey",
    "AsyncAccount",
    "Cancel",
    "ChangePassword",
    "DeleteAccount",
    "ForgetDevice",
    "ListedDevice",
    "ListedPasskey",
    "OfferFactor",
    "OfferedFactor",
    "RemovePasskey",
    "RequestNewCode",
    "SignOutEverywhere",
    "SubmitAddress",
    "SubmitCode",
    "SubmitPasskey",
    "UseFactor",
]
