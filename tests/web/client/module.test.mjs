// The script module against a fake server. `node --test` runs it; test_client_module.py runs Node.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Channels, FakeServer, answer, sleep } from "./fake_server.mjs";

const { ONCEGATE_STATIC: STATIC } = process.env;
const { Problem, SignIn, createOncegate, eventOf } = await import(`${STATIC}/oncegate.js`);
assert.equal(typeof globalThis.document, "undefined"); // The import needs no browser.

const PASSWORD = { type: "submit_password", username: "ana", password: "right" };
const CODE = { type: "submit_code", code: "123456" };

let server;
beforeEach(() => {
  server = new FakeServer();
  globalThis.document = Object.assign(new EventTarget(), { visibilityState: "visible" });
});

/** A fetch of another tab: nothing in the module is shared with it. */
const ofOtherTab = () => (...request) => server.fetch(...request);
const signInAt = (fetch = server.fetch) => new SignIn("/auth", { fetch });
const storeAt = (fetch = server.fetch, channel = false) => createOncegate({ prefix: "/auth", fetch, channel });
const problemOf = (promise) =>
  promise.then(() => assert.fail("no problem"), (problem) => {
    assert.ok(problem instanceof Problem, String(problem));
    return problem;
  });

for (const latency of [0, 200]) {
  for (const delay of [0, 80, 200]) {
    for (const begin of ["start", "resume"]) {
      for (const isShared of [true, false]) {
        const whose = isShared ? "one object" : "an object per click";
        test(`double click ${delay} ms apart, ${latency} ms latency, ${begin}, ${whose}: one text`, async () => {
          server.latency = latency;
          const object = signInAt();
          const click = async () => {
            const signIn = isShared ? object : signInAt();
            await signIn[begin]();
            return signIn.send(PASSWORD);
          };
          const first = click();
          await sleep(delay);
          const steps = await Promise.all([first, click()]);
          assert.deepEqual(steps.map(({ state }) => state), ["awaiting_mfa", "awaiting_mfa"]);
          assert.equal(server.texts, 1);
        });
      }
    }
  }
}

test("two tabs that start at once have one flow and one text", async () => {
  server.latency = 40;
  const [one, other] = [signInAt(ofOtherTab()), signInAt(ofOtherTab())];
  await Promise.all([one.resume(), other.resume()]);
  assert.equal(server.made, 1);
  await Promise.all([one.send(PASSWORD), other.send(PASSWORD)]);
  assert.deepEqual([one.step.state, other.step.state], ["awaiting_mfa", "awaiting_mfa"]);
  assert.equal(server.texts, 1);
});

test("calls of the same kind share one request", async () => {
  const [one, other] = [signInAt(), signInAt()];
  await Promise.all([one.start(), other.start(), one.resume(), other.resume(), other.session()]);
  assert.deepEqual(server.requests.sort(), ["GET /auth/status", "POST /auth/flows"]);
});

test("a trailing slash of the prefix is the same prefix", async () => {
  await Promise.all([signInAt().start(), new SignIn("/auth/", { fetch: server.fetch }).start()]);
  assert.deepEqual(server.requests, ["POST /auth/flows"]);
});

test("on a server nothing is shared between objects", async () => {
  delete globalThis.document;
  await Promise.all([signInAt().start(), signInAt().start()]);
  assert.equal(server.requests.length, 2);
});

test("an equal event joins the one under way, whatever the order of its members", async () => {
  const signIn = signInAt();
  await signIn.resume();
  await Promise.all([
    signIn.send(PASSWORD),
    signIn.send({ password: "right", username: "ana", type: "submit_password" }),
  ]);
  assert.equal(server.requests.filter((one) => one.includes("events")).length, 1);
});

test("another event waits for the one under way, and has the version that the user saw", async () => {
  const signIn = signInAt();
  await signIn.resume();
  await signIn.send(PASSWORD);
  const sent = () => server.requests.filter((one) => one.includes("events")).length;
  const release = server.hold(/events/);
  const both = Promise.all([
    signIn.send({ type: "submit_code", code: "000000" }),
    signIn.send({ type: "request_new_code" }),
  ]);
  await sleep(20);
  assert.equal(sent(), 2); // The password, and the code.
  release();
  const [, step] = await both;
  assert.equal(step.reason.code, "stale");
  assert.equal(server.texts, 1);
});

