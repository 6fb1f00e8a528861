// The account of the script module against a fake server; see module.test.mjs.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { FakeServer, answer, sleep } from "./fake_server.mjs";

const { ONCEGATE_STATIC: STATIC } = process.env;
const { Account, Problem, SignIn, createOncegate, eventOf, passkey } = await import(`${STATIC}/oncegate.js`);

const ADDRESS = { type: "submit_address", attribute: "email", address: "ana@example.com" };
const CODE = { type: "submit_code", code: "123456" };

let server;
beforeEach(() => {
  server = Object.assign(new FakeServer(), { user: { username: "ana", claims: { sub: "1" } } });
  globalThis.document = Object.assign(new EventTarget(), { visibilityState: "visible" });
});

const accountAt = (fetch = server.fetch) => new Account("/auth", { fetch });
const posted = () =>
  server.options.flatMap(({ body }, index) =>
    (server.requests[index].includes("/account/events") ? [JSON.parse(body)] : []));
const problemOf = (promise) =>
  promise.then(() => assert.fail("no problem"), (problem) => {
    assert.ok(problem instanceof Problem, String(problem));
    return problem;
  });

test("the account is read, and its step is what the user saw", async () => {
  const account = accountAt();
  assert.equal(account.step, null);
  const [one, two] = await Promise.all([account.status(), accountAt().status()]);
  assert.deepEqual(server.requests, ["GET /auth/account"]);
  assert.deepEqual([one.account.username, two.step.state, account.step.state], ["ana", "managing", "managing"]);
});

for (const [latency, delay] of [[0, 0], [20, 0], [20, 60]]) {
  for (const isShared of [true, false]) {
    const when = `${isShared ? "one object" : "an object per click"}, ${delay} ms apart, ${latency} ms latency`;
    test(`an address that is submitted twice gets one code, ${when}`, async () => {
      const account = accountAt();
      await account.status();
      server.latency = latency;
      const click = () => (isShared ? account : accountAt()).send(ADDRESS);
      const first = click();
      await sleep(delay);
      const steps = await Promise.all([first, click()]);
      assert.deepEqual(steps.map(({ state }) => state), ["confirming_address", "confirming_address"]);
      assert.deepEqual([server.texts, posted().length], [1, 1]);
    });
  }
}

test("an event has the version that the user of its object saw", async () => {
  const [left, right] = [accountAt(), accountAt()];
  await left.status();
  await right.status();
  await right.send(ADDRESS);
  const step = await left.send({ type: "delete_account" });
  assert.deepEqual([step.state, step.reason.code], ["confirming_address", "stale"]);
  await left.send(CODE);
  assert.deepEqual(posted().map(({ version }) => version), [0, 0, 2]);
});

test("a second click with another token of a CAPTCHA is the same click", async () => {
  const account = accountAt();
  await account.status();
  const click = (captcha) => account.send({ ...ADDRESS, context: { client_metadata: { captcha } } });
  await Promise.all([click("1"), click("2")]);
  assert.deepEqual(posted().map(({ context }) => context.client_metadata.captcha), ["1"]);
});

test("an event without a step is for the one that the server has", async () => {
  server.change.version = 6;
  await accountAt().send(ADDRESS);
  assert.deepEqual(posted().map(({ version }) => version), [6]);
  assert.deepEqual(server.requests, ["GET /auth/account", "POST /auth/account/events"]);
});

test("events wait for each other, and for those of the sign-in", async () => {
  const account = accountAt();
  const signIn = new SignIn("/auth", { fetch: server.fetch });
  await account.status();
  const release = server.hold(/DELETE .*session/);
  const left = signIn.signOut();
  const sent = problemOf(account.send(ADDRESS));
  await release.reached;
  assert.deepEqual(posted(), []);
  release();
  await left;
  assert.equal((await sent).code, "not_signed_in");
  assert.equal(server.texts, 0);
});

test("an event whose answer is lost is posted once more and sends one code", async () => {
  const account = accountAt();
  await account.status();
  server.faults.push((url, options) => {
    server.handle(url, options);
    throw new TypeError("Failed to fetch");
  });
  assert.equal((await account.send(ADDRESS)).state, "confirming_address");
  assert.deepEqual([server.texts, posted().length], [1, 2]);
});

test("a call under way is waited for", async () => {
  const account = accountAt();
  await account.status();
  server.faults.push((url, { body }) => {
    server.changeAccount(JSON.parse(body));
    return answer(200, server.step("change1", 1, "requesting_setup"));
  });
  assert.equal((await account.send(ADDRESS)).state, "confirming_address");
  assert.deepEqual(server.requests.slice(2), ["GET /auth/account?wait=20"]);
});

test("a late answer does not turn the step back", async () => {
  const account = accountAt();
  await account.status();
  const release = server.hold(/GET .*account$/);
  const late = account.status();
  await release.reached;
  await account.send(ADDRESS);
  release();
  assert.equal((await late).step.state, "confirming_address");
  assert.equal(account.step.state, "confirming_address");
});

