// The script module against a fake server. `node --test` runs it; test_client_module.py runs Node.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";

import { Channels, FakeServer, answer, sleep, until } from "./fake_server.mjs";

const { ONCEGATE_STATIC: STATIC } = process.env;
const { Problem, SignIn, createOncegate, eventOf, passkey } = await import(`${STATIC}/oncegate.js`);
const { LatestStep, connectionTo } = await import(`${STATIC}/connection.js`);
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
const events = () => server.requests.filter((one) => one.includes("events")).length;
const problemOf = (promise) =>
  promise.then(() => assert.fail("no problem"), (problem) => {
    assert.ok(problem instanceof Problem, String(problem));
    return problem;
  });

/** Let the module's clock stand still, at a number of milliseconds. */
const setClock = (now) => Object.defineProperty(performance, "now", { value: () => now, configurable: true });
const resetClock = () => delete performance.now;

/** Each with a server of its own, because they run at the same time. */
describe("two clicks", { concurrency: true }, () => {
  before(() => setClock(0)); // Both are within a second, however slow this machine is.
  after(resetClock);

  for (const [latency, delay] of [0, 200].flatMap((one) => [0, 80, 200].map((other) => [one, other]))) {
    const when = `${delay} ms apart, ${latency} ms latency`;

    /** Run a handler twice, and return both steps. */
    const twice = async (click) => {
      const first = click();
      await sleep(delay);
      return Promise.all([first, click()]);
    };

    for (const begin of ["start", "resume"]) {
      for (const isShared of [true, false]) {
        test(`${begin} and send, ${isShared ? "one object" : "an object per click"}, ${when}: one text`, async () => {
          const server = Object.assign(new FakeServer(), { latency });
          const object = signInAt(server.fetch);
          const steps = await twice(async () => {
            const signIn = isShared ? object : signInAt(server.fetch);
            await signIn[begin]();
            return signIn.send(PASSWORD);
          });
          assert.deepEqual(steps.map(({ state }) => state), ["awaiting_mfa", "awaiting_mfa"]);
          assert.equal(server.texts, 1);
        });
      }

      test(`code, after ${begin}, ${when}: signed in once`, async () => {
        const server = new FakeServer();
        const signIn = signInAt(server.fetch);
        await signIn.resume();
        await signIn.send(PASSWORD);
        server.latency = latency;
        const steps = await twice(async () => {
          await signIn[begin]();
          return signIn.send(CODE);
        });
        assert.deepEqual(steps.map(({ state }) => state), ["authenticated", "authenticated"]);
        const { user, step } = await signIn.status();
        assert.deepEqual([user.username, step.state, server.made], ["ana", "authenticated", 1]);
        assert.equal(server.requests.filter((one) => one.includes("events")).length, 2);
      });
    }

    test(`Cognito's response is lost, ${when}: one text`, async () => {
      const server = new FakeServer();
      const signIn = signInAt(server.fetch);
      await signIn.resume();
      Object.assign(server, { latency, losesOutcome: true });
      const steps = await twice(() => signIn.send(PASSWORD));
      assert.deepEqual(steps.map(({ state, version }) => [state, version]), [["idle", 2], ["idle", 2]]);
      assert.equal(server.texts, 1);
    });
  }
});

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
  const release = server.hold(/events/);
  const both = Promise.all([
    signIn.send({ type: "submit_code", code: "000000" }),
    signIn.send({ type: "request_new_code" }),
  ]);
  await release.reached;
  await sleep(20);
  assert.equal(events(), 2); // The password, and the code.
  release();
  const [, step] = await both;
  assert.equal(step.reason.code, "stale");
  assert.equal(server.texts, 1);
});

