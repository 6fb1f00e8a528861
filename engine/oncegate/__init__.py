"""oncegate: sign-in for Amazon Cognito user pools. A code is only ever sent once per challenge.

Start with `SignIn`. The machine is in `oncegate.machine`, the ports that adapters fill in
`oncegate.ports`.
"""

from oncegate.challenge import (
    Challenge,
    CodeChallenge,
    Delivery,
    Factor,
    FactorChoice,
    NewPasswordChallenge,
    UnknownChallenge,
)
from oncegate.errors import (
    InvalidInput,
    Misconfigured,
    MissingExtra,
    OncegateError,
    RecordUnreadable,
    StoreUnavailable,
)
from oncegate.events import (
    Cancel,
    ChooseFactor,
    Event,
    RememberDevice,
    RequestNewCode,
    SubmitCode,
    SubmitNewPassword,
    SubmitPassword,
    parse_event,
)
from oncegate.flow import Flow, FlowState
from oncegate.log import LogListener, redact_secrets
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
from oncegate.ports import (
    Clock,
    FlowStore,
    Listener,
    SessionKeeper,
    StoredFlow,
    SystemClock,
    Transition,
    Transport,
)
from oncegate.signin import AsyncSignIn, SignIn
from oncegate.step import Choice, Field, Message, Step

__all__ = [
    "AsyncSignIn",
    "Cancel",
    "Challenge",
    "ChallengeIssued",
    "Choice",
    "ChooseFactor",
    "Clock",
    "CodeChallenge",
    "Delivery",
    "Event",
    "Factor",
    "FactorChoice",
    "Field",
    "Flow",
    "FlowState",
    "FlowStore",
    "InvalidInput",
    "Listener",
    "LogListener",
    "Message",
    "Misconfigured",
    "MissingExtra",
    "NewPasswordChallenge",
    "NotSent",
    "OncegateError",
    "Outcome",
    "OutcomeUnknown",
    "RecordUnreadable",
    "Refusal",
    "Rejected",
    "RememberDevice",
    "RequestNewCode",
    "SessionKeeper",
    "SignIn",
    "Step",
    "StoreUnavailable",
    "StoredFlow",
    "SubmitCode",
    "SubmitNewPassword",
    "SubmitPassword",
    "SystemClock",
    "Tokens",
    "TokensIssued",
    "Transition",
    "Transport",
    "UnknownChallenge",
    "parse_event",
    "redact_secrets",
]
