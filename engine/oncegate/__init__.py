"""oncegate: sign-in for Amazon Cognito user pools. A code is only ever sent once per challenge.

Applications import from here. Start with `SignIn`; the machine is in `oncegate.machine.chart`. Authors
of adapters import from `oncegate.adapters`, and test with `oncegate.testing`.
"""

from typing import Final

from oncegate._log import (
    LogListener,
    redact_secrets,
)
from oncegate._metrics import (
    CountingListener,
)
from oncegate._seal import (
    SealingKeys,
)
from oncegate.budget import (
    CodeBudget,
)
from oncegate.challenges import (
    Cancel,
    ChooseFactor,
    ConfirmAccount,
    Event,
    Factor,
    ForgotPassword,
    RememberDevice,
    RequestNewCode,
    ResetPassword,
    SignInWith,
    SignUp,
    SubmitAnswer,
    SubmitAuthorization,
    SubmitCode,
    SubmitEmail,
    SubmitNewPassword,
    SubmitPasskey,
    SubmitPassword,
    SubmitUsername,
)
from oncegate.context import (
    RequestContext,
    StepRef,
    request_id,
)
from oncegate.driver.asyncio import (
    AsyncSignIn,
)
from oncegate.driver.sync import (
    SignIn,
)
from oncegate.errors import (
    InvalidInput,
    InvalidToken,
    Misconfigured,
    MissingExtra,
    OncegateError,
    RecordTooNew,
    RecordUnreadable,
    SignedOut,
    StoreUnavailable,
    Unreachable,
)
from oncegate.password_policy import (
    PasswordPolicy,
)
from oncegate.states import (
    FlowState,
)
from oncegate.step import (
    Action,
    Step,
)
from oncegate.tokens import (
    Tokens,
)
from oncegate.ways_in import (
    Provider,
    SignUpForm,
    WaysIn,
)

__version__: Final = "0.2.0"

__all__ = [
    "Action",
    "AsyncSignIn",
    "Cancel",
    "ChooseFactor",
    "CodeBudget",
    "ConfirmAccount",
    "CountingListener",
    "Event",
    "Factor",
    "FlowState",
    "ForgotPassword",
    "InvalidInput",
    "InvalidToken",
    "LogListener",
    "Misconfigured",
    "MissingExtra",
    "OncegateError",
    "PasswordPolicy",
    "Provider",
    "RecordTooNew",
    "RecordUnreadable",
    "RememberDevice",
    "RequestContext",
    "RequestNewCode",
    "ResetPassword",
    "SealingKeys",
    "SignIn",
    "SignInWith",
    "SignUp",
    "SignUpForm",
    "SignedOut",
    "Step",
    "StepRef",
    "StoreUnavailable",
    "SubmitAnswer",
    "SubmitAuthorization",
    "SubmitCode",
    "SubmitEmail",
    "SubmitNewPassword",
    "SubmitPasskey",
    "SubmitPassword",
    "SubmitUsername",
    "Tokens",
    "Unreachable",
    "WaysIn",
    "__version__",
    "redact_secrets",
    "request_id",
]