test("answers are ordered by version within a flow, and by the time of asking between flows", () => {
  const latest = new LatestStep();
  const take = (flow_id, version, asked, arrived) => latest.take({ step: { flow_id, version }, asked, arrived });
  assert.ok(take("one", 1, 2, 3));
  assert.ok(take("one", 2, 1, 4)); // Asked for earlier, but made later.
  assert.ok(!take("one", 1, 3, 5)); // Asked for before ours had arrived.
  assert.ok(take("one", 2, 2, 6)); // The same step, asked for later.
  assert.ok(!take("one", 2, 1, 7));
  assert.ok(!take("other", 9, 0, 8));
  assert.ok(take("other", 0, 9, 10));
  assert.ok(take("other", 0, 11, 12)); // The same step again, such as with a reason.
  latest.clear(13);
  assert.ok(!take("other", 1, 12.5, 14));
  assert.ok(take("other", 3, 15, 16)); // Whatever the server says now is so:
  assert.ok(take("other", 0, 17, 18)); // also that it has this flow no more.
});

test("a step that the session has reached is not replaced by an answer that left before it", () => {
  const signedIn = { flow_id: "one", version: 4, state: "authenticated", actions: [] };
  const again = { ...signedIn, actions: [{ event: "submit_code" }] }; // “Enter it once more.”
  const latest = new LatestStep();
  assert.ok(latest.take({ step: signedIn, asked: 1, arrived: 3 }));
  assert.ok(!latest.take({ step: again, asked: 2, arrived: 4 }));
  assert.ok(latest.take({ step: again, asked: 5, arrived: 6 })); // The session's cookie is gone.
  latest.take({ step: again, asked: 8, arrived: 9 });
  assert.ok(latest.take({ step: signedIn, asked: 7, arrived: 10 }));
});

test("a late answer never turns the step back", async () => {
  const signIn = signInAt();
  await signIn.resume();
  const release = server.hold(/status/);
  const late = signIn.resume();
  await release.reached;
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
  await release.reached;
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
  await release.reached;
  await auth.signOut();
  release();
  await late;
  assert.equal(auth.getSnapshot().user, null);
  assert.equal(auth.getSnapshot().step.state, "idle");
});

test("an answer that waits for a call holds no lock", async () => {
  let held = 0;
  const request = async (name, { signal }, run) => {
    held += 1;
    return run().finally(() => (held -= 1));
  };
  Object.defineProperty(globalThis, "navigator", { value: { locks: { request } }, configurable: true });
  try {
    server.cookie = "flow1";
    server.faults.push(() => answer(200, { user: null, step: server.step("flow1", 1, "checking_password") }));
    const release = server.hold(/wait=20/);
    const resumed = signInAt().resume();
    await release.reached;
    assert.equal(held, 0);
    release();
    await resumed;
  } finally {
    delete globalThis.navigator;
  }
});

test("a status that was asked for before a sign-out is not the one after it", async () => {
  const signIn = signInAt();
  await signIn.resume();
  await signIn.send(PASSWORD);
  await signIn.send(CODE);
  const release = server.hold(/status/);
  const before = signIn.session();
  await release.reached;
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
  for (const event of [CODE, { type: "cancel" }]) {
    await signIn.send(PASSWORD);
    const before = events();
    server.cookie = null;
    assert.equal((await signIn.send(event)).state, "idle");
    assert.equal(events(), before + 1); // It is not for the new flow.
  }
  assert.equal(server.texts, 2);
});

test("a start after a flow that is over begins another", async () => {
  const signIn = signInAt();
  const first = await signIn.start();
  await signIn.send(PASSWORD);
  await signIn.send({ type: "cancel" });
  const second = await signIn.start();
  assert.notEqual(second.flow_id, first.flow_id);
});

test("an equal event is sent again after a second, and at once if something else has happened", async () => {
  const signIn = signInAt();
  await signIn.resume();
  await signIn.send(PASSWORD);
  const wrong = { type: "submit_code", code: "000000" };
  try {
    setClock(0);
    await signIn.send(wrong);
    setClock(999);
    await signIn.send(wrong);
    assert.equal(events(), 2);
    setClock(1001);
    await signIn.send(wrong);
    assert.equal(events(), 3);
  } finally {
    resetClock();
  }
  await signIn.send({ type: "cancel" });
  await signIn.start();
  await signIn.send({ type: "cancel" });
  assert.equal(events(), 5);
  await signIn.start();
  await signIn.send(PASSWORD);
  await signInAt().send(CODE);
  await signIn.signOut();
  await signIn.send(PASSWORD);
  assert.equal(server.texts, 3);
});

