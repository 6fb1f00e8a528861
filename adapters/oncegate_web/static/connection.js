// The requests of one browser to one sign-in. oncegate.js and client.js are built on it.

const PATIENCE = 20; // Seconds that the server waits for a call under way: the most that it allows.
const MOST_POLLS = 6; // Two minutes, which is longer than any lease of a worker.
const LOCK_PATIENCE = 3000; // Milliseconds to wait for another tab.
const STORAGE_PAUSE = 20; // Milliseconds until other tabs see what one has stored.
const TIMEOUT = 60_000; // Milliseconds for one request.
const RETRY_AFTER = 300; // Milliseconds before an event without an answer is sent once more.
const NOT_WORKING = "Sign-in isn’t working right now. Try again in a few minutes.";
const BROKE_OFF = "The connection broke off. Try again.";

const IN_FLIGHT = new Set([
  "checking_password", "requesting_challenge", "checking_answer", "setting_password",
  "checking_device", "registering_device", "remembering_device",
]);

/** Return whether a call to Cognito is under way at a step. */
export const isInFlight = (step) => step !== null && IN_FLIGHT.has(step.state);

/** An error that the server reports (RFC 9457), or that the answer is not the server's. */
export class Problem extends Error {
  constructor(status, about = {}, { retryAfter = null, cause } = {}) {
    super(about.message || about.detail || about.title || `HTTP ${status}`, { cause });
    this.name = "Problem";
    this.status = status;
    this.code = about.code || "unknown";
    this.detail = about.detail || "";
    this.fields = about.fields || {};
    this.retryAfter = retryAfter;
  }
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const isStep = (value) =>
  isObject(value) && typeof value.flow_id === "string" && Number.isInteger(value.version)
  && typeof value.state === "string"
  && [value.actions, value.events, value.fields].every(Array.isArray);
const isUser = (value) =>
  isObject(value) && typeof value.username === "string" && isObject(value.claims);
const isStatus = (value) =>
  isObject(value) && (value.user === null || isUser(value.user)) && isStep(value.step);
const isList = (value) => isObject(value) && Array.isArray(value.sessions);
const NOTHING = Symbol("204 No Content");
const isNothing = (value) => value === NOTHING;

/** Return a value as JSON with sorted members, so that equal values are equal text. */
const canonical = (value) =>
  JSON.stringify(value, (_, part) =>
    isObject(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part);

const secondsOf = (header) => {
  if (!header) return null;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds)) : null;
};

const parsed = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/**
 * The step of one flow that its owner has seen last. An answer that was asked for earlier never turns
 * it back, however late it arrives.
 */
export class Place {
  constructor() {
    this.step = null;
    this.asked = 0; // When the step was asked for, and when it arrived: `Connection.tick`.
    this.arrived = 0;
  }

  /** Take the step of an answer if it is the later one, and return whether it is. */
  take({ step, asked, arrived }) {
    const isAfter = asked > this.arrived; // The server made it after it had made ours.
    const isSameFlow = this.step !== null && this.step.flow_id === step.flow_id;
    const isLater = isSameFlow
      ? step.version > this.step.version || (step.version === this.step.version && asked > this.asked)
      : asked > this.asked;
    if (!(isAfter || isLater)) return false;
    Object.assign(this, { step, asked, arrived });
    return true;
  }

  /** Forget the step, and ignore answers that were asked for before. */
  clear(now) {
    Object.assign(this, { step: null, asked: now, arrived: now });
  }
}

/**
 * Run a request with a lock in the storage that the tabs share, where `navigator.locks` is missing:
 * old browsers, and origins that are not secure. Of tabs that write at once, the last one has the lock.
 */
