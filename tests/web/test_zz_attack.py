from tests.web.test_account import *
from tests.web.test_account import account_of
def jar(c): return {k.name: k.value for k in c.client.cookies.jar}
X = '"><img/src=x/onerror=alert(1)>'
def test_xss():
    who = {"username": X, "password": FAY["password"], "attributes": {"email": "fay@example.com", "email_verified": "true"}}
    with account_of("flask", who=who, place_of=lambda at: "<script>alert(2)</script>\u202e") as account:
        account.client.headers["user-agent"] = "<script>alert(3)</script> Firefox/1"
        account.sign_in(username=X, password=FAY["password"])
        for q in ("", "?for=change_password", "?for=submit_address&attribute=email", "?for=add_authenticator", "?for=delete_account", "?notice=<script>x", "?for=submit_address&attribute=email%22%3E%3Cx", "?waited=1&next=/%22%3E%3Cscript%3E", "?for=change_password&next=javascript:alert(1)"):
            t = account.open(q); raw = account.visit.response.text
            for bad in ("<img/src", "<script>alert", "<script>x", '"><x', "javascript:alert"):
                if bad in raw: print("XSS", q, bad)
        account.open("?for=add_authenticator"); 
        f = account.page.forms["add-authenticator"]
        account.visit.post(f.action, {**f.values, "name": "<script>alert(9)</script>"})
        account.open(); raw = account.visit.response.text
        print("totp", account.page.state, "<img/src" in raw, "<script>alert" in raw)
        import re as r
        print(r.findall(r'otpauth[^"<]*', raw)[:2])
        assert 0

def test_redirects():
    with account_of("flask") as account:
        account.sign_in()
        for n in ("//evil.com","https://evil.com","/\\evil.com","/%5Cevil.com","/%09/evil.com","/\t/evil.com","%2F%2Fevil.com","/%2F/evil.com","/x%0d%0aSet-Cookie:a=b","/x\r\nSet-Cookie: a=b", "http://shop.localhost//evil.com","http://shop.localhost.evil.com/", "/;//evil.com", "/..//evil.com", "/.//evil.com", "////evil.com", "/a:b@evil.com"):
            from urllib.parse import quote
            for q in (n, quote(n, safe="")):
                try:
                    r = account.client.get(f"{PAGE}/offer?next={q}")
                    print(repr(q), r.status_code, r.headers.get("location"), r.headers.get("set-cookie","")[:20])
                except Exception as e: print(repr(q), type(e).__name__, str(e)[:60])
        assert 0

def test_json_enumeration():
    who = {"username": "fay", "password": FAY["password"], "attributes": {"email": "fay@example.com", "email_verified": "true"}}
    with account_of("fastapi", who=who, pool={"username_attributes": ["email"]}) as account:
        pass

def test_csrf():
    with account_of("fastapi") as account:
        account.sign_in()
        v = account.client.get(PAGE, headers=JSON).json()["step"]["version"]
        ev = {"type": "sign_out_everywhere", "version": v}
        for h in ({"origin": "https://evil.com"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "http://other.shop.localhost"}, {"origin": "http://shop.localhost:81"}, {"content-type": "text/plain"}):
            import json as j
            r = account.client.post(f"{PAGE}/events", content=j.dumps(ev), headers={"content-type": "application/json", **JSON, **h})
            print("events", h, r.status_code, r.json().get("code"))
            f = account.page.forms["sign-out-everywhere"]
            r = account.client.post(f.action, data=f.values, headers={k: x for k, x in h.items() if k != "content-type"})  if "content-type" not in h else None
            print("form", h, r and r.status_code, is_signed_in(account))
            if not is_signed_in(account): account.sign_in()
        for h in ({"origin": "https://evil.com"}, {"sec-fetch-site": "cross-site"}):
            print(account.client.request("DELETE", "/auth/sessions", headers={**JSON, **h}).status_code)
            print(account.client.request("GET", f"{PAGE}/offer", headers=h).status_code)
        assert 0
