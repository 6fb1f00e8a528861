"""The text of a message: from the CustomMessage trigger, or from the pool's own template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from oncegate_sandbox._rules import rule
from oncegate_sandbox._wire import Json

if TYPE_CHECKING:
    from oncegate_sandbox._state import PoolState
    from oncegate_sandbox._users import User

_CODE, _NAME = "{####}", "{username}"
_INVITATION = "CustomMessage_AdminCreateUser"

rule(
    "message-custom",
    "CustomMessage gets codeParameter, and usernameParameter for an invitation; the code and the name "
    "replace them in the text that it returns.",
    source="AWS developer guide, custom message Lambda trigger",
)
rule(
    "message-template",
    "Without a text of the trigger, a message has the pool's own: InviteMessageTemplate, the "
    "verification messages, SmsAuthenticationMessage, or that of EmailMfaConfiguration.",
    source="API reference, CreateUserPool, SetUserPoolMfaConfig",
)


def message_of(
    pool: PoolState,
    user: User,
    medium: str,
    code: str,
    source: str,
    client_id: str,
    metadata: Mapping[str, str] | None,
) -> tuple[str | None, str | None]:
    """Return the text and the subject of a message; None for Cognito's default ones.

    Args:
        pool: the pool of the user.
        user: whom the message is for.
        medium: ``EMAIL`` or ``SMS``.
        code: the code, or the password of an invitation.
        source: ``triggerSource`` of the CustomMessage trigger.
        client_id: app client of the request.
        metadata: ``ClientMetadata`` of the request.

    Raises:
        CognitoError: the trigger failed.
    """
    text, subject = _template(pool.configuration, medium, source)
    if pool.triggers.has("CustomMessage"):
        written = pool.triggers.run(
            "CustomMessage",
            source=source,
            user=user,
            username=user.username,
            client_id=client_id,
            request={
                "codeParameter": _CODE,
                "linkParameter": "{##Click Here##}",
                "usernameParameter": _NAME if source == _INVITATION else None,
                "clientMetadata": dict(metadata) if metadata else None,
            },
            response={"smsMessage": None, "emailMessage": None, "emailSubject": None},
        )
        text = written.get("emailMessage" if medium == "EMAIL" else "smsMessage") or text
        subject = written.get("emailSubject") or subject
    if text:
        text = text.replace(_CODE, code).replace(_NAME, user.username)
    return text or None, (subject or None) if medium == "EMAIL" else None


def _template(configuration: Json, medium: str, source: str) -> tuple[str | None, str | None]:
    """Return the pool's own text and subject for an event."""
    if source == _INVITATION:
        invitation = configuration.get("AdminCreateUserConfig", {}).get("InviteMessageTemplate", {})
        text = "EmailMessage" if medium == "EMAIL" else "SMSMessage"
        return invitation.get(text), invitation.get("EmailSubject")
    if source == "CustomMessage_Authentication":
        if medium == "SMS":
            return configuration.get("SmsAuthenticationMessage"), None
        factor = configuration.get("EmailMfaConfiguration", {})
        return factor.get("Message"), factor.get("Subject")
    if medium == "SMS":
        return configuration.get("SmsVerificationMessage"), None
    return (
        configuration.get("EmailVerificationMessage"),
        configuration.get("EmailVerificationSubject"),
    )