const lockedByStorage = async (name, run) => {
  const me = `${Math.random()}`;
  const read = () => {
    const [owner, until] = (localStorage.getItem(name) || "").split(" ");
    return Number(until) > Date.now() ? owner : null;
  };
  const write = () => localStorage.setItem(name, `${me} ${Date.now() + LOCK_PATIENCE}`);
  try {
    const end = Date.now() + LOCK_PATIENCE;
    while (read() !== me && Date.now() < end) {
      if (read() === null) write();
      await sleep(STORAGE_PAUSE);
    }
  } catch {
    return run(); // No storage: a worker, a server, or a browser that forbids it.
  }
  try {
    return await run();
  } finally {
    if (read() === me) localStorage.removeItem(name);
  }
};

/** The requests to one sign-in, and those under way. */
export class Connection {
  constructor(prefix, call) {
    this.prefix = prefix;
    this.call = call;
    this.ticks = 0;
    this.place = new Place(); // The latest step, whichever object asked for it.
    this.reads = new Map();
    this.writes = [];
    this.tail = Promise.resolve(); // The last write.
    this.writesDone = 0;
    this.store = null;
  }

  tick() {
    return (this.ticks += 1);
  }

  /** Ask the server, and check that the answer is its own. */
  async ask(method, path, isExpected, body) {
    const asked = this.tick();
    const headers = { Accept: "application/json" };
    if (body) headers["Content-Type"] = "application/json";
    let response, text;
    try {
      response = await this.call(this.prefix + path, {
        method,
        headers,
        credentials: "include",
        cache: "no-store",
        signal: AbortSignal.timeout?.(TIMEOUT),
        body: body ? JSON.stringify(body) : undefined,
      });
      text = await response.text();
    } catch (cause) {
      throw new Problem(0, { code: "no_answer", message: BROKE_OFF, detail: String(cause) }, { cause });
    }
    const value = this.valueOf(method, path, response, text, isExpected);
    return { value, asked, arrived: this.tick() };
  }

  /** Return the value of an answer; anything that is not an answer of this API is a problem. */
  valueOf(method, path, response, text, isExpected) {
    const { status, ok } = response;
    const kind = (response.headers.get("content-type") || "").split(";")[0].trim().toLowerCase();
    const retryAfter = secondsOf(response.headers.get("retry-after"));
    const value = status === 204 ? NOTHING : parsed(text);
    if (!ok && kind === "application/problem+json" && typeof value?.code === "string") {
      throw new Problem(status, value, { retryAfter });
    }
    if (ok && (status === 204 || kind === "application/json") && isExpected(value)) return value;
    const isElsewhere = status === 404 || status === 405 || (ok && kind !== "application/json");
    const detail = `${method} ${this.prefix}${path}: status ${status}, type “${kind}”. `
      + (isElsewhere ? "Is the prefix right?" : "This is no answer of oncegate.");
    const code = isElsewhere ? "not_oncegate" : "bad_answer";
    throw new Problem(status, { code, message: NOT_WORKING, detail }, { retryAfter });
  }

  /** Ask for a step, and tell the store about it. */
  async askForStep(method, path, body) {
    const { value: step, ...when } = await this.ask(method, path, isStep, body);
    return this.heard({ step, ...when });
  }

  heard(answer) {
    const isLater = this.place.take(answer);
    this.store?.take(answer, isLater);
    return answer;
  }

  /** Return the status; several that are asked for at once share one request. */
  read(wait) {
    const key = `${wait} ${this.writesDone}`; // Not one that was asked for before a write ended.
    const underWay = this.reads.get(key);
    if (underWay) return underWay;
    const ask = async () => {
      const path = wait ? `/status?wait=${wait}` : "/status";
      const { value, ...when } = await this.ask("GET", path, isStatus);
      return this.heard({ ...value, ...when });
    };
    // A status can begin a flow: one tab after the other. Those that wait for a call hold no lock.
    const reading = (wait ? ask() : this.locked(ask))
      .finally(() => this.reads.delete(key));
    this.reads.set(key, reading);
    return reading;
  }

  /** Return the status; a call to Cognito that is under way is waited for. */
  async status() {
    return this.settled(await this.read(0));
  }

