"""Tests of the shop: a local Cognito in this process, and Django's own test client."""

from typing import Any

from django.core.management import call_command
from django.test import Client, TestCase, override_settings

from oncegate_sandbox.testing import CognitoPool, start
from oncegate_web.django.test import force_sign_in, sign_in
from shop.models import User

HTML = {"accept": "text/html", "host": "shop.localhost"}
JSON = {"accept": "application/json", "host": "shop.localhost"}


def signed_in(pool: CognitoPool, name: str = "ana") -> Client:
    """Return a browser in which a user has signed in with a code."""
    client = Client(headers=HTML)
    sign_in(client, name, "Correct-horse-1", lambda: pool.inbox.code_for(name))
    return client


class SignInTest(TestCase):
    """Signs in at a local Cognito."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.pool = CognitoPool(cls.enterClassContext(start()))
        cls.enterClassContext(
            override_settings(
                DEBUG=True,
                ONCEGATE={
                    "default": {
                        "POOL_ID": cls.pool.pool_id,
                        "CLIENT_ID": cls.pool.client_id,
                        "ENDPOINT_URL": cls.pool.endpoint_url,
                        "STORE": "memory://",
                    }
                },
            )
        )

    def setUp(self) -> None:
        self.pool.sandbox.reset()

    def add_user(self, name: str = "ana", **keys: Any) -> None:
        self.pool.add_user(
            name,
            "Correct-horse-1",
            email=f"{name}@example.com",
            phone_number="+15550001234",
            mfa=["SMS_MFA"],
            **keys,
        )

    def test_order_after_sign_in(self) -> None:
        self.add_user()
        client = Client(headers=HTML)
        client.get("/add/tea")
        self.assertRedirects(
            client.get("/orders"), "/accounts/?next=/orders", fetch_redirect_response=False
        )
        sign_in(client, "ana", "Correct-horse-1", lambda: self.pool.inbox.code_for("ana"))
        assert client.get("/orders").json()["email"] == "ana@example.com"
        self.assertContains(client.get("/"), "In your cart: tea")
        assert User.objects.get().cognito_accounts.get().issuer == self.pool.pool_id

    def test_sign_out_of_django_revokes_the_tokens(self) -> None:
        self.add_user()
        client = signed_in(self.pool)
        client.post("/logout")
        assert self.pool.calls()["RevokeToken"] == 1
        self.assertContains(client.get("/"), "Sign in")

    def test_group_of_the_pool_opens_the_admin(self) -> None:
        self.add_user("cleo", groups=["staff"])
        client = signed_in(self.pool, "cleo")
        assert client.get("/admin/").status_code == 200
        assert client.get("/stock").status_code == 200
        client.post("/admin/logout/")
        assert self.pool.calls()["RevokeToken"] == 1

    def test_customer_sees_neither_stock_nor_admin(self) -> None:
        self.add_user()
        client = signed_in(self.pool)
        assert client.get("/stock").status_code == 403
        page = client.get("/admin/", follow=True)
        assert page.status_code == 403

    def test_program_with_an_access_token(self) -> None:
        self.add_user("cleo", groups=["staff"])
        tokens = self.pool.client.initiate_auth(
            ClientId=self.pool.client_id,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": "cleo", "PASSWORD": "Correct-horse-1"},
        )
        answer = self.pool.client.respond_to_auth_challenge(
            ClientId=self.pool.client_id,
            ChallengeName="SMS_MFA",
            Session=tokens["Session"],
            ChallengeResponses={
                "USERNAME": "cleo",
                "SMS_MFA_CODE": self.pool.inbox.code_for("cleo"),
            },
        )
        access = answer["AuthenticationResult"]["AccessToken"]
        client = Client(headers={**JSON, "authorization": f"Bearer {access}"})
        assert client.get("/api/stock").json() == {"seen_by": "cleo"}
        id_token = answer["AuthenticationResult"]["IdToken"]
        client = Client(headers={**JSON, "authorization": f"Bearer {id_token}"})
        assert client.get("/api/stock").status_code == 401
        assert Client(headers=JSON).get("/api/stock").status_code == 401


class ReadyTest(TestCase):
    """The readiness probe, with a store that answers and one that does not."""

    def test_probe_is_answered_with_what_failed(self) -> None:
        pool = {"POOL_ID": "eu-west-1_aBcDeFgHi", "CLIENT_ID": "1example23456789"}
        for store, expected in (
            ("memory://", (200, {"reason": ""})),
            ("sqlite:////missing/signin.db", (503, {"reason": "store answers"})),
        ):
            with override_settings(ONCEGATE={"default": {**pool, "STORE": store}}):
                answer = Client(headers=HTML).get("/ready")
                assert (answer.status_code, answer.json()) == expected


class StockTest(TestCase):
    """Needs no Cognito."""

    def test_stock_is_for_the_staff(self) -> None:
        client = Client(headers=HTML)
        force_sign_in(client, "cleo", groups=["staff"])
        assert client.get("/stock").status_code == 200
        assert client.get("/groups").json() == {"groups": ["staff"]}
        assert client.get("/payment").status_code == 200


class ShopTest(TestCase):
    """Needs no Cognito."""

    def setUp(self) -> None:
        self.client = Client(headers=HTML)

    def test_user_of_django_is_enough(self) -> None:
        self.client.force_login(User.objects.create_user("ana"))
        assert self.client.get("/orders").json()["user"] == "ana"

    def test_page_is_extended(self) -> None:
        self.assertContains(self.client.get("/accounts/"), "shop.localhost")

    def test_document_of_the_api(self) -> None:
        document = Client(headers=JSON).get("/api/schema", {"format": "json"}).json()
        assert "cognito" in document["components"]["securitySchemes"]

    def test_settings_are_complete(self) -> None:
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)