test("answers are ordered by version within a flow, and by the time of asking between flows", async () => {
  const { Place } = await import(`${STATIC}/connection.js`);
  const place = new Place();
  const take = (flow_id, version, asked, arrived) => place.take({ step: { flow_id, version }, asked, arrived });
  assert.ok(take("one", 1, 2, 3));
  assert.ok(take("one", 2, 1, 4)); // Asked for earlier, but made later.
  assert.ok(!take("one", 1, 3, 5));
  assert.ok(!take("other", 9, 0, 6));
  assert.ok(take("other", 0, 7, 8));
  assert.ok(take("other", 0, 9, 10)); // The same step again, such as with a reason.
  place.clear(11);
  assert.ok(!take("other", 1, 9, 12));
  assert.ok(take("other", 0, 13, 14)); // Whatever the server says now is so.
});

test("a late answer never turns the step back", async () => {
  const signIn = signInAt();
  await signIn.resume();
  const release = server.hold(/status/);
  const late = signIn.resume();
  await sleep(5);
  await signIn.send(PASSWORD);
  release();
  assert.equal((await late).state, "awaiting_mfa");
  assert.equal(signIn.step.state, "awaiting_mfa");
});

test("a late answer of an older flow does not replace a newer one", async () => {
  const signIn = signInAt();
  await signIn.resume();
  await signIn.send(PASSWORD);
  const release = server.hold(/status/);
  const late = signIn.resume();
  await sleep(5);
  await signIn.send({ type: "cancel" });
  const { flow_id: id } = await signIn.start();
  release();
  assert.equal((await late).flow_id, id);
});

test("a late answer does not bring a user back who has signed out", async () => {
  const auth = storeAt();
  await auth.resume();
  await auth.send(PASSWORD);
  await auth.send(CODE);
  assert.equal(auth.getSnapshot().user.username, "ana");
  const release = server.hold(/status/);
  const late = auth.resume();
  await sleep(5);
  await auth.signOut();
  release();
  await late;
  assert.equal(auth.getSnapshot().user, null);
  assert.equal(auth.getSnapshot().step.state, "idle");
});

test("a status that was asked for before a sign-out is not the one after it", async () => {
  const signIn = signInAt();
  await signIn.resume();
  await signIn.send(PASSWORD);
  await signIn.send(CODE);
  const release = server.hold(/status/);
  const before = signIn.session();
  await sleep(5);
  await signIn.signOut();
  const after = await signIn.session();
  release();
  assert.equal(after, null);
  assert.equal((await before).username, "ana"); // What was so when it was asked.
});

test("a step of a call under way is waited for", async () => {
  const checking = server.step("flow1", 1, "checking_password");
  server.faults.push(() => answer(200, { user: null, step: checking }));
  const signIn = signInAt();
  server.cookie = "flow1";
  server.flows.set("flow1", { version: 2, state: "awaiting_mfa" });
  assert.equal((await signIn.resume()).state, "awaiting_mfa");
  assert.deepEqual(server.requests, ["GET /auth/status", "GET /auth/status?wait=20"]);
});

test("a first event whose flow is gone is sent to a new one", async () => {
  const signIn = signInAt();
  await signIn.resume();
  server.flows.set("flow1", { version: 4, state: "authenticated" }); // In another tab,
  server.cookie = null; // which signed out.
  assert.equal((await signIn.send(PASSWORD)).state, "awaiting_mfa");
  assert.equal(server.texts, 1);
});

test("a later event whose flow is gone is not sent again; the new step is returned", async () => {
  const signIn = signInAt();
  await signIn.resume();
  await signIn.send(PASSWORD);
  server.cookie = null;
  assert.equal((await signIn.send(CODE)).state, "idle");
  assert.equal(server.texts, 1);
});

test("a start after a flow that is over begins another", async () => {
  const signIn = signInAt();
  const first = await signIn.start();
  await signIn.send(PASSWORD);
  await signIn.send({ type: "cancel" });
  const second = await signIn.start();
  assert.notEqual(second.flow_id, first.flow_id);
});

test("an event whose answer is lost is posted once more and sends one text", async () => {
  const signIn = signInAt();
  await signIn.resume();
  server.faults.push((url, options) => {
    server.handle(url, options);
    throw new TypeError("Failed to fetch");
  });
  assert.equal((await signIn.send(PASSWORD)).state, "awaiting_mfa");
  assert.equal(server.texts, 1);
});

