"""MFA_SETUP, answered with an email address to send codes to."""

from __future__ import annotations

from oncegate import Factor
from oncegate_sandbox._sessions import Session
from oncegate_sandbox._wire import Json, RespondToAuthChallenge
from oncegate_sandbox.challenges._base import Challenge
from oncegate_sandbox.challenges.code import Code


class EmailSetup(Challenge):
    """Stores the address, and sends the first code to it. `TotpSetup` issues the challenge."""

    names = ("MFA_SETUP",)
    sets_up = Factor.EMAIL

    def accepts(self, request: RespondToAuthChallenge) -> bool:
        return super().accepts(request) and bool(request.responses.get("EMAIL"))

    def answer(self, session: Session, request: RespondToAuthChallenge) -> Json:
        user = session.owner
        session.used = True
        user.attributes["email"] = request.responses["EMAIL"] or ""
        user.factors = (Factor.EMAIL,)
        return self.sign_in.challenge(Code).send(user, Factor.EMAIL, session.origin)
