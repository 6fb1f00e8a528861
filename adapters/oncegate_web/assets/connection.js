// The requests of one browser to one sign-in. oncegate.js, client.js and account.js are built on it.

/**
 * @import { ClientOptions, ListedSession, OwnTexts, SignInEvent, Step, User } from "oncegate"
 *
 * @typedef {{ asked: number, arrived: number }} Times When an answer was asked for, and when it arrived,
 *   in ticks of `Connection.tick`.
 * @typedef {Times & { step: Step, user?: User | null }} Answer
 * @typedef {Times & { step: Step, user: User | null }} StatusAnswer
 */

const LONGEST_POLL = 20; // Seconds that the server waits for a call under way: the most that it allows.
const MAX_POLLS = 6; // Two minutes, which is longer than any lease of a worker.
const POLL_PAUSE_MS = 1000; // If the server is too busy to let requests wait.
const LOCK_TIMEOUT_MS = 3000; // For another tab.
const STORAGE_PAUSE_MS = 20; // Until other tabs see what one has stored.
const REQUEST_TIMEOUT_MS = 60_000;
const REPOST_PAUSE_MS = 300; // Before an event without an answer is sent once more.
export const SECOND_CLICK_MS = 1000; // After an answer, in which an equal event is a second click.
const NOT_WORKING = "Sign-in isn’t working right now. Try again in a few minutes.";

/** English texts of the problems that the module finds itself. @type {OwnTexts} */
export const OWN_TEXTS = {
  no_answer: "The connection broke off. Try again.",
  not_oncegate: NOT_WORKING,
  bad_answer: NOT_WORKING,
  no_passkey: "Your browser didn’t use a passkey. Try again, or sign in another way.",
  no_new_passkey: "Your browser didn’t create a passkey. Try again, or go back.",
};

/** States with a call to Cognito under way. @type {ReadonlySet<string>} */
export const IN_FLIGHT = new Set([
  "checking_password", "requesting_challenge", "checking_answer", "setting_password",
  "creating_account", "exchanging_code", "checking_device", "registering_device",
  "remembering_device", "requesting_setup", "checking_setup", "changing", "finding_factors",
]);

/** Return whether a call to Cognito is under way at a step. @param {Step | null} step */
export const isInFlight = (step) => step !== null && IN_FLIGHT.has(step.state);

/** Return whether a flow has ended, and its session has reached the browser. @param {Step | null} step */
export const isSignedIn = (step) => step?.state === "authenticated" && step.actions.length === 0;

/** An error that the server reports (RFC 9457), or that the answer is not the server's. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {{ code?: string, message?: string, detail?: string, title?: string,
   *   fields?: Record<string, string> }} about
   * @param {{ retryAfter?: number | null, cause?: unknown }} more
   */
  constructor(status, about = {}, { retryAfter = null, cause } = {}) {
    super(about.message || about.detail || about.title || `HTTP ${status}`, { cause });
    this.name = "Problem";
    this.status = status;
    this.code = /** @type {import("oncegate").ProblemCode} */ (about.code || "unknown");
    this.detail = about.detail || "";
    this.fields = about.fields || {};
    this.retryAfter = retryAfter;
  }
}

/** @param {number} milliseconds */
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
export const isStep = (value) =>
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
const isEnd = (value) => isNothing(value) || (isObject(value) && typeof value.logout_url === "string");

/** Return a value as JSON with sorted members, so that equal values are equal text. */
export const canonical = (value) =>
  JSON.stringify(value, (_, part) =>
    isObject(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part);

/** Return the seconds of a Retry-After header, which has seconds or a time. @param {string | null} header */
const secondsOf = (header) => {
  if (!header) return null;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds)) : null;
};

/** @param {string} text */
const parsed = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/**
 * The latest step that was received. An answer that was asked for earlier never turns it back, however
 * late it arrives.
 */
export class LatestStep {
  constructor() {
    /** @type {Step | null} */
    this.step = null;
    this.asked = 0;
    this.arrived = 0;
  }

  /** Take the step of an answer if it is the later one, and return whether it is. @param {Answer} answer */
  take({ step, asked, arrived }) {
    if (!this.isBefore(step, asked)) return false;
    Object.assign(this, { step, asked, arrived });
    return true;
  }

  /** @param {Step} step @param {number} asked */
  isBefore(step, asked) {
    // The server made it after ours had arrived. A flow that it has no more has a lower version.
    if (asked > this.arrived) return true;
    if (this.step?.flow_id !== step.flow_id) return asked > this.asked;
    if (step.version !== this.step.version) return step.version > this.step.version;
    // A request that left before the session's cookie arrived is asked for the same answer once more.
    if (isSignedIn(step) !== isSignedIn(this.step)) return isSignedIn(step);
    return asked > this.asked;
  }

