"""Every text that users read, by a stable code: the one table for pages, terminal and JSON.

Codes have two parts: what kind of text it is, and which one. Translations are catalogues of the same
codes, so English can be reworded or overridden without touching them.

No text tells whether a user exists: a wrong password and an unknown user share a code, and so do the
ways in which a set-up can be wrong. A text must be true in every state that can show it; if it is not,
it needs a code of its own (`ChallengeBase.messages`).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, Literal

TEXTS: Final = MappingProxyType(
    {
        # ── titles, by state; awaiting_mfa by factor ──
        "title.idle": "Sign in",
        "title.idle.password_for_new_code": "Send a new code",
        "title.idle.password_for_other_factor": "Try another way",
        "title.password_verified": "Verify it’s you",
        "title.password_verified.MFA_SETUP": "Set up a second step",
        "title.choosing_first_factor": "Choose how to sign in",
        "title.awaiting_password": "Enter your password",
        "title.awaiting_mfa": "Enter your code",
        "title.awaiting_mfa.SMS_MFA": "Check your phone",
        "title.awaiting_mfa.SMS_OTP": "Check your phone",
        "title.awaiting_mfa.EMAIL_OTP": "Check your email",
        "title.awaiting_mfa.SOFTWARE_TOKEN_MFA": "Enter the code from your app",
        "title.setting_up_totp": "Set up your authenticator app",
        "title.setting_up_email": "Get codes by email",
        "title.awaiting_passkey": "Use your passkey",
        "title.awaiting_answer": "One more question",
        "title.awaiting_confirmation": "Confirm your account",
        "title.awaiting_new_password": "Choose a new password",
        "title.awaiting_reset": "Reset your password",
        "title.signing_up": "Create your account",
        "title.awaiting_provider": "Finish signing in",
        "title.offering_device": "Remember this device?",
        "title.authenticated": "You’re signed in",
        "title.authenticated.confirm_answer": "Enter it once more",
        "title.failed": "We can’t sign you in",
        "title.failed.too_many_wrong_codes": "Sign-in ended",
        "title.failed.too_many_wrong_answers": "Sign-in ended",
        "title.failed.flow_expired": "Sign-in ended",
        "title.failed.cancelled": "Sign-in cancelled",
        "title.waiting": "Just a moment…",
        "title.not_found": "Page not found",
        "title.forbidden": "You don’t have access",
        # ── actions, by event; some by state ──
        "action.submit_username": "Continue",
        "action.submit_password": "Sign in",
        "action.choose_factor": "Continue",
        "action.choose_factor.another": "Try another way",
        "action.submit_email": "Send code",
        "action.submit_code.awaiting_mfa": "Verify and sign in",
        "action.submit_code.setting_up_totp": "Finish setup",
        "action.submit_code.awaiting_confirmation": "Confirm account",
        "action.submit_code.authenticated": "Continue",
        "action.submit_passkey": "Use passkey",
        "action.submit_passkey.registering_passkey": "Create a passkey",
        "action.submit_answer": "Continue",
        "action.submit_new_password": "Save password and sign in",
        "action.reset_password": "Save password",
        "action.remember_device": "Continue",
        "action.request_new_code": "Send a new code",
        "action.forgot_password": "Send code",
        "action.sign_up": "Create account",
        "action.sign_in_with": "Continue",
        "action.submit_authorization": "Continue",
        "action.authorize": "Continue",
        "action.confirm_account": "Confirm a new account",
        "action.request_first_code": "Send code",
        "action.cancel": "Back to sign in",
        "action.start": "Sign in again",
        "action.try_again": "Try again",
        "action.sign_out": "Sign out",
        "action.continue": "Continue",
        "action.not_you": "Not you?",
        "action.show": "Show",
        "action.hide": "Hide",
        "action.show_password": "Show password",
        "action.hide_password": "Hide password",
        "action.open_app": "Open in your app",
        "action.copy": "Copy key",
        # ── links to an action's own page, by event ──
        "link.forgot_password": "Forgot password?",
        "link.sign_up": "New here? Create account",
        # ── buttons of actions under way, by event ──
        "busy.submit_password": "Signing in…",
        "busy.submit_code": "Verifying…",
        "busy.submit_new_password": "Saving…",
        "busy.reset_password": "Saving…",
        "busy.request_new_code": "Sending…",
        "busy.submit_email": "Sending…",
        "busy.forgot_password": "Sending…",
        "busy.sign_up": "Creating…",
        "busy.other": "One moment…",
        # ── fields, choices and factors ──
        "field.username": "Username",
        "field.username.email": "Email",
        "field.username.phone": "Phone number",
        "field.password": "Password",
        "field.current_password": "Current password",
        "field.new_password": "New password",
        "field.email": "Email",
        "field.code": "Code",
        "field.factor": "Factor",
        "field.passkey": "Passkey",
        "field.provider": "Sign in with",
        "field.authorization": "Answer of the sign-in page",
        "field.answer": "Answer",
        "field.remember_device": "Remember this device",
        "field.keep_signed_in": "Keep me signed in",
        "choice.remember": "Remember this device",
        "choice.not_now": "Not now",
        "choice.passkey": "Sign in with a passkey",
        "choice.provider": "Continue with {provider}",
        "factor.SMS_MFA": "Text message",
        "factor.SMS_OTP": "Text message",
        "factor.EMAIL_OTP": "Email",
        "factor.SOFTWARE_TOKEN_MFA": "Authenticator app",
        "factor.WEB_AUTHN": "Passkey",
        "factor.PASSWORD": "Password",
        "factor.SMS_MFA.hint": "We’ll text you a code.",
        "factor.SMS_OTP.hint": "We’ll text you a code.",
        "factor.EMAIL_OTP.hint": "We’ll email you a code.",
        "factor.SOFTWARE_TOKEN_MFA.hint": "Use the code your app shows.",
        "factor.WEB_AUTHN.hint": "Use your fingerprint, face, or screen lock.",
        "attribute.email": "Email",
        "attribute.phone_number": "Phone number",
        "attribute.name": "Name",
        "attribute.given_name": "Given name",
        "attribute.family_name": "Family name",
        "attribute.middle_name": "Middle name",
        "attribute.nickname": "Nickname",
        "attribute.birthdate": "Birthdate",
        "attribute.address": "Address",
        "attribute.website": "Website",
        "attribute.gender": "Gender",
        "attribute.zoneinfo": "Time zone",
        "attribute.locale": "Language",
        # ── rules for a new password ──
        "rule.length": "At least {count} characters",
        "rule.uppercase": "An upper-case letter",
        "rule.lowercase": "A lower-case letter",
        "rule.number": "A number",
        "rule.symbol": "A symbol, such as ! or #",
        # ── messages: why a flow is where it is; some by what users sign in with ──
        "message.wrong_credentials": "Incorrect username or password.",
        "message.wrong_credentials.email": "Incorrect email or password.",
        "message.wrong_credentials.phone": "Incorrect phone number or password.",
        "message.locked": "Too many tries. Wait a few minutes, then try again.",
        "message.wrong_code": "That code is incorrect.",
        "message.not_accepted": "We couldn’t accept that. Try again.",
        "message.wrong_answer": "That answer is incorrect. Try again.",
        "message.answer_refused": "We couldn’t accept that. Sign in again.",
        "message.answer_failed": "That answer is incorrect. Sign in again.",
        "message.username_refused": "We couldn’t sign you in with that name. Check it and try again.",
        "message.username_refused.email": (
            "We couldn’t sign you in with that email address. Check it and try again."
        ),
        "message.username_refused.phone": (
            "We couldn’t sign you in with that phone number. Check it and try again."
        ),
        "message.code_already_used": (
            "That code was already used. Wait for your app to show a new one."
        ),
        "message.code_used": "That code was already used. Enter a different one.",
        "message.code_expired": "That code has expired. Sign in again to get a new one.",
        "message.recovery_refused": "We couldn’t accept that code. Check it, or request a new one.",
        "message.recovery_unavailable": (
            "We can’t send you a code right now. Try again later, or contact support."
        ),
        "message.challenge_dead": "Your sign-in timed out. Sign in again.",
        "message.challenge_expired": "Your sign-in timed out. Sign in again.",
        "message.too_many_wrong_codes": "Too many incorrect codes. Sign in again to get a new one.",
        "message.too_many_wrong_answers": "Too many incorrect answers. Sign in again.",
        "message.new_password_refused": "Choose a stronger password.",
        "message.password_too_short": "Use a longer password.",
        "message.password_needs_number": "Add a number to the password.",
        "message.password_needs_symbol": "Add a symbol, such as ! or #.",
        "message.password_needs_uppercase": "Add an upper-case letter.",
        "message.password_needs_lowercase": "Add a lower-case letter.",
        "message.password_used_before": "You’ve used this password before. Choose another.",
        "message.new_password_spaces": "Use a longer password, with no space at its beginning or end.",
        "message.input_refused": "Check what you entered.",
        "message.phone_number_refused": (
            "Enter the phone number with its country code, such as +1 555 000 1234."
        ),
        "message.email_refused": "Enter a full email address, such as ana@example.com.",
        "message.attribute_refused": "Check this field.",
        "message.address_taken": (
            "Another account already uses that email address or phone number. Use another one, or "
            "contact support."
        ),
        "message.factor_unusable": "You can’t use that option right now. Choose another.",
        "message.password_reset_required": (
            "You need to reset your password. We’ll send you a code."
        ),
        "message.sign_up_not_confirmed": (
            "Confirm your account first. Enter the code we sent you, or request a new one."
        ),
        "message.sign_up_sent": (
            "We’ve sent you a code. If none arrives, you may already have an account. Then go back and "
            "sign in."
        ),
        "message.sign_up_refused": (
            "We couldn’t create your account. Check what you entered, or contact support."
        ),
        "message.username_taken": "There’s already an account with that name. Sign in, or use another.",
        "message.username_taken.email": (
            "There’s already an account with that email address. Sign in, or use another."
        ),
        "message.username_taken.phone": (
            "There’s already an account with that phone number. Sign in, or use another."
        ),
        "message.provider_denied": "You didn’t finish signing in. Try again, or choose another way.",
        "message.provider_failed": (
            "We couldn’t sign you in with that account. Try again, or choose another way."
        ),
        "message.provider_address_taken": (
            "Another account here already uses that email address. Sign in the way you did before."
        ),
        "message.confirmed": "Done. You can sign in now.",
        "message.password_for_new_code": (
            "Sign in again and we’ll send a new code. The earlier code no longer works."
        ),
        "message.password_for_other_factor": (
            "Enter your password again to use another way. The earlier code no longer works."
        ),
        "message.device_forgotten": "We no longer recognise this device. Sign in again.",
        "message.administrator_must_act": (
            "Your password can only be reset by an administrator. Contact support."
        ),
        "message.second_factor_missing": (
            "Your account has no way to receive a code. Contact support to add one."
        ),
        "message.blocked": (
            "For your security, we stopped this sign-in. Try again later, or contact support."
        ),
        "message.refused": "We couldn’t sign you in. Contact support if this keeps happening.",
        "message.trigger_refused": (
            "We couldn’t sign you in. Contact support if this keeps happening."
        ),
        "message.firewall": "We couldn’t sign you in. Contact support if this keeps happening.",
        "message.misconfigured": "Sign-in isn’t working right now. Try again in a few minutes.",
        "message.unknown_challenge": (
            "Your account uses a sign-in method that isn’t supported here. Contact support."
        ),
        "message.unreachable": "We couldn’t reach the sign-in service. Nothing was sent. Try again.",
        "message.throttled": "The sign-in service is busy. Nothing was sent. Try again in a moment.",
        "message.limit_exceeded": (
            "You’ve reached the limit for this. Nothing was sent. Try again in an hour."
        ),
        "message.stalled": "That took too long, so we stopped. Nothing was sent. Try again.",
        "message.outcome_unknown": (
            "The connection broke off. If a code arrives, ignore it: it won’t work. Sign in again."
        ),
        "message.answer_outcome_unknown": "The connection broke off. Sign in again.",
        "message.recovery_outcome_unknown": (
            "The connection broke off. If a code arrives, enter it here. Otherwise, request a new one."
        ),
        "message.sign_up_outcome_unknown": (
            "The connection broke off. If a code arrives, enter it here. Otherwise, create the account "
            "again."
        ),
        "message.cancelled": "You cancelled the sign-in.",
        "message.flow_expired": "Your sign-in timed out. Sign in again.",
        "message.confirm_answer": (
            "Your sign-in worked, but the connection broke off. Enter the same code or password again."
        ),
        "message.not_confirmed": "Sign in again.",
        # ── reasons: why an event changed nothing ──
        "message.stale": "We already have your answer.",
        "message.already_tried": "You already tried that code. Enter a different one.",
        "message.answer_already_tried": "You already tried that answer. Enter a different one.",
        "message.not_the_same_answer": "That isn’t what you entered before. Try again.",
        "message.too_many_guesses": "Too many incorrect codes. Wait a while, then try again.",
        "message.not_offered": "Choose one of the options.",
        "message.username_missing": "Enter your username.",
        "message.username_missing.email": "Enter your email address.",
        "message.username_missing.phone": "Enter your phone number.",
        "message.attributes_missing": "Fill in every field.",
        "message.password_missing": "Enter a password.",
        "message.not_this_sign_in": "That answer belongs to another sign-in. Continue here.",
        "message.too_soon": "A code was just sent. Wait a little before you request a new one.",
        "message.no_more_codes": "You’ve reached the limit for new codes. Sign in again later.",
        "message.too_many_codes": "We’ve sent too many codes. Try again later.",
        "message.in_flight": "We’re still checking your last answer.",
        "message.signed_in": "You’re already signed in.",
        "message.finished": "This has already ended.",
        "message.not_allowed": "This step is no longer available.",
        "message.invalid_input": "Check what you entered.",
        # ── notices: what pages say about a request ──
        "notice.invalid_input": "Check what you entered.",
        "notice.field_missing": "Fill in this field.",
        "notice.field_invalid": "Check this field.",
        "notice.code_invalid": "Enter the digits of your code, such as 123 456.",
        "notice.passkey_cancelled": "No passkey was used. Try again, or choose another way.",
        "notice.passkey_unsupported": "This browser doesn’t support passkeys.",
        "notice.caps_lock": "Caps Lock is on.",
        "notice.not_signed_in": "Sign in to continue.",
        "notice.request_failed": "Something went wrong. Reload the page, then try again.",
        "notice.page_outdated": "This page was out of date, so we refreshed it.",
        "notice.too_many_requests": "Too many tries. Wait a minute, then try again.",
        "notice.store_unavailable": "Sign-in isn’t working right now. Try again in a few minutes.",
        "notice.not_found": "There is no page at this address.",
        "notice.forbidden": "Your account may not open this page. If it should, contact support.",
        "notice.updating": "Sign-in is being updated. Try again in a moment.",
        "notice.insecure_connection": "This page needs a secure connection. Open it with https.",
        # ── hints on a step ──
        "hint.error": "Error",
        "hint.sent_sms": "We texted a code to {destination}.",
        "hint.sent_email": "We emailed a code to {destination}. Check your spam folder too.",
        "hint.sent.awaiting_confirmation": (
            "We’ve sent you a code. If none arrives, you may already have an account. Then go back and "
            "sign in."
        ),
        "hint.sent": (
            "If this account can receive a code, we’ve sent one. If none arrives, contact support."
        ),
        "hint.attempts": "You have {count} tries left.",
        "hint.attempts.one": "This is your last try.",
        "hint.time_left": "Enter it within {count} minutes.",
        "hint.time_left.one": "Enter it within 1 minute.",
        "hint.time_left.last": "Less than a minute left.",
        "hint.new_code_in": "Send a new code in {time}",
        "hint.new_code_needs_password": (
            "You’ll enter your password again. The code you have stops working."
        ),
        "hint.totp_code": "Open your authenticator app and enter the code it shows.",
        "hint.totp_open": "Open your authenticator app.",
        "hint.totp_scan": "Scan this QR code.",
        "hint.totp_enter": "Enter the code the app shows.",
        "hint.totp_alt": "QR code for your authenticator app",
        "hint.totp_here": "On this phone?",
        "hint.totp_secret": "Can’t scan it? Enter this key",
        "hint.copied": "Copied",
        "hint.choose": "Choose how to get your code.",
        "hint.choose_setup": "Choose how you want to get codes.",
        "hint.device": (
            "You won’t need a code on this device next time. Don’t use this on a shared computer."
        ),
        "hint.reset": "We’ll send you a code. Then you choose a new password.",
        "hint.have_code": "I already have a code",
        "hint.or": "or",
        "hint.provider": "You’re signing in on another site. Continue there, or choose another way.",
        "hint.phone_number": "With country code, such as +1 555 000 1234.",
        "hint.passkey": "Confirm with your fingerprint, face, or screen lock.",
        "hint.no_script": "Passkeys need JavaScript. Turn it on, or go back and sign in another way.",
        "hint.waiting": "We’re checking your answer. This page moves on by itself.",
        "hint.slow": "This is taking longer than usual.",
        "hint.signed_in_as": "as {name}",
        "hint.reference": "Reference: {reference}",
        # ── the account: titles, actions and what is told ──
        "title.managing": "Your account",
        "title.confirming_authenticator": "Set up your authenticator app",
        "title.confirming_address": "Enter your code",
        "title.registering_passkey": "Create a passkey",
        "title.offering_factor": "Add a second step?",
        "title.closed": "You’re signed out",
        "title.closed.account_deleted": "Your account was deleted",
        "action.submit_code.confirming_authenticator": "Finish setup",
        "action.submit_code.confirming_address": "Confirm",
        "action.add_authenticator": "Add an authenticator app",
        "action.submit_address": "Send code",
        "action.add_passkey": "Add a passkey",
        "action.use_factor": "Save",
        "action.change_password": "Change password",
        "action.remove_passkey": "Remove",
        "action.forget_device": "Forget",
        "action.sign_out_everywhere": "Sign out everywhere",
        "action.delete_account": "Delete account",
        "action.cancel_setup": "Cancel",
        "field.authenticator_name": "Name of the app or device",
        "field.passkey_name": "Name of the passkey",
        "field.address_kind": "Change your",
        "field.address": "New address or number",
        "field.use": "Use it",
        "field.device": "Device",
        "use.preferred": "First",
        "use.enabled": "As another choice",
        "use.off": "Not at all",
        "title.account_factors": "Two-step verification",
        "title.account_addresses": "Email and phone",
        "title.account_passkeys": "Passkeys",
        "title.account_devices": "Remembered devices",
        "title.account_sessions": "Where you’re signed in",
        "title.change_email": "Your email",
        "title.change_phone_number": "Your phone number",
        "action.use_factor.preferred": "Use first",
        "action.use_factor.enabled": "Use",
        "action.use_factor.off": "Turn off",
        "action.change": "Change",
        "action.add": "Add",
        "action.replace_authenticator": "Replace the authenticator app",
        "action.back_to_account": "Back to your account",
        "hint.factor_preferred": "Asked for first",
        "hint.factor_enabled": "Another choice",
        "hint.factor_only": "In use",
        "hint.factor_off": "Not used",
        "hint.not_confirmed": "not confirmed",
        "hint.added_on": "Added {date}",
        "hint.last_used_on": "Last used {date}",
        "hint.signed_in_on": "Signed in {date}",
        "hint.this_browser": "This browser",
        "hint.browser_on": "{browser} on {platform}",
        "hint.unknown_browser": "Unknown browser",
        "hint.passkey_creation": "Your device asks for your fingerprint, face, or screen lock.",
        "hint.offer": "With a second step, a stolen password alone doesn’t open your account.",
        "hint.submit_address": "We’ll send a code to it. Enter the code to confirm it.",
        "hint.delete_account": "Your account and its data will be deleted. You can’t undo this.",
        "notice.passkey_not_created": "No passkey was created. Try again, or cancel.",
        "message.authenticator_added": "Your authenticator app is set up.",
        "message.address_verified": "Your new email address or phone number is confirmed.",
        "message.address_changed": "Your email address or phone number was changed.",
        "message.passkey_added": "Your passkey is ready.",
        "message.passkey_removed": "The passkey was removed.",
        "message.factor_changed": "Your choice was saved.",
        "message.factor_not_set_up": "Add that phone number, email address or app first.",
        "message.offered_before": "You were asked a short time ago.",
        "message.last_factor": "You need this to sign in. Set up another one first.",
        "message.password_was_changed": "Your password was changed.",
        "message.device_was_forgotten": "The device was forgotten.",
        "message.signed_out_everywhere": "You’re signed out on every device.",
        "message.signed_out_elsewhere": "You were signed out. Sign in again.",
        "message.account_deleted": "Your account and its data were deleted.",
        "message.change_refused": (
            "We couldn’t make that change. Contact support if this keeps happening."
        ),
        "message.change_unavailable": "Changes aren’t possible right now. Try again in a few minutes.",
        "message.change_outcome_unknown": (
            "The connection broke off. Check whether the change was made before you try again."
        ),
        "message.address_outcome_unknown": (
            "The connection broke off. If a code arrives, enter it here. Otherwise, request a new one."
        ),
        "message.address_replaced": (
            "You’ve asked for a code at another address since. Go back, and start again."
        ),
        "message.setup_expired": "That took too long. Start again.",
        "message.setup_ended": "Too many incorrect codes. Start again.",
        "message.wrong_password": "Your current password is incorrect.",
        "message.address_refused": "Check the address or number.",
        "message.passkey_refused": "That passkey couldn’t be added. Try again, or use another one.",
        "message.passkey_unknown": "That passkey was already removed.",
        "message.passkeys_too_many": "You have as many passkeys as you can. Remove one first.",
        "message.not_this_user": "This page belongs to another account. Open it again.",
        "message.sign_in_again": "Sign in again to make this change.",
        # ── the terminal's own ──
        "terminal.press_enter": "Press Enter for: {label}",
        "terminal.type_for": "Type “{word}” for: {label}",
        "terminal.type_for_later": "Type “{word}” in {time} min for: {label}",
        "terminal.input_ended": "The input ended too early.",
        "terminal.no_passkeys": "A terminal has no passkeys. Sign in with a browser.",
        "terminal.token_valid": "The access token is valid for {seconds} seconds.",
        "terminal.word.request_new_code": "new",
        "terminal.word.reset_password": "code",
        "terminal.word.choose_factor": "other",
        "terminal.word.forgot_password": "/forgot",
        "terminal.word.sign_up": "/signup",
        "terminal.word.sign_in_with": "/with",
        "terminal.word.confirm_account": "/confirm",
        "terminal.word.cancel": "cancel",
    }
)
"""English, by code."""

MESSAGE_CODES: Final = tuple(
    code.removeprefix("message.")
    for code in TEXTS
    if code.startswith("message.") and code.count(".") == 1
)
"""The codes of messages, without ``message.``. A text by what users sign in with has none of its own."""

Kind = Literal["error", "info", "good"]
"""How a message is shown: as an error, as information, or as a success."""

_KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(
        (
            *("message.authenticator_added", "message.address_verified", "message.address_changed"),
            *("message.passkey_added", "message.passkey_removed", "message.factor_changed"),
            *("message.password_was_changed", "message.device_was_forgotten"),
            *("message.signed_out_everywhere", "message.account_deleted"),
        ),
        "good",
    ),
    **dict.fromkeys(
        ("message.setup_expired", "message.sign_in_again", "message.signed_out_elsewhere"), "info"
    ),
    "message.cancelled": "info",
    "message.challenge_dead": "info",
    "message.challenge_expired": "info",
    "message.code_expired": "info",
    "message.confirm_answer": "info",
    "message.confirmed": "good",
    "message.device_forgotten": "info",
    "message.finished": "info",
    "message.flow_expired": "info",
    "message.in_flight": "info",
    "message.not_allowed": "info",
    "message.offered_before": "info",
    "message.not_confirmed": "info",
    "message.password_for_new_code": "info",
    "message.password_for_other_factor": "info",
    "message.sign_up_sent": "info",
    "message.not_this_sign_in": "info",
    "message.provider_denied": "info",
    "message.password_reset_required": "info",
    "message.sign_up_not_confirmed": "info",
    "message.signed_in": "good",
    "message.stale": "info",
    "message.too_soon": "info",
    "notice.caps_lock": "info",
    "notice.not_signed_in": "info",
    "notice.page_outdated": "info",
    "notice.updating": "info",
}


def kind_of(code: str) -> Kind:
    """Return the kind of a message or a notice: an error unless the table says otherwise.

    Args:
        code: code of `TEXTS`, such as ``"message.confirmed"`` or ``"notice.updating"``.
    """
    return _KINDS.get(code, "error")
