"""`PoolState`: the contents of a user pool, and the checks that its operations share."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Mapping
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from oncegate import Factor
from oncegate_sandbox._clients import AppClient
from oncegate_sandbox._configuration import FUNCTION, configuration_of, settings_of, triggers_of
from oncegate_sandbox._devices import Devices
from oncegate_sandbox._identity_providers import providers_of
from oncegate_sandbox._messages import message_of
from oncegate_sandbox._rules import rule
from oncegate_sandbox._sessions import Sessions
from oncegate_sandbox._tokens import TokenIssuer
from oncegate_sandbox._triggers import Triggers
from oncegate_sandbox._users import Directory, Group, User
from oncegate_sandbox._wire import Json
from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.errors import CognitoError, invalid_parameter, no_such_client, not_authorized
from oncegate_sandbox.inbox import Inbox, masked
from oncegate_sandbox.seed import Seed, UserSeed

rule(
    "mfa-by-attribute",
    "If a pool requires MFA, users who chose no factor get codes at their phone number, else at their "
    "email address, if the pool has that factor.",
    source="AWS developer guide, MFA; that the email address follows is inferred",
    inferred=True,
)

NO_CLIENT = "CLIENT_ID_NOT_APPLICABLE"
"""``clientId`` in the events of an administrator's requests. Source: recorded trigger events."""


