"""The extensions: one object each, for all applications that the factory makes."""

from flask import request, session
from flask_babel import Babel
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from flask_wtf import CSRFProtect

from oncegate_web.flask import Oncegate

login_manager = LoginManager()
oncegate = Oncegate()
oncegate.use_login_manager(login_manager)
csrf = CSRFProtect()
babel = Babel()
limiter = Limiter(get_remote_address)
limiter.limit("10/minute", methods=["POST"])(oncegate.blueprint)


def chosen_language() -> str | None:
    """Return the language that the user has chosen, or the best one for the browser."""
    chosen: str | None = session.get("language")
    return chosen or request.accept_languages.best_match(["en", "de"])