  /** Forget the step, and ignore answers that were asked for before. @param {number} now */
  clear(now) {
    Object.assign(this, { step: null, asked: now, arrived: now });
  }
}

/**
 * Run a request with a lock in the storage that the tabs share, where `navigator.locks` is missing:
 * old browsers, and origins that are not secure. Of tabs that write at once, the last one has the lock.
 *
 * @template T
 * @param {string} name
 * @param {() => Promise<T>} run
 */
const lockedByStorage = async (name, run) => {
  const me = `${Math.random()}`;
  const read = () => {
    const [owner, until] = (localStorage.getItem(name) || "").split(" ");
    return Number(until) > Date.now() ? owner : null;
  };
  const write = () => localStorage.setItem(name, `${me} ${Date.now() + LOCK_TIMEOUT_MS}`);
  try {
    const end = Date.now() + LOCK_TIMEOUT_MS;
    while (read() !== me && Date.now() < end) {
      if (read() === null) write();
      await sleep(STORAGE_PAUSE_MS);
    }
  } catch {
    return run(); // No storage: a worker, or a browser that forbids it.
  }
  try {
    return await run();
  } finally {
    if (read() === me) localStorage.removeItem(name);
  }
};

/** The requests to one sign-in, and those under way. */
export class Connection {
  /** @param {string} prefix @param {typeof fetch} call @param {boolean} isInBrowser */
  constructor(prefix, call, isInBrowser) {
    this.prefix = prefix;
    this.call = call;
    this.isInBrowser = isInBrowser;
    /** @type {string | null} */
    this.language = null; // The browser's.
    this.texts = OWN_TEXTS;
    /** @type {NonNullable<ClientOptions["context"]>} */
    this.contextOf = () => undefined;
    this.ticks = 0;
    this.latest = new LatestStep(); // Whichever object asked for it.
    this.signedOutAt = 0; // The tick at which the server last knew of no user.
    /** @type {Map<string, Promise<any>>} */
    this.reads = new Map();
    /** @type {{ name: string, answer: Promise<any> }[]} */
    this.writes = [];
    /** @type {Promise<unknown>} */
    this.tail = Promise.resolve(); // The last write.
    this.lastName = "";
    this.writesDone = 0;
    /** @type {{ name: string, answer: Answer, at: number, isAfterStart: boolean } | null} */
    this.lastSent = null; // The last event that was answered.
    /** @type {import("./client.js").Store | null} */
    this.store = null;
    /** @type {import("./account.js").Requests | null} */
    this.account = null;
  }

  /** @param {ClientOptions} options */
  configure({ language, texts, context }) {
    if (language !== undefined) this.language = language;
    if (texts !== undefined) this.texts = { ...OWN_TEXTS, ...texts };
    if (context !== undefined) this.contextOf = context;
  }

  tick() {
    return (this.ticks += 1);
  }

  /**
   * Ask the server, and check that the answer is its own.
   *
   * @param {string} method
   * @param {string} path
   * @param {(value: any) => boolean} isExpected
   * @param {object} [body]
   */
  async ask(method, path, isExpected, body) {
    const asked = this.tick();
    /** @type {Record<string, string>} */
    const headers = { Accept: "application/json" };
    if (this.language) headers["Accept-Language"] = this.language;
    if (body) headers["Content-Type"] = "application/json";
    let response, text;
    try {
      response = await this.call(this.prefix + path, {
        method,
        headers,
        credentials: "include",
        cache: "no-store",
        signal: AbortSignal.timeout?.(REQUEST_TIMEOUT_MS) ?? null,
        body: body ? JSON.stringify(body) : null,
      });
      text = await response.text();
    } catch (cause) {
      throw this.problem(0, "no_answer", String(cause), { cause });
    }
    const value = this.checked(method, path, response, text, isExpected);
    return { value, asked, arrived: this.tick() };
  }

  /** Return a problem that the module found itself. @param {keyof OwnTexts} code */
  problem(status, code, detail, more = {}) {
    return new Problem(status, { code, message: this.texts[code], detail }, more);
  }

  /** Return the value of an answer; anything that is not an answer of this API is a problem. */
  checked(method, path, response, text, isExpected) {
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
    throw this.problem(status, isElsewhere ? "not_oncegate" : "bad_answer", detail, { retryAfter });
  }