test("a flow that has expired is begun anew for its first event, and not for a later one", async () => {
  const signIn = signInAt();
  await signIn.resume();
  const expired = () => answer(200, { ...server.step("flow1", 0, "failed"), message: { code: "flow_expired" } });
  server.faults.push(expired);
  server.cookie = null;
  assert.equal((await signIn.send(PASSWORD)).state, "awaiting_mfa");
  server.faults.push(expired);
  assert.equal((await signIn.send(CODE)).state, "failed");
  assert.equal(events(), 3);
});

test("a first event is not sent to a flow that another tab has advanced", async () => {
  const signIn = signInAt();
  await signIn.resume();
  server.flows.set("flow1", { version: 4, state: "failed" });
  Object.assign(server, { cookie: "flow2", made: 2 });
  server.flows.set("flow2", { version: 2, state: "awaiting_mfa" });
  server.faults.push(undefined, () => answer(200, server.step("flow2", 1, "checking_password")));
  assert.equal((await signIn.send(PASSWORD)).state, "awaiting_mfa");
  assert.deepEqual([server.texts, events()], [0, 1]);
});

test("an event without a step waits for its turn, and reports that the step cannot be had", async () => {
  const release = server.hold(/flows/);
  const started = signInAt().start();
  await release.reached;
  server.faults.push(() => answer(503, { code: "store_unavailable" }));
  const problem = problemOf(signInAt().send(PASSWORD));
  await sleep(20); // An error that nothing handles in the meantime fails this test.
  release();
  await started;
  assert.equal((await problem).code, "store_unavailable");
});

test("a start that the user asks for after a sign-in begins another", async () => {
  const signIn = signInAt();
  await signIn.start();
  await signIn.send(PASSWORD);
  await signIn.send(CODE);
  assert.equal((await signIn.start()).state, "idle");
});

test("a start that is asked for while the sign-in ends returns the signed-in step", async () => {
  const signIn = signInAt();
  await signIn.resume();
  await signIn.send(PASSWORD);
  const release = server.hold(/events/);
  const sending = signIn.send(CODE);
  await release.reached;
  const started = signIn.start();
  release();
  assert.deepEqual([(await sending).state, (await started).state], ["authenticated", "authenticated"]);
});

test("a start waits for a call under way, as resume does", async () => {
  const signIn = signInAt();
  server.cookie = "flow1";
  server.faults.push(() => answer(200, server.step("flow1", 1, "checking_password")));
  server.flows.set("flow1", { version: 2, state: "awaiting_mfa" });
  assert.equal((await signIn.start()).state, "awaiting_mfa");
});

test("an event waits for a call that another worker makes", async () => {
  const signIn = signInAt();
  await signIn.resume();
  server.faults.push(() => answer(200, server.step("flow1", 1, "checking_password")));
  server.flows.set("flow1", { version: 2, state: "awaiting_mfa" });
  assert.equal((await signIn.send(PASSWORD)).state, "awaiting_mfa");
});

test("an event has the version that the user of its object saw", async () => {
  const [one, other] = [signInAt(), signInAt()];
  await one.resume();
  await other.resume();
  await other.send(PASSWORD);
  await one.send({ type: "cancel" });
  assert.equal(server.flows.get("flow1").state, "awaiting_mfa");
});

test("after a sign-out by another object, or elsewhere, a password begins another sign-in", async () => {
  const ends = {
    "another object": () => signInAt().signOut(),
    "the list of sessions": async (signIn) => {
      await signIn.endSession("own");
      assert.equal(signIn.step.state, "idle");
    },
    "another tab, and this one has asked": async (signIn) => {
      Object.assign(server, { user: null, cookie: null });
      await signInAt().session();
      assert.equal(signIn.step, null);
    },
    "another tab": async () => Object.assign(server, { user: null, cookie: null }),
  };
  for (const [by, end] of Object.entries(ends)) {
    server = new FakeServer();
    const signIn = signInAt();
    await signIn.resume();
    await signIn.send(PASSWORD);
    await signIn.send(CODE);
    await end(signIn);
    assert.equal((await signIn.send({ ...PASSWORD, username: by })).state, "awaiting_mfa", by);
    assert.equal(server.texts, 2, by);
  }
});

