// A server with the JSON API's contract, in memory, and a browser's cookie. For tests in Node.

const FIELDS = { submit_password: ["username", "password"], submit_code: ["code"] };
const ACTIONS = {
  idle: ["submit_password", "cancel"],
  awaiting_mfa: ["submit_code", "request_new_code", "cancel"],
  offering_device: ["remember_device"],
};
const CHANGES = {
  managing: ["submit_address", "add_passkey", "delete_account"],
  confirming_address: ["submit_code", "cancel"],
  registering_passkey: ["submit_passkey", "cancel"],
};

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Wait until something is so: for at most ten seconds, because a loaded machine is slow. */
export const until = async (isSo) => {
  const end = Date.now() + 10_000;
  while (!isSo()) {
    if (Date.now() > end) throw new Error(`never so: ${isSo}`);
    await sleep(2);
  }
};

export const answer = (status, value, headers = {}) => {
  const kind = status >= 400 ? "application/problem+json" : "application/json";
  const body = value === null ? null : JSON.stringify(value);
  return new Response(body, { status, headers: { "content-type": kind, ...headers } });
};

export class FakeServer {
  constructor() {
    this.flows = new Map(); // Those that were stored.
    this.cookie = null; // Of the browser; all tabs have the same.
    this.user = null;
    this.change = { id: "change1", version: 0, state: "managing" }; // Of the account.
    this.texts = 0;
    this.made = 0;
    this.requests = [];
    this.options = []; // Of the requests.
    this.losesOutcome = false; // Whether Cognito's next response is lost.
    this.offersDevice = false;
    this.latency = 0;
    this.faults = []; // Functions that handle the next requests instead.
    this.held = [];
    this.fetch = this.fetch.bind(this);
  }

  /**
   * Let the next request that matches be processed at once, but be answered only when released. Returns
   * the function that releases it; `release.reached` is kept when the request has been processed.
   */
  hold(pattern) {
    let release, reach;
    const released = new Promise((resolve) => (release = resolve));
    release.reached = new Promise((resolve) => (reach = resolve));
    this.held.push({ pattern, released, reach });
    return release;
  }

  async fetch(url, options) {
    const request = `${options.method} ${url}`;
    this.requests.push(request);
    this.options.push(options);
    await sleep(this.latency / 2);
    const fault = this.faults.shift();
    const response = fault ? await fault(url, options) : this.handle(url, options);
    const index = this.held.findIndex(({ pattern }) => pattern.test(request));
    if (index >= 0) {
      const [{ released, reach }] = this.held.splice(index, 1);
      reach();
      await released;
    }
    await sleep(this.latency / 2);
    return response;
  }

  handle(url, { method, body }) {
    const path = url.replace(/^\/auth/, "").replace(/\?.*/, "");
    const event = body && JSON.parse(body);
    if (path === "/flows") return answer(this.isLive() ? 200 : 201, this.live());
    if (path === "/status") {
      if (this.user && !this.isLive()) return answer(200, { user: this.user, step: this.step("", 0, "authenticated") });
      return answer(200, { user: this.user, step: this.live() });
    }
    if (path === "/session" && method === "DELETE") {
      Object.assign(this, { user: null, cookie: null });
      return answer(204, null);
    }
    if (path.startsWith("/sessions") && method === "DELETE") {
      Object.assign(this, { user: null, cookie: null });
      return answer(204, null);
    }
    if (path === "/sessions" && method === "GET") return answer(200, { sessions: [] });
    if (path.startsWith("/account")) {
      if (!this.user) return answer(401, { code: "not_signed_in", title: "Unauthorized" });
      return method === "POST" ? this.changeAccount(event) : answer(200, this.account());
    }
    const id = path.split("/")[2];
    const isOwn = this.cookie !== null && (id === this.cookie || !this.flows.has(id));
    return isOwn ? this.send(event) : answer(404, { code: "no_such_flow", title: "Not Found" });
  }

  isLive() {
    const flow = this.flows.get(this.cookie);
    return this.cookie !== null && !(flow && ["authenticated", "failed"].includes(flow.state));
  }

  live() {
    if (!this.isLive()) this.cookie = `flow${(this.made += 1)}`;
    const { version, state } = this.flows.get(this.cookie) ?? { version: 0, state: "idle" };
    return this.step(this.cookie, version, state);
  }

  send({ type, version, code }) {
    const flow = this.flows.get(this.cookie) ?? { version: 0, state: "idle" };
    const isSameAnswer = flow.state === "authenticated" && code === flow.code;
    if (isSameAnswer) return answer(200, this.step(this.cookie, flow.version, flow.state));
    if (version !== flow.version || !(ACTIONS[flow.state] ?? []).includes(type)) {
      return answer(200, this.step(this.cookie, flow.version, flow.state, "stale"));
    }
    let reason = null;
    if (type === "cancel") flow.state = "failed";
    else if (type === "submit_password" || type === "request_new_code") {
      this.texts += 1;
      flow.state = this.losesOutcome ? "idle" : "awaiting_mfa";
      this.losesOutcome = false;
    } else if (type === "remember_device") flow.state = "authenticated";
    else if (code === "123456") {
      Object.assign(flow, { state: this.offersDevice ? "offering_device" : "authenticated", code });
      this.user = { username: "ana", claims: { sub: "1" } };
    } else reason = "wrong_code";
    flow.version += 2;
    this.flows.set(this.cookie, flow);
    return answer(200, this.step(this.cookie, flow.version, flow.state, reason));
  }

  account() {
    const { id, version, state } = this.change;
    return { account: { username: "ana", addresses: {} }, step: this.step(id, version, state) };
  }

  changeAccount({ type, version, code }) {
    const { change } = this;
    if (version !== change.version || !(CHANGES[change.state] ?? []).includes(type)) {
      return answer(200, this.step(change.id, change.version, change.state, "stale"));
    }
    let reason = null;
    if (type === "submit_address") {
      this.texts += 1;
      change.state = "confirming_address";
    } else if (type === "add_passkey") change.state = "registering_passkey";
    else if (type === "delete_account") Object.assign(this, { user: null, cookie: null, isClosed: true });
    else if (type === "submit_code" && code !== "123456") reason = "wrong_code";
    else change.state = "managing";
    if (this.isClosed) change.state = "closed";
    change.version += 2;
    return answer(200, this.step(change.id, change.version, change.state, reason));
  }

  step(flow_id, version, state, reason = null) {
    const events = ACTIONS[state] ?? CHANGES[state] ?? [];
    const actions = events.map((event) => ({
      event, label: event, fields: (FIELDS[event] ?? []).map((name) => ({ name })),
      is_main: event === events[0], available_at: null, available_in: null,
    }));
    return {
      flow_id, version, state, title: state, actions, events, fields: actions[0]?.fields ?? [],
      passkey_creation: state === "registering_passkey" ? '{"challenge":"AAAA","pubKeyCredParams":[]}' : null,
      expires_in: null, message: null, reason: reason && { code: reason, text: reason, detail: "" },
    };
  }
}

/** A channel to the other tabs of a test. */
export class Channels {
  constructor() {
    this.all = [];
    this.posted = [];
  }

  open() {
    const target = new EventTarget();
    target.postMessage = (data) => {
      this.posted.push(data.type);
      for (const other of this.all) {
        if (other !== target) other.dispatchEvent(Object.assign(new Event("message"), { data }));
      }
    };
    this.all.push(target);
    return target;
  }
}