  /** Ask for a step. @returns {Promise<Answer>} */
  async askForStep(method, path, body) {
    const { value: step, ...times } = await this.ask(method, path, isStep, body);
    return this.receive({ step, ...times });
  }

  /**
   * Take an answer, and tell the store about it.
   *
   * @template {Answer} T
   * @param {T} answer
   */
  receive(answer) {
    const isLater = this.latest.take(answer);
    if (answer.user === null) this.signedOutAt = Math.max(this.signedOutAt, answer.asked);
    this.store?.take(answer, isLater);
    return answer;
  }

  /** Return the status. @param {number} wait @returns {Promise<StatusAnswer>} */
  read(wait) {
    return this.shared("/status", wait, async (path) => {
      const { value, ...times } = await this.ask("GET", path, isStatus);
      return this.receive({ ...value, ...times });
    });
  }

  /**
   * Run a read. Several that are asked for at once share one request.
   *
   * @template T
   * @param {string} name
   * @param {number} wait
   * @param {(path: string) => Promise<T>} run
   * @returns {Promise<T>}
   */
  shared(name, wait, run) {
    const path = wait ? `${name}?wait=${wait}` : name;
    const key = `${path} ${this.writesDone}`; // Not one that was asked for before a write ended.
    const underWay = this.reads.get(key);
    if (underWay) return underWay;
    // A read can begin a flow: one tab after the other. Those that wait for a call hold no lock.
    const reading = (wait ? run(path) : this.locked(() => run(path)))
      .finally(() => this.reads.delete(key));
    this.reads.set(key, reading);
    return reading;
  }

  /** Return the status; a call to Cognito that is under way is waited for. @returns {Promise<StatusAnswer>} */
  async status() {
    return this.settled(await this.read(0));
  }

  /**
   * Wait until no call to Cognito is under way.
   *
   * @template {{ step: Step }} T
   * @param {T} answer
   * @param {(wait: number) => Promise<any>} read
   * @returns {Promise<T>}
   */
  async settled(answer, read = (wait) => this.read(wait)) {
    let settled = answer;
    for (let polls = 0; isInFlight(settled.step) && polls < MAX_POLLS; polls += 1) {
      const began = Date.now();
      settled = await read(LONGEST_POLL);
      const isEarly = isInFlight(settled.step) && Date.now() - began < POLL_PAUSE_MS;
      if (isEarly) await sleep(POLL_PAUSE_MS);
    }
    return settled;
  }

  /**
   * Run writes one after another. One that equals a write under way joins it.
   *
   * @template T
   * @param {string} name
   * @param {() => Promise<T>} run
   * @returns {Promise<T>}
   */
  write(name, run) {
    this.lastName = name;
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

  /** Return the live flow of this browser, or a new one. @returns {Promise<Answer>} */
  start() {
    const clicked = this.tick();
    return this.write("start", async () => {
      const { lastSent } = this;
      // `start` and `send` in one handler: the second click must not begin another sign-in.
      const isSecondClick = lastSent !== null && isSignedIn(lastSent.answer.step)
        && (lastSent.answer.arrived > clicked || lastSent.isAfterStart) && this.isRecent(lastSent);
      return isSecondClick ? lastSent.answer : this.settled(await this.begin());
    });
  }

  begin() {
    return this.locked(() => this.askForStep("POST", "/flows"));
  }

  /**
   * Send an event of the step that the user saw; null if the user saw none.
   *
   * The second click may come after the answer to the first, such as one that asks for the password
   * again. So an equal event joins that answer for a second, while nothing else has happened.
   *
   * @param {Step | null} step
   * @param {SignInEvent} event
   * @returns {Promise<Answer>}
   */
  async send(step, event) {
    const { context, ...answer } = event; // Each click can have a CAPTCHA token of its own.
    const name = `send ${canonical(answer)}`;
    const { lastSent } = this;
    const isUnderWay = this.writes.some((one) => one.name === name);
    if (!isUnderWay && lastSent?.name === name && this.isRecent(lastSent)) return lastSent.answer;
    const isAfterStart = this.lastName === "start";
    // A step without anything to do is none that the user answered: another tab may have signed out.
    const hasSeen = step !== null && !isSignedIn(step);
    const seen = hasSeen || isUnderWay ? Promise.resolve(step) : this.status().then((now) => now.step);
    seen.catch(() => {}); // It may fail while the event still waits for others.
    return this.write(name, async () => {
      const answer = await this.sendTo(/** @type {Step} */ (await seen), event);
      this.lastSent = { name, answer, at: performance.now(), isAfterStart };
      return answer;
    });
  }

  /** Return whether an answer is at most a second old, and still the latest one. */
  isRecent({ answer, at }) {
    const now = this.latest.step;
    const isLatest = isSignedIn(answer.step)
      ? isSignedIn(now)
      : now?.flow_id === answer.step.flow_id && now?.version === answer.step.version;
    return isLatest && performance.now() - at < SECOND_CLICK_MS;
  }

  /** @param {Step} step @param {SignInEvent} event @returns {Promise<Answer>} */
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
    const current = await this.settled(await this.begin());
    const isSame = isFirst && current.step.state === "idle" && current.step.version === 0;
    return isSame ? this.settled(await this.post(current.step, event)) : current;
  }