  /** Wait until no call to Cognito is under way. */
  async settled(answer) {
    let settled = answer;
    for (let polls = 0; isInFlight(settled.step) && polls < MOST_POLLS; polls += 1) {
      const began = Date.now();
      settled = await this.read(PATIENCE);
      const isEarly = isInFlight(settled.step) && Date.now() - began < 1000;
      if (isEarly) await sleep(1000); // The server is too busy to let requests wait.
    }
    return settled;
  }

  /** Run writes one after another. One that equals a write under way joins it. */
  write(name, run) {
    const underWay = this.writes.find((one) => one.name === name);
    if (underWay) return underWay.answer;
    const answer = this.tail.then(run);
    const write = { name, answer };
    this.writes.push(write);
    const end = () => {
      this.writes.splice(this.writes.indexOf(write), 1);
      this.writesDone += 1;
    };
    this.tail = answer.then(end, end);
    return answer;
  }

  /** Return the live flow of this browser, or a new one. */
  start() {
    return this.write("start", () => this.begin());
  }

  begin() {
    return this.locked(() => this.askForStep("POST", "/flows"));
  }

  /** Send an event of the step that the user saw. */
  send(step, event) {
    return this.write(`send ${canonical(event)}`, () => this.sendTo(step, event));
  }

  async sendTo(step, event) {
    const answer = await this.post(step, event).catch((problem) => {
      if (problem.code === "no_such_flow") return null;
      throw problem;
    });
    const isGone = answer === null || answer.step.message?.code === "flow_expired";
    if (!isGone) return this.settled(answer);
    // The event did nothing, because its flow is over.
    const isFirst = step.state === "idle";
    if (answer && !isFirst) return answer;
    const current = await this.begin();
    const isSame = isFirst && current.step.state === "idle" && current.step.version === 0;
    return this.settled(isSame ? await this.post(current.step, event) : current);
  }

  /**
   * Post an event. If no answer arrives, post it once more: the server recognises it by its version,
   * and an accepted answer has to be repeated to receive the session.
   */
  async post(step, event) {
    const path = `/flows/${step.flow_id || "current"}/events`;
    const body = { ...event, version: step.version };
    try {
      return await this.askForStep("POST", path, body);
    } catch (problem) {
      if (problem.code !== "no_answer") throw problem;
    }
    await sleep(RETRY_AFTER);
    return this.askForStep("POST", path, body);
  }

  /** End sessions. */
  end(path) {
    return this.write(`end ${path}`, async () => {
      await this.ask("DELETE", path, isNothing);
    });
  }

  /** Sign out, here or everywhere. */
  signOut(path) {
    return this.end(path).then(() => this.place.clear(this.tick()));
  }

  async sessions() {
    return (await this.ask("GET", "/sessions", isList)).value.sessions;
  }

  /**
   * Run a request while no other tab runs one, unless the other tab is slow. If two tabs without a
   * cookie began a flow at once, each could send an event before the other one's cookie arrives.
   */
  async locked(run) {
    const name = `oncegate ${this.prefix}`;
    const locks = globalThis.navigator?.locks;
    if (!locks) return lockedByStorage(name, run);
    let hasBegun = false;
    const begin = () => {
      hasBegun = true;
      return run();
    };
    try {
      const signal = AbortSignal.timeout(LOCK_PATIENCE);
      return await locks.request(name, { signal }, begin);
    } catch (error) {
      if (hasBegun) throw error;
      return run();
    }
  }
}

const ofBrowser = (...request) => globalThis.fetch(...request);
const connections = new WeakMap();

/**
 * Return the connection to a sign-in. All objects of a tab share it, so that they share what is under
 * way. A server has many users, so there nothing is shared.
 */
export const connectionTo = (prefix, call = ofBrowser) => {
  const path = prefix.replace(/\/+$/, "");
  const isBrowser = typeof document !== "undefined" || typeof importScripts === "function";
  if (!isBrowser) return new Connection(path, call);
  if (!connections.has(call)) connections.set(call, new Map());
  const known = connections.get(call);
  if (!known.has(path)) known.set(path, new Connection(path, call));
  return known.get(path);
};