class PoolState:
    """One user pool. `oncegate_sandbox.pool.Pool` adds the operations.

    Args:
        seed: settings, app client and users.
        issuer: ``iss`` of the tokens.
        clock: the sandbox's clock.
        signing_key: RSA key that signs the tokens. Default: a new one, made at first use.
        inbox: the messages that are sent. Default: a new, empty one.

    Attributes:
        id: user pool ID.
        name: the part of the ID after the region. SRP and device keys use it.
        region: region of the pool.
        configuration: settings as DescribeUserPool and GetUserPoolMfaConfig return them.
        settings: what the configuration means. `configure` changes both.
        clients: app clients, by ID.
        users: the users.
        groups: groups of users, by name.
        providers: identity providers, by name.
        created_at: Unix time.
        modified_at: Unix time.
    """

    def __init__(
        self,
        seed: Seed,
        issuer: str,
        clock: SandboxClock,
        signing_key: RSAPrivateKey | None = None,
        inbox: Inbox | None = None,
    ) -> None:
        self.seed = seed.pool
        self.id = seed.pool.id
        self.region, _, self.name = seed.pool.id.partition("_")
        self.clock = clock
        self.created_at = self.modified_at = clock.now()
        self.configuration = configuration_of(seed)
        self.settings = settings_of(self.configuration)
        self.clients: dict[str, AppClient] = {
            seed.pool.client_id: AppClient.of(seed.pool, self.created_at)
        }
        self.users = Directory(self.settings)
        self.groups: dict[str, Group] = {}
        self.providers = providers_of(self.id, seed.pool.providers, self.created_at)
        for one in seed.users:
            self.add_user(one)
        self.sessions = Sessions(seed.pool.auth_session_minutes * 60)
        self.devices = Devices(self.settings, self.region)
        self.tokens = TokenIssuer(self, issuer, signing_key)
        self.triggers = Triggers(
            seed.pool.triggers,
            pool_id=self.id,
            timeout_seconds=seed.pool.trigger_timeout_seconds,
        )
        if self.triggers.names:
            functions = dict.fromkeys(self.triggers.names, FUNCTION)
            self.configuration["LambdaConfig"] = functions | self.configuration["LambdaConfig"]
        self.inbox = inbox or Inbox()

    def configure(self, configuration: Json) -> None:
        """Replace the configuration, and the settings that follow from it.

        Raises:
            CognitoError: the schema is invalid.
        """
        self.settings.replace(settings_of(configuration))
        self.configuration, self.modified_at = configuration, self.clock.now()
        self.triggers.names = triggers_of(configuration)

    def add_user(self, seed: UserSeed) -> User:
        """Add the user of a seed, and the user's groups."""
        user = User.of(seed, self.settings, self.clock.now())
        self.users.add(user)
        for name in seed.groups:
            user.groups.append(self.groups.setdefault(name, Group(name)))
        return user

    def client(self, client_id: str) -> AppClient:
        """Return an app client.

        Raises:
            CognitoError: the pool has no such app client.
        """
        client = self.clients.get(client_id)
        if client is None:
            raise no_such_client(client_id)
        return client

    def check_client_secret(self, client: AppClient, given: str | None) -> None:
        """Check ``ClientSecret``, for the operations that take the secret itself.

        Raises:
            CognitoError: the secret is missing or wrong, or the client has none.
        """
        if not client.secrets and not given:
            return
        if client.secrets and not given:
            # amplify-android#2504
            raise not_authorized(
                f"Client {client.id} is configured for secret but secret was not received"
            )
        if not _any_equal((secret.value.encode() for secret in client.secrets), given or ""):
            raise not_authorized(f"Unable to verify secret for client {client.id}")

    def check_secret_hash(
        self, client: AppClient, given: str | None, name: str, message: str
    ) -> None:
        """Check ``SECRET_HASH``. Each live secret of the client is accepted.

        Args:
            client: the app client.
            given: the hash of the request.
            name: the username that the hash covers.
            message: beginning of the error message; the client ID follows.

        Raises:
            CognitoError: the hash is missing or wrong, or the client has no secret.
        """
        if not client.secrets:
            if given:
                # pmill/aws-cognito#23
                raise invalid_parameter(
                    f"App client {client.id} is not configured for secret but secret hash was "
                    "received"
                )
            return
        if not given:
            # amplify-android#2504
            raise not_authorized(
                f"Client {client.id} is configured with secret but SECRET_HASH was not received"
            )
        covered = (name + client.id).encode()
        right = (
            base64.b64encode(hmac.new(secret.value.encode(), covered, sha256).digest())
            for secret in client.secrets
        )
        if not _any_equal(right, given):
            raise not_authorized(f"{message} {client.id}")

    def second_factors(self, user: User) -> tuple[Factor, ...]:
        """Return the second factors of a user that the pool allows; none if its MFA is off."""
        settings = self.settings
        if settings.mfa == "off":
            return ()
        chosen = tuple(factor for factor in user.factors if factor in settings.second_factors)
        if chosen or settings.mfa == "optional":
            return chosen
        by_attribute = ((Factor.SMS, "phone_number"), (Factor.EMAIL, "email"))
        return tuple(
            factor
            for factor, attribute in by_attribute
            if factor in settings.second_factors and user.attributes.get(attribute)
        )[:1]

    def bearer(self, access_token: str) -> User:
        """Return the user to whom an access token was issued.

        Raises:
            CognitoError: the token is invalid, or the user no longer exists.
        """
        user = self.users.find(
            str(self.tokens.claims_of(access_token, self.clock.now())["username"])
        )
        if user is None:
            raise CognitoError("UserNotFoundException", "User does not exist.")
        return user

    def deliver(
        self,
        user: User,
        factor: Factor,
        code: str,
        purpose: str,
        *,
        source: str = "CustomMessage_Authentication",
        client_id: str = NO_CLIENT,
        metadata: Mapping[str, str] | None = None,
        destination: str | None = None,
    ) -> tuple[str, str]:
        """Send a code, and return the medium and the masked destination.

        Args:
            user: the user whom the code is for.
            factor: `Factor.EMAIL`, or one of SMS.
            code: the code, or the password of an invitation.
            purpose: the challenge or the operation that uses the code.
            source: ``triggerSource`` of the CustomMessage trigger. Default: that of a sign-in.
            client_id: app client of the request. Default: none, an administrator's request.
            metadata: ``ClientMetadata`` of the request. Default: none.
            destination: where to send it. Default: the user's phone number or email address.

        Raises:
            CognitoError: the user has no phone number or no email address, or the trigger failed.
        """
        medium = "EMAIL" if factor is Factor.EMAIL else "SMS"
        destination = destination or user.destination(factor)
        if destination is None:
            raise CognitoError(
                "CodeDeliveryFailureException", "There is nowhere to send a code to."
            )
        text, subject = message_of(self, user, medium, code, source, client_id, metadata)
        self.inbox.deliver(
            user.username,
            medium,
            destination,
            code,
            purpose,
            self.clock.now(),
            text=text,
            subject=subject,
            pool_id=self.id,
        )
        return medium, masked(destination)


def _any_equal(right: Iterable[bytes], given: str) -> bool:
    """Whether the given text equals one of the right ones, compared in constant time."""
    equal = [hmac.compare_digest(one, given.encode()) for one in right]
    return any(equal)