  /**
   * Post an event.
   *
   * @param {Step} step
   * @param {SignInEvent} event
   */
  async post(step, event) {
    const context = event.context ?? (await this.contextOf(event));
    const { value, ...times } = await this.postEvent(`/flows/${step.flow_id || "current"}`, step, event, context);
    return this.receive({ step: value, ...times });
  }

  /**
   * Post an event. If no answer arrives, post it once more: the server recognises it by its version,
   * and an accepted answer has to be repeated to receive the session.
   *
   * @param {string} path
   * @param {{ version: number }} step
   * @param {object} event
   * @param {object | undefined} context
   */
  async postEvent(path, step, event, context) {
    const body = { ...event, ...(context && { context }), version: step.version };
    const ask = () => this.ask("POST", `${path}/events`, isStep, body);
    try {
      return await ask();
    } catch (problem) {
      if (problem.code !== "no_answer") throw problem;
    }
    await sleep(REPOST_PAUSE_MS);
    return ask();
  }

  /**
   * End sessions. Returns where the browser has to go to sign out at managed login, or null.
   *
   * @param {string} path
   * @returns {Promise<string | null>}
   */
  end(path) {
    return this.write(`end ${path}`, async () => {
      const { value } = await this.ask("DELETE", path, isEnd);
      return isNothing(value) ? null : value.logout_url;
    });
  }

  /** Sign out, here or everywhere. @param {"/session" | "/sessions"} path */
  async signOut(path) {
    const url = await this.end(path);
    this.signedOutAt = this.tick();
    this.latest.clear(this.signedOutAt);
    return url;
  }

  /** End one session, by its name. @param {string} name @returns {Promise<void>} */
  async endSession(name) {
    await this.end(`/sessions/${encodeURIComponent(name)}`);
  }

  /** @returns {Promise<ListedSession[]>} */
  async sessions() {
    return (await this.ask("GET", "/sessions", isList)).value.sessions;
  }

  /**
   * Run a request while no other tab runs one, unless the other tab is slow. If two tabs without a
   * cookie began a flow at once, each could send an event before the other one's cookie arrives.
   *
   * @template T
   * @param {() => Promise<T>} run
   * @returns {Promise<T>}
   */
  async locked(run) {
    if (!this.isInBrowser) return run(); // Node has locks, too; its users must not wait for each other.
    const name = `oncegate ${this.prefix}`;
    const locks = globalThis.navigator?.locks;
    if (!locks) return lockedByStorage(name, run);
    let hasBegun = false;
    const begin = () => {
      hasBegun = true;
      return run();
    };
    try {
      const signal = AbortSignal.timeout(LOCK_TIMEOUT_MS);
      return await locks.request(name, { signal }, begin);
    } catch (error) {
      if (hasBegun) throw error;
      return run();
    }
  }
}

/** @type {typeof fetch} */
const ofBrowser = (...request) => globalThis.fetch(...request);
/** @type {WeakMap<typeof fetch, Map<string, Connection>>} */
const connections = new WeakMap();

/**
 * Return the connection to a sign-in. All objects of a tab with the same prefix and the same `fetch`
 * share it, so that they share what is under way. A server has many users, so there nothing is shared.
 *
 * @param {string} prefix
 * @param {ClientOptions} options
 */
export const connectionTo = (prefix, { fetch: call = ofBrowser, ...options } = {}) => {
  const path = prefix.replace(/\/+$/, "");
  const isInBrowser = typeof document !== "undefined" || "importScripts" in globalThis;
  const known = connections.get(call) ?? new Map();
  if (isInBrowser) connections.set(call, known);
  const connection = known.get(path) ?? new Connection(path, call, isInBrowser);
  connection.configure(options);
  known.set(path, connection);
  return connection;
};