test("the step of a signed-in user is gone for every object after a sign-out", async () => {
  const [form, menu] = [signInAt(), signInAt()];
  await form.resume();
  await form.send(PASSWORD);
  await form.send(CODE);
  await menu.signOut();
  assert.deepEqual([form.step, menu.step], [null, null]);
  assert.equal(connectionTo("/auth", { fetch: server.fetch }).latest.step, null);
});

test("an event of a user who is signed in is for the flow of the browser", async () => {
  server.user = { username: "ana", claims: {} };
  server.cookie = "flow1";
  server.flows.set("flow1", { version: 4, state: "authenticated" });
  const signIn = signInAt();
  assert.equal((await signIn.resume()).flow_id, "");
  await signIn.send(CODE).catch(() => {});
  assert.match(server.requests.at(-1), /flows\/current\/events$/);
});

test("requests have cookies, no caches, a time limit, and JSON", async () => {
  const signIn = signInAt();
  await signIn.resume();
  await signIn.send(PASSWORD);
  const [status, event] = server.options;
  for (const { credentials, cache, signal } of server.options) {
    assert.deepEqual([credentials, cache], ["include", "no-store"]);
    assert.ok(signal instanceof AbortSignal);
  }
  assert.deepEqual(status.headers, { Accept: "application/json" });
  assert.equal(event.headers["Content-Type"], "application/json");
});