const HTML = { "content-type": "text/html; charset=utf-8" };
const WRONG = [
  ["a page for every path", 200, "<html>", HTML, "not_oncegate"],
  ["a missing page", 404, "<html>", HTML, "not_oncegate"],
  ["another API's missing path", 404, '{"detail":"Not Found"}', { "content-type": "application/json" }, "not_oncegate"],
  ["a proxy's error page", 502, "<html>", HTML, "bad_answer"],
  ["an empty object", 200, "{}", { "content-type": "application/json" }, "bad_answer"],
  ["an array", 200, "[]", { "content-type": "application/json" }, "bad_answer"],
  ["null", 200, "null", { "content-type": "application/json" }, "bad_answer"],
  ["half an answer", 200, '{"user": null, "st', { "content-type": "application/json" }, "bad_answer"],
  ["a step without actions", 200, '{"user":null,"step":{"flow_id":"","version":0,"state":"idle"}}', { "content-type": "application/json" }, "bad_answer"],
];
for (const [what, status, body, headers, code] of WRONG) {
  for (const method of ["resume", "session", "start", "send", "signOut", "sessions", "endSession"]) {
    test(`${what} is a problem for ${method}`, async () => {
      const signIn = signInAt();
      await signIn.resume();
      const wrong = () => new Response(body, { status, headers });
      server.faults.push(wrong, wrong);
      const problem = await problemOf(signIn[method](method === "send" ? PASSWORD : "name"));
      assert.equal(problem.code, code);
      assert.equal(problem.status, status);
      assert.match(problem.detail, /\/auth\//);
    });
  }
}

test("a problem has texts for the user, fields, and when to try again", async () => {
  const signIn = signInAt();
  await signIn.resume();
  server.faults.push(() =>
    answer(422, {
      code: "invalid_event", title: "Unprocessable Content", detail: "email: value_error",
      message: "Check what you entered.", fields: { email: "Check this field." },
    }));
  const invalid = await problemOf(signIn.send({ type: "submit_email", email: "?" }));
  assert.equal(invalid.message, "Check what you entered.");
  assert.equal(invalid.detail, "email: value_error");
  assert.deepEqual(invalid.fields, { email: "Check this field." });
  assert.equal(invalid.retryAfter, null);
  server.faults.push(() => answer(503, { code: "store_unavailable" }, { "retry-after": "10" }));
  assert.equal((await problemOf(signIn.resume())).retryAfter, 10);
});

test("no answer at all is a problem", async () => {
  const lost = () => { throw new TypeError("Failed to fetch"); };
  server.faults.push(lost);
  assert.equal((await problemOf(signInAt().resume())).code, "no_answer");
});

// ── createOncegate ──

test("the snapshot is frozen, and the same object until something changes", async () => {
  const auth = storeAt();
  assert.equal(auth.getSnapshot(), auth.getServerSnapshot());
  assert.equal(auth.getSnapshot().status, "loading");
  await auth.resume();
  const { getSnapshot } = auth; // Methods can be passed on as they are.
  const snapshot = getSnapshot();
  assert.ok(Object.isFrozen(snapshot) && Object.isFrozen(snapshot.step.actions[0]));
  await auth.resume();
  assert.equal(getSnapshot(), snapshot);
  await auth.send(PASSWORD);
  assert.notEqual(getSnapshot(), snapshot);
});

test("the seconds of a step are not a change", async () => {
  const auth = storeAt();
  let seconds = 100;
  const step = () => ({ ...server.live(), expires_in: (seconds -= 1) });
  server.faults.push(...Array(2).fill(() => answer(200, { user: null, step: step() })));
  await auth.resume();
  const snapshot = auth.getSnapshot();
  await auth.resume();
  assert.equal(auth.getSnapshot(), snapshot);
});

test("subscribers hear of a sign-in and of a sign-out", async () => {
  const auth = storeAt();
  const heard = [];
  const stop = auth.subscribe(({ type, from }) => heard.push([auth.getSnapshot().status, type, from]));
  await auth.resume();
  await auth.send(PASSWORD);
  await auth.send(CODE);
  await auth.signOut();
  stop();
  await auth.send(PASSWORD);
  const changes = heard.filter(([, type]) => type !== "state_changed");
  assert.deepEqual(changes, [
    ["unauthenticated", "loaded", "here"],
    ["unauthenticated", "step_changed", "here"],
    ["authenticated", "signed_in", "here"],
    ["unauthenticated", "signed_out", "here"],
    ["unauthenticated", "step_changed", "here"],
  ]);
});

test("every snapshot on the way is consistent", async () => {
  const auth = storeAt();
  const seen = [];
  auth.subscribe(() => seen.push(auth.getSnapshot()));
  await auth.resume();
  await auth.send(PASSWORD);
  await auth.send(CODE);
  await auth.signOut();
  for (const { status, step, user } of seen) {
    const isSignedIn = status === "authenticated";
    assert.equal(isSignedIn, user !== null);
    assert.equal(isSignedIn, step?.state === "authenticated");
  }
});

test("buttons are pending while an event is under way, and a double click is one request", async () => {
  const auth = storeAt();
  await auth.resume();
  server.latency = 20;
  const clicks = [auth.send(PASSWORD), auth.send(PASSWORD)];
  assert.equal(auth.getSnapshot().isPending, true);
  await Promise.all(clicks);
  assert.equal(auth.getSnapshot().isPending, false);
  assert.equal(server.requests.filter((one) => one.includes("events")).length, 1);
});

test("an error is in the snapshot until the next success", async () => {
  const auth = storeAt();
  server.faults.push(() => answer(503, { code: "store_unavailable" }));
  assert.equal((await auth.resume()).error.code, "store_unavailable");
  assert.equal(auth.getSnapshot().status, "loading");
  assert.equal((await auth.resume()).error, null);
  server.faults.push(() => answer(422, { code: "invalid_event", fields: { username: "?" } }));
  assert.equal((await auth.send(PASSWORD)).error.fields.username, "?");
  await auth.resume(); // As when the window has the focus again.
  assert.equal(auth.getSnapshot().error.code, "invalid_event");
  assert.equal((await auth.send(PASSWORD)).error, null);
});

test("two tabs: the other one follows the sign-in and the sign-out, and tells no one again", async () => {
  const channels = new Channels();
  const [one, other] = [0, 1].map(() => storeAt(ofOtherTab(), channels.open()));
  one.subscribe(() => {});
  const news = [];
  other.subscribe(({ type, from }) => from === "elsewhere" && news.push(type));
  await Promise.all([one.resume(), other.resume()]);
  await one.send(PASSWORD);
  await sleep(10);
  assert.equal(other.getSnapshot().step.state, "awaiting_mfa");
  await one.send(CODE);
  await sleep(10);
  assert.equal(other.getSnapshot().status, "authenticated");
  await other.signOut();
  await sleep(10);
  assert.equal(one.getSnapshot().status, "unauthenticated");
  assert.equal(one.getSnapshot().step.state, "idle");
  assert.deepEqual(news, ["step_changed", "signed_in"]);
  assert.deepEqual([...new Set(channels.posted)], ["step_changed", "signed_in", "signed_out"]);
  assert.ok(channels.posted.length < 6, channels.posted.join());
});

test("news for other tabs hold no step, no user and no secret", async () => {
  const channel = new Channels().open();
  const posted = [];
  channel.postMessage = (data) => posted.push(data);
  const auth = storeAt(server.fetch, channel);
  auth.subscribe(() => {});
  await auth.resume();
  await auth.send(PASSWORD);
  assert.deepEqual(posted, [{ type: "step_changed" }]);
});

test("a session that is renewed is news, and so is one that ended elsewhere", async () => {
  const auth = storeAt();
  const heard = [];
  await auth.resume();
  await auth.send(PASSWORD);
  await auth.send(CODE);
  auth.subscribe(({ type }) => heard.push(type));
  await auth.resume();
  server.user = { ...server.user, claims: { sub: "1", auth_time: 2 } };
  await auth.resume();
  server.user = null;
  await auth.resume();
  assert.deepEqual(heard, ["session_renewed", "signed_out"]);
  assert.equal(auth.getSnapshot().step.state, "idle");
});

test("an event of SignIn is heard by the store of the same tab", async () => {
  const auth = storeAt();
  await auth.resume();
  await signInAt().send(PASSWORD);
  assert.equal(auth.getSnapshot().step.state, "awaiting_mfa");
});

test("the window is listened to only while there is a subscriber", async () => {
  globalThis.window = new EventTarget();
  try {
    const auth = storeAt();
    const stop = auth.subscribe(() => {});
    await auth.resume();
    const before = server.requests.length;
    window.dispatchEvent(new Event("focus"));
    await auth.resume();
    assert.equal(server.requests.length, before + 1);
    window.dispatchEvent(new Event("pageshow")); // Not from the back/forward cache.
    await sleep(5);
    assert.equal(server.requests.length, before + 1);
    window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
    await sleep(5);
    assert.equal(server.requests.length, before + 2);
    stop();
    window.dispatchEvent(new Event("focus"));
    await sleep(5);
    assert.equal(server.requests.length, before + 2);
  } finally {
    delete globalThis.window;
  }
});

test("a server that renders asks for nothing", async () => {
  delete globalThis.document;
  const auth = storeAt();
  auth.subscribe(() => {})();
  await sleep(5);
  assert.deepEqual([auth.getSnapshot(), server.requests], [auth.getServerSnapshot(), []]);
});

test("the step is asked for again when its time is over", async () => {
  const auth = storeAt();
  server.faults.push(() => answer(200, { user: null, step: { ...server.live(), expires_in: 0 } }));
  auth.subscribe(() => {});
  await sleep(1200);
  assert.equal(server.requests.length, 2);
});

test("an event is made of an action and of what the user entered", () => {
  const field = (name) => ({ name });
  const passwordAction = { event: "submit_new_password", fields: ["new_password", "attributes.email", "attributes.custom:a.b"].map(field) };
  const values = new FormData();
  values.set("new_password", "p");
  values.set("attributes.email", "a@example.com");
  values.set("attributes.custom:a.b", "c");
  values.set("button", "ignored");
  assert.deepEqual(eventOf(passwordAction, values), {
    type: "submit_new_password", new_password: "p",
    attributes: { email: "a@example.com", "custom:a.b": "c" },
  });
  const remember = { event: "remember_device", fields: [field("remember")] };
  assert.deepEqual(eventOf(remember, { remember: "false" }), { type: "remember_device", remember: false });
  assert.deepEqual(eventOf({ event: "cancel", fields: [] }, new FormData()), { type: "cancel" });
});

test("without locks, tabs take turns by the storage that they share", async () => {
  const stored = new Map();
  globalThis.localStorage = {
    getItem: (name) => stored.get(name) ?? null,
    setItem: (name, value) => stored.set(name, value),
    removeItem: (name) => stored.delete(name),
  };
  try {
    server.latency = 40;
    const tabs = [0, 1, 2].map(() => signInAt(ofOtherTab()));
    let most = 0;
    let now = 0;
    const { fetch } = server;
    server.fetch = async (...request) => {
      most = Math.max(most, (now += 1));
      return fetch(...request).finally(() => (now -= 1));
    };
    await Promise.all(tabs.map((tab) => tab.start()));
    assert.equal(most, 1);
    assert.equal(stored.size, 0);
    stored.set("oncegate /auth", `other ${Date.now() + 1e9}`); // A tab that was closed.
    await signInAt(ofOtherTab()).start();
    server.faults.push(() => answer(503, { code: "store_unavailable" }));
    stored.clear();
    await problemOf(signInAt(ofOtherTab()).start());
    assert.equal(stored.size, 0);
  } finally {
    delete globalThis.localStorage;
  }
});

test("locks are used where they exist, and never wait for a tab that sleeps", async () => {
  const names = [];
  const locks = {
    request: async (name, { signal }, run) => {
      names.push(name);
      if (names.length > 1) await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      return run();
    },
  };
  Object.defineProperty(globalThis, "navigator", { value: { locks }, configurable: true });
  try {
    await signInAt(ofOtherTab()).resume();
    const began = Date.now();
    const awake = setTimeout(() => {}, 10_000); // Node does not wait for the signal's timer.
    await signInAt(ofOtherTab()).resume();
    clearTimeout(awake);
    assert.ok(Date.now() - began < 5000);
    assert.deepEqual(names, ["oncegate /auth", "oncegate /auth"]);
  } finally {
    delete globalThis.navigator;
  }
});