test("an answer of something else is a problem", async () => {
  for (const value of [{}, [], { account: {}, step: {} }, { account: null, step: server.account().step }]) {
    const wrong = () => answer(200, value);
    server.faults.push(wrong, wrong);
    assert.equal((await problemOf(accountAt().status())).code, "bad_answer");
    server.faults.length = 0;
  }
  await accountAt().status();
  server.faults.push(() => answer(200, { account: {} }));
  assert.equal((await problemOf(accountAt().send(ADDRESS))).code, "bad_answer");
  server.faults.push(() => new Response("<html>", { headers: { "content-type": "text/html" } }));
  const { code, detail } = await problemOf(accountAt().status());
  assert.deepEqual([code, detail.includes("/auth/account")], ["not_oncegate", true]);
});

test("the sign-in hears that the session has ended with the account, or elsewhere", async () => {
  for (const isDeleted of [true, false]) {
    server.user ??= { username: "ana", claims: { sub: "1" } };
    Object.assign(server, { isClosed: false, change: { id: `of ${isDeleted}`, version: 0, state: "managing" } });
    const auth = createOncegate({ prefix: "/auth", fetch: server.fetch, channel: false });
    const heard = [];
    const stop = auth.subscribe(({ type }) => heard.push(type));
    await auth.resume();
    const account = accountAt();
    await account.status();
    if (isDeleted) {
      const step = await account.send({ type: "delete_account" });
      assert.deepEqual([step.state, account.step.state], ["closed", "closed"]);
    } else {
      server.user = null;
      assert.equal((await problemOf(account.send(ADDRESS))).code, "not_signed_in");
    }
    assert.deepEqual([auth.getSnapshot().status, auth.getSnapshot().user], ["unauthenticated", null]);
    assert.ok(heard.includes("signed_out"));
    stop();
  }
});

test("a step that is closed is none to answer", async () => {
  const account = accountAt();
  await account.status();
  await account.send({ type: "delete_account" });
  server.user = { username: "gil", claims: { sub: "2" } };
  Object.assign(server, { isClosed: false, change: { id: "change2", version: 0, state: "managing" } });
  assert.equal((await account.send(ADDRESS)).state, "confirming_address");
});

test("a new passkey is submitted once; a user who declines it sees a problem", async () => {
  const asked = [];
  let credential = null;
  const create = async ({ publicKey }) => {
    asked.push(publicKey);
    await sleep(5);
    if (credential === null) throw new DOMException("declined", "NotAllowedError");
    return { toJSON: () => credential };
  };
  Object.defineProperty(globalThis, "navigator", { value: { credentials: { create } }, configurable: true });
  globalThis.PublicKeyCredential = { parseCreationOptionsFromJSON: (options) => options };
  try {
    const account = new Account("/auth", { fetch: server.fetch, texts: { no_new_passkey: "Kein Passkey." } });
    await account.status();
    const { passkey_creation: options } = await account.send({ type: "add_passkey" });
    const action = { event: "submit_passkey", fields: [{ name: "credential", type: "passkey" }] };
    const clicks = [account.submit(action, {}), account.submit(action, {})].map(problemOf);
    const [problem] = await Promise.all(clicks);
    assert.deepEqual([problem.code, problem.message, problem.cause.name], [
      "no_new_passkey", "Kein Passkey.", "NotAllowedError",
    ]);
    assert.equal((await problemOf(passkey(options))).code, "no_new_passkey");
    assert.deepEqual([asked.length, asked[0], posted().length], [2, JSON.parse(options), 1]);
    credential = { id: "one" };
    const steps = await Promise.all([account.submit(action, {}), account.submit(action, {})]);
    assert.deepEqual(steps.map(({ state }) => state), ["managing", "managing"]);
    assert.deepEqual(posted().slice(1), [{ type: "submit_passkey", credential: '{"id":"one"}', version: 2 }]);
    assert.equal(asked.length, 3);
  } finally {
    delete globalThis.navigator;
    delete globalThis.PublicKeyCredential;
  }
});

test("a form is submitted with its action, and with the context of the application", async () => {
  const context = { client_metadata: { captcha: "7" } };
  const account = new Account("/auth", { fetch: server.fetch, context: () => context });
  await account.status();
  const action = { event: "submit_address", fields: [{ name: "attribute" }, { name: "address" }] };
  await account.submit(action, { attribute: "email", address: "ana@example.com", other: "x" });
  assert.deepEqual(posted(), [{ ...ADDRESS, context, version: 0 }]);
  const factor = { event: "use_factor", fields: [{ name: "factor" }, { name: "use", required: false }] };
  assert.deepEqual(eventOf(factor, { factor: "SMS_MFA", use: "" }), { type: "use_factor", factor: "SMS_MFA" });
});

test("a new sign-in leads back to the page", () => {
  globalThis.location = { pathname: "/settings", search: "?tab=2&a=b" };
  try {
    const url = new URL(accountAt().signInAgainUrl(), "http://shop.localhost");
    assert.equal(url.pathname, "/auth/");
    assert.deepEqual(Object.fromEntries(url.searchParams), {
      again: "1", notice: "sign_in_again", next: "/settings?tab=2&a=b",
    });
  } finally {
    delete globalThis.location;
  }
  assert.match(accountAt().signInAgainUrl("/other"), /next=%2Fother$/);
});