test("the application can choose the language, and the module's own texts", async () => {
  const signIn = new SignIn("/auth", {
    fetch: server.fetch, language: "de", texts: { no_answer: "Keine Verbindung." },
  });
  await signIn.resume();
  assert.equal(server.options[0].headers["Accept-Language"], "de");
  server.faults.push(() => Promise.reject(new TypeError("Failed to fetch")));
  assert.equal((await problemOf(signInAt().resume())).message, "Keine Verbindung.");
  server.faults.push(() => new Response("<html>", { status: 502 }));
  assert.match((await problemOf(signInAt().resume())).message, /isn’t working/);
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
const JSON_TYPE = { "content-type": "application/json" };
const STEP = { flow_id: "", version: 0, state: "idle", actions: [], events: [], fields: [] };
const VALID = JSON.stringify({ ...STEP, user: null, step: STEP, sessions: [] }); // For every request.
const { version: _, ...UNVERSIONED } = STEP;
const WRONG = [
  ["a page for every path", 200, "<html>", HTML, "not_oncegate"],
  ["a missing page", 404, "<html>", HTML, "not_oncegate"],
  ["another API's missing path", 404, '{"detail":"Not Found"}', JSON_TYPE, "not_oncegate"],
  ["a proxy's error page", 502, "<html>", HTML, "bad_answer"],
  ["an empty object", 200, "{}", JSON_TYPE, "bad_answer"],
  ["an array", 200, "[]", JSON_TYPE, "bad_answer"],
  ["null", 200, "null", JSON_TYPE, "bad_answer"],
  ["half an answer", 200, '{"user": null, "st', JSON_TYPE, "bad_answer"],
  ["a step without actions", 200, '{"user":null,"step":{"flow_id":"","version":0,"state":"idle"}}', JSON_TYPE, "bad_answer"],
  ["a step without a version", 200, JSON.stringify({ ...UNVERSIONED, user: null, step: UNVERSIONED }), JSON_TYPE, "bad_answer"],
  ["another kind of user", 200, JSON.stringify({ user: { name: "ana" }, step: STEP }), JSON_TYPE, "bad_answer"],
  ["an answer of another type", 200, VALID, { "content-type": "text/plain" }, "not_oncegate"],
  ["another API's error", 409, '{"code":"no_such_flow"}', JSON_TYPE, "bad_answer"],
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
  const later = new Date(Date.now() + 60_000).toUTCString();
  server.faults.push(() => answer(429, { code: "too_many_requests" }, { "retry-after": later }));
  const { retryAfter } = await problemOf(signIn.resume());
  assert.ok(retryAfter > 50 && retryAfter <= 60, retryAfter);
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

test("buttons are pending while a call is under way that another tab has begun", async () => {
  const auth = storeAt();
  server.cookie = "flow1";
  server.faults.push(() => answer(200, { user: null, step: server.step("flow1", 1, "checking_password") }));
  server.flows.set("flow1", { version: 2, state: "awaiting_mfa" });
  const release = server.hold(/wait=20/);
  const resumed = auth.resume();
  await release.reached;
  assert.equal(auth.getSnapshot().isPending, true);
  release();
  assert.equal((await resumed).isPending, false);
});

test("a problem ends isPending", async () => {
  const auth = storeAt();
  await auth.resume();
  server.faults.push(() => answer(503, { code: "store_unavailable" }));
  assert.equal((await auth.send(PASSWORD)).isPending, false);
});

test("a subscriber that throws stops nothing, and its error reaches the page", async () => {
  const auth = storeAt();
  await auth.resume();
  const [thrown, heard] = [[], []];
  const { queueMicrotask } = globalThis;
  globalThis.queueMicrotask = (run) => { try { run(); } catch (error) { thrown.push(error.message); } };
  try {
    const stop = auth.subscribe(() => { throw new Error("a component failed"); });
    auth.subscribe(({ type }) => heard.push(type));
    server.latency = 10;
    await auth.send(PASSWORD);
    stop();
    assert.ok(thrown.length >= 3);
    assert.ok(heard.includes("step_changed"));
    assert.deepEqual([auth.getSnapshot().step.state, auth.getSnapshot().isPending], ["awaiting_mfa", false]);
    const sending = auth.send({ type: "submit_code", code: "000000" });
    assert.equal(auth.getSnapshot().isPending, true);
    assert.equal((await sending).isPending, false);
  } finally {
    globalThis.queueMicrotask = queueMicrotask;
  }
});

test("an error that is not the server's is thrown, and ends isPending", async () => {
  const auth = storeAt();
  await auth.resume();
  await assert.rejects(auth.send({ ...PASSWORD, toJSON() { throw new RangeError("no JSON"); } }), RangeError);
  assert.equal(auth.getSnapshot().isPending, false);
});

test("the question for the device has the user, who is not signed in before the answer", async () => {
  const auth = storeAt();
  await auth.resume();
  await auth.send(PASSWORD);
  server.offersDevice = true;
  const { status, user, step } = await auth.send(CODE);
  assert.deepEqual([status, user.username, step.state], ["unauthenticated", "ana", "offering_device"]);
  assert.equal((await auth.send({ type: "remember_device", remember: true })).status, "authenticated");
});

test("another user is news of a sign-in", async () => {
  const auth = storeAt();
  await auth.resume();
  await auth.send(PASSWORD);
  await auth.send(CODE);
  const news = [];
  auth.subscribe(({ type }) => news.push(type));
  server.user = { username: "bob", claims: { sub: "2" } };
  await auth.resume();
  assert.deepEqual(news, ["signed_in"]);
});

test("an error goes when another object of the page brings a new step", async () => {
  const auth = storeAt();
  await auth.resume();
  server.faults.push(() => answer(503, { code: "store_unavailable" }));
  assert.equal((await auth.send(PASSWORD)).error.code, "store_unavailable");
  await signInAt().send({ type: "cancel" });
  assert.deepEqual([auth.getSnapshot().step.state, auth.getSnapshot().error], ["failed", null]);
});

test("all sessions are ended, or one of them", async () => {
  const auth = storeAt();
  await auth.resume();
  await auth.signOutEverywhere();
  assert.ok(server.requests.includes("DELETE /auth/sessions"));
  await auth.endSession("a/b");
  assert.ok(server.requests.includes("DELETE /auth/sessions/a%2Fb"));
});

test("a late answer does not turn the status of the store back", async () => {
  const auth = storeAt();
  await auth.resume();
  const release = server.hold(/status/);
  const late = auth.status();
  await release.reached;
  await auth.send(PASSWORD);
  release();
  assert.equal((await late).step.state, "awaiting_mfa");
});

test("an action that becomes available is in a new snapshot, without a request of the page", async () => {
  const auth = storeAt();
  await auth.resume();
  const waits = (available_in) => {
    const step = server.step("flow1", 2, "awaiting_mfa");
    step.actions[1].available_in = available_in;
    return () => answer(200, { user: null, step: { ...step, expires_in: 100 } });
  };
  server.faults.push(waits(0.2), waits(0.2), waits(0)); // The server's clock may be a little late.
  auth.subscribe(() => {});
  await until(() => auth.getSnapshot().step.actions[1]?.available_in === 0.2);
  await until(() => auth.getSnapshot().step.actions[1].available_in === 0);
});

test("a passkey of the browser is submitted once; a user who declines one sees a problem", async () => {
  const asked = [];
  let credential = null;
  const get = async ({ publicKey }) => {
    asked.push(publicKey);
    await sleep(5);
    if (credential === null) throw new DOMException("declined", "NotAllowedError");
    return { toJSON: () => credential };
  };
  Object.defineProperty(globalThis, "navigator", { value: { credentials: { get } }, configurable: true });
  globalThis.PublicKeyCredential = { parseRequestOptionsFromJSON: (options) => options };
  try {
    const auth = storeAt();
    const step = { ...server.step("flow1", 1, "awaiting_passkey"), passkey_options: '{"challenge":"AA"}' };
    server.faults.push(() => answer(200, { user: null, step }));
    await auth.resume();
    const action = { event: "submit_passkey", fields: [{ name: "credential", type: "passkey" }] };
    await Promise.all([auth.submit(action, {}), auth.submit(action, {})]);
    const { error, isPending } = auth.getSnapshot();
    assert.deepEqual([error.code, isPending, asked], ["no_passkey", false, [{ challenge: "AA" }]]);
    assert.equal((await problemOf(passkey(step.passkey_options))).cause.name, "NotAllowedError");
    assert.equal(events(), 0);
    credential = { id: "one" };
    await auth.submit(action, {});
    assert.deepEqual(JSON.parse(server.options.find(({ body }) => body).body), {
      type: "submit_passkey", credential: '{"id":"one"}', version: 1,
    });
  } finally {
    delete globalThis.navigator;
    delete globalThis.PublicKeyCredential;
  }
});

test("a form is submitted with its action", async () => {
  const auth = storeAt();
  const { step } = await auth.resume();
  const after = await auth.submit(step.actions[0], { username: "ana", password: "right" });
  assert.equal(after.step.state, "awaiting_mfa");
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
  await until(() => other.getSnapshot().step.state === "awaiting_mfa");
  await one.send(CODE);
  await until(() => other.getSnapshot().status === "authenticated");
  await other.signOut();
  await until(() => one.getSnapshot().step?.state === "idle");
  assert.equal(one.getSnapshot().status, "unauthenticated");
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
    window.dispatchEvent(new Event("pageshow")); // Not from the back/forward cache.
    document.visibilityState = "hidden";
    document.dispatchEvent(new Event("visibilitychange"));
    await sleep(5);
    assert.equal(server.requests.length, before);
    document.visibilityState = "visible";
    const returns = [
      [window, new Event("focus")],
      [window, new Event("online")],
      [window, Object.assign(new Event("pageshow"), { persisted: true })],
      [document, new Event("visibilitychange")],
    ];
    for (const [index, [target, event]] of returns.entries()) {
      target.dispatchEvent(event);
      await until(() => server.requests.length === before + index + 1);
      await auth.resume(); // The same request, or the next one.
      server.requests.length = before + index + 1;
    }
    const all = server.requests.length;
    stop();
    window.dispatchEvent(new Event("focus"));
    document.dispatchEvent(new Event("visibilitychange"));
    await sleep(5);
    assert.equal(server.requests.length, all);
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
  await until(() => server.requests.length === 2);
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
  const signIn = { event: "submit_password", fields: ["username", "password"].map(field) };
  const form = new FormData();
  form.set("username", "ana");
  assert.deepEqual(eventOf(signIn, form), { type: "submit_password", username: "ana" });
  form.set("keep_signed_in", "on");
  form.set("remember_device", "on");
  assert.deepEqual(eventOf(signIn, form), { type: "submit_password", username: "ana", keep_signed_in: true });
  assert.equal(eventOf(signIn, { keep_signed_in: false }).keep_signed_in, false);
  const code = { event: "submit_code", fields: [field("code")] };
  assert.deepEqual(eventOf(code, form), { type: "submit_code", remember_device: true });
});

test("a field that may be left empty is left out of the event", () => {
  const fields = [{ name: "username", required: true }, { name: "password", required: false }];
  const action = { event: "sign_up", fields };
  assert.deepEqual(eventOf(action, { username: "", password: "" }), { type: "sign_up", username: "" });
  assert.equal(eventOf(action, { username: "ana", password: "p" }).password, "p");
});

test("signing out says where managed login ends its own session", async () => {
  const url = "https://login.example.com/logout?client_id=1";
  const signedOut = () => answer(200, { logout_url: url });
  assert.equal(await signInAt().signOut(), null);
  for (const method of ["signOut", "signOutEverywhere"]) {
    server.faults.push(signedOut);
    assert.equal(await signInAt()[method](), url);
    const auth = storeAt();
    await auth.resume();
    assert.equal(auth.getSnapshot().logoutUrl, null);
    server.faults.push(signedOut);
    const { status, logoutUrl } = await auth[method]();
    assert.deepEqual([status, logoutUrl], ["unauthenticated", url]);
    assert.equal((await auth[method]()).logoutUrl, null);
  }
});

const contexts = () => server.options.flatMap(({ body }) => (body ? [JSON.parse(body).context] : []));

test("an event carries its context, and a second click with another token is the same click", async () => {
  const signIn = signInAt();
  await signIn.start();
  const click = (token) => signIn.send({ ...PASSWORD, context: { client_metadata: { captcha: token } } });
  const steps = await Promise.all([click("one"), click("two")]);
  assert.deepEqual(steps.map(({ state }) => state), ["awaiting_mfa", "awaiting_mfa"]);
  assert.equal(server.texts, 1);
  assert.deepEqual(contexts(), [{ client_metadata: { captcha: "one" } }]);
});

test("the option gives each event a context, and is asked once for each", async () => {
  const asked = [];
  const context = async ({ type, username }) => {
    asked.push(type);
    return type === "submit_password" ? { encoded_data: `data of ${username}` } : undefined;
  };
  const store = createOncegate({ fetch: server.fetch, channel: false, context });
  await store.resume();
  await store.send(PASSWORD);
  server.faults.push(() => Promise.reject(new TypeError("no connection"))); // It is posted once more.
  await store.send({ ...CODE, context: { encoded_data: "its own" } });
  assert.equal(store.getSnapshot().status, "authenticated");
  assert.deepEqual(asked, ["submit_password"]);
  assert.deepEqual(contexts(), ["data of ana", "its own", "its own"].map((encoded_data) => ({ encoded_data })));
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
      // The second request is for a lock that another tab never releases.
      if (names.length === 2) await new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
      return run();
    },
  };
  Object.defineProperty(globalThis, "navigator", { value: { locks }, configurable: true });
  let timer;
  const tooLong = new Promise((resolve) => (timer = setTimeout(resolve, 8000)));
  try {
    await signInAt(ofOtherTab()).resume();
    const slow = signInAt(ofOtherTab()).resume();
    assert.ok(await Promise.race([slow, tooLong]));
    server.faults.push(() => answer(503, { code: "store_unavailable" }));
    await problemOf(signInAt(ofOtherTab()).resume());
    assert.equal(server.requests.length, 3); // The request that failed was made once.
    assert.deepEqual([...new Set(names)], ["oncegate /auth"]);
    delete globalThis.document; // Node's own locks are not for its users.
    await signInAt(ofOtherTab()).resume();
    assert.equal(names.length, 3);
  } finally {
    clearTimeout(timer);
    delete globalThis.navigator;
  }
});
