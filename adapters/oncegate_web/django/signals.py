"""Signals of sign-ins, beside Django's own three of ``django.contrib.auth.signals``.

The sender is `oncegate_web.WebSignIn`. ``request`` is the request that caused it.
"""

from __future__ import annotations

from django.dispatch import Signal

code_sent = Signal()
"""Cognito has sent a code. Arguments: ``request``, ``username`` (as typed: it may be that of no user),
``medium``, such as ``SMS``."""

session_ended = Signal()
"""A session at Cognito has ended, and its tokens were revoked. Arguments: ``request``, ``user`` (an
`oncegate_web.User`)."""

account_changed = Signal()
"""Cognito has accepted a change that a user made on the account's page. Arguments: ``request``, ``user``
(an `oncegate_web.User`), ``change``, such as ``password_was_changed``."""
