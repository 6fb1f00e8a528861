// A sign-in as a store that frameworks subscribe to. Import it from oncegate.js.

import { OWN_TEXTS, Problem, connectionTo, isInFlight, isSignedIn } from "./connection.js";
import { passkey as ask } from "./passkey.js";

/**
 * @import { Action, Channel, News, Oncegate, OncegateOptions, SignInEvent, Snapshot, Step, User, Values }
 *   from "oncegate"
 */

/** @type {Snapshot} */
const LOADING = Object.freeze({
  status: "loading", step: null, user: null, error: null, isPending: false, receivedAt: 0,
  logoutUrl: null,
});
const NEWS_FOR_OTHER_TABS = new Set(["signed_in", "signed_out", "step_changed", "session_renewed"]);
/** States in which the session has begun, but the sign-in has a question. @type {ReadonlySet<string>} */
export const OFFERS_DEVICE = new Set(["registering_device", "offering_device", "remembering_device"]);
const RELATIVE_TIMES = new Set(["expires_in", "new_code_in", "available_in"]);
const WINDOW_EVENTS = ["focus", "pageshow", "online"];
const TIMER_SLACK_MS = 100; // The server's clock and the browser's timers differ a little.
const LONGEST_TIMER_MS = 2 ** 31 - 1; // A browser's longer timers end at once.

const frozen = (value) => {
  if (typeof value === "object" && value !== null) Object.values(value).forEach(frozen);
  return Object.freeze(value);
};

/** Return a value as text, in which of a time only counts whether it has come. */
const text = (value) =>
  JSON.stringify(value, (name, part) => (RELATIVE_TIMES.has(name) ? part > 0 : part));
const isSame = (one, other) => text(one) === text(other);

/** @param {User | null} user @param {Step | null} step */
const statusOf = (user, step) => {
  const isAsked = step !== null && OFFERS_DEVICE.has(step.state);
  return user !== null && !isAsked ? "authenticated" : "unauthenticated";
};

/**
 * Return what has happened between two snapshots.
 *
 * @param {Snapshot} before
 * @param {Snapshot} after
 * @returns {News["type"]}
 */
const newsOf = (before, after) => {
  if (before.status === "loading") return after.status === "loading" ? "state_changed" : "loaded";
  if (before.user === null && after.user !== null) return "signed_in";
  if (before.user !== null && after.user === null) return "signed_out";
  if (before.user?.username !== after.user?.username) return "signed_in";
  if (before.user !== after.user) return "session_renewed";
  return before.step === after.step ? "state_changed" : "step_changed";
};

/** The state of one sign-in in a tab, and its subscribers. */
export class Store {
  /** @param {import("./connection.js").Connection} connection */
  constructor(connection) {
    this.connection = connection;
    this.snapshot = LOADING;
    /** @type {Set<(news: News) => void>} */
    this.listeners = new Set();
    this.writes = 0;
    /** @type {Channel | null} */
    this.channel = null;
    this.ownsChannel = false;
    /** @type {any} */
    this.timer = undefined;
    /** @type {Promise<string> | null} */
    this.prompt = null; // The browser's dialog for a passkey.
    /** @type {News["from"]} */
    this.origin = "here"; // Or "elsewhere", while another tab's news is looked at.
    this.onReturn = (event) => (event.type !== "pageshow" || event.persisted) && this.refresh();
    this.onVisibility = () => document.visibilityState === "visible" && this.refresh();
    this.onMessage = ({ data }) => NEWS_FOR_OTHER_TABS.has(data?.type) && this.refresh("elsewhere");
  }

  /** @param {(news: News) => void} listener @param {Channel | false | undefined} channel */
  subscribe(listener, channel) {
    /** @type {(news: News) => void} */
    const entry = (news) => listener(news);
    this.listeners.add(entry);
    if (this.listeners.size === 1) this.open(channel);
    // Not while a server renders: it has no user to ask for.
    if (this.snapshot === LOADING && typeof document !== "undefined") this.refresh();
    return () => {
      if (this.listeners.delete(entry) && this.listeners.size === 0) this.close();
    };
  }

  /** @param {Channel | false | undefined} channel */
  open(channel) {
    if (typeof window !== "undefined") {
      for (const type of WINDOW_EVENTS) window.addEventListener(type, this.onReturn);
      document.addEventListener("visibilitychange", this.onVisibility);
    }
    this.ownsChannel = !channel && channel !== false && typeof window !== "undefined"
      && typeof BroadcastChannel !== "undefined";
    this.channel = this.ownsChannel
      ? new BroadcastChannel(`oncegate ${this.connection.prefix}`)
      : channel || null;
    this.channel?.addEventListener("message", this.onMessage);
    this.setTimer(this.snapshot.step, false);
    if (this.snapshot !== LOADING) this.refresh(); // It was not listening since it closed.
  }

  close() {
    if (typeof window !== "undefined") {
      for (const type of WINDOW_EVENTS) window.removeEventListener(type, this.onReturn);
      document.removeEventListener("visibilitychange", this.onVisibility);
    }
    this.channel?.removeEventListener("message", this.onMessage);
    if (this.ownsChannel) /** @type {BroadcastChannel} */ (this.channel).close();
    this.channel = null;
    clearTimeout(this.timer);
  }

  /**
   * Change the snapshot, and tell the subscribers; tell other tabs, unless they told this one.
   *
   * @param {Partial<Record<keyof Snapshot, unknown>>} changes
   * @param {News["from"]} from
   */
  update(changes, from = "here") {
    const before = this.snapshot;
    const after = /** @type {any} */ ({ ...before, ...changes });
    after.isPending = this.writes > 0 || isInFlight(after.step);
    if (Object.keys(after).every((name) => Object.is(before[name], after[name]))) return;
    this.snapshot = Object.freeze(after);
    const type = newsOf(before, after);
    if (from === "here" && NEWS_FOR_OTHER_TABS.has(type)) this.channel?.postMessage({ type });
    for (const listener of [...this.listeners]) this.tell(listener, { type, from });
  }

  /** Call a subscriber. Its errors are the application's, and stop nothing here. */
  tell(listener, news) {
    try {
      listener(news);
    } catch (error) {
      queueMicrotask(() => {
        throw error; // For the page's own handler of errors.
      });
    }
  }

  /**
   * Take an answer of the server; one that is late has no news.
   *
   * @param {import("./connection.js").Answer} answer
   * @param {boolean} isLater
   */
  take({ step, user }, isLater) {
    if (!isLater) return;
    if (isSignedIn(step) && user === undefined) return; // The status that follows has the user, too.
    const { snapshot } = this;
    const known = user === undefined ? snapshot.user : user;
    const isSameStep = snapshot.step !== null && isSame(snapshot.step, step);
    const changes = {
      user: isSame(snapshot.user, known) ? snapshot.user : frozen(known),
      step: isSameStep ? snapshot.step : frozen(step),
      receivedAt: isSameStep ? snapshot.receivedAt : Date.now(),
      status: statusOf(known, step),
      error: !isSameStep && this.writes === 0 ? null : snapshot.error,
    };
    this.update(changes, this.writes > 0 ? "here" : this.origin);
    this.setTimer(step, isSameStep);
  }

  /**
   * Ask again when the step's time is over, or when an action becomes available: the page changes by
   * itself. A step that is still shown after its time is not asked for again and again.
   *
   * @param {Step | null} step
   * @param {boolean} isSameStep
   */
  setTimer(step, isSameStep) {
    clearTimeout(this.timer);
    if (step === null || this.listeners.size === 0) return;
    const waits = step.actions.map((action) => action.available_in ?? 0).filter((wait) => wait > 0);
    const { expires_in: end } = step;
    if (end !== null && (end > 0 || !isSameStep)) waits.push(end + 1);
    if (waits.length === 0) return;
    const milliseconds = Math.min(...waits) * 1000 + TIMER_SLACK_MS;
    this.timer = setTimeout(() => this.refresh(), Math.min(milliseconds, LONGEST_TIMER_MS));
    this.timer.unref?.();
  }

  /** Ask for the status. An error is in the snapshot. @param {News["from"]} from */
  async refresh(from = "here") {
    this.origin = from;
    try {
      await this.connection.status();
      // What is wrong with an input stays until it is sent again.
      if (this.snapshot.error?.status !== 422 && this.writes === 0) this.update({ error: null });
    } catch (error) {
      this.fail(error);
    } finally {
      this.origin = "here";
    }
    return this.snapshot;
  }

  fail(error) {
    const isProblem = error instanceof Problem;
    this.update(isProblem ? { error } : {});
    if (!isProblem) throw error;
  }

  /** Run what the user asked for. An error is in the snapshot. @param {() => Promise<unknown>} run */
  async write(run) {
    this.writes += 1;
    this.update({ error: null });
    try {
      await run().finally(() => (this.writes -= 1));
      this.update({});
    } catch (error) {
      this.fail(error);
    }
    return this.snapshot;
  }

  /** @param {SignInEvent} event */
  send(event) {
    const { step } = this.snapshot;
    return this.write(() => this.sendFrom(step, event));
  }

  /** Send the event of a form. @param {Action} action @param {Values} values */
  submit(action, values) {
    const { step } = this.snapshot;
    const event = eventOf(action, values);
    return this.write(async () => {
      const asked = action.fields.find(({ type }) => type === "passkey");
      if (asked) Object.assign(event, { [asked.name]: await this.promptFor(step) });
      await this.sendFrom(step, event);
    });
  }

  /** @param {Step | null} step @param {SignInEvent} event */
  async sendFrom(step, event) {
    const { step: after } = await this.connection.send(step, event);
    if (isSignedIn(after) || OFFERS_DEVICE.has(after.state)) await this.connection.status();
  }

  /** Return the browser's passkey. A second click joins the dialog that is open. @param {Step | null} step */
  promptFor(step) {
    const { texts } = this.connection;
    this.prompt ??= passkey(step?.passkey_options ?? "", texts).finally(() => (this.prompt = null));
    return this.prompt;
  }

  /** @param {"/session" | "/sessions"} path */
  signOut(path) {
    return this.write(async () => {
      const logoutUrl = await this.connection.signOut(path);
      this.update({ status: "unauthenticated", user: null, step: null, logoutUrl });
      await this.connection.status();
    });
  }
}

/**
 * Ask the browser for a passkey, or for a new one: the value of a field of type `passkey`. If the user
 * declines, or has none here, it is a problem.
 *
 * @param {string} options
 * @returns {Promise<string>}
 */
export const passkey = async (options, texts = OWN_TEXTS) => {
  try {
    return await ask(options);
  } catch (cause) {
    const code = options.includes('"pubKeyCredParams"') ? "no_new_passkey" : "no_passkey";
    throw new Problem(0, { code, message: texts[code], detail: String(cause) }, { cause });
  }
};

const BOXES = ["keep_signed_in", "remember_device"]; // What a page can add to an action's own fields.
const isChecked = (value) => value === true || value === "true" || value === "on";

/**
 * Return the event of an action, with the values that the user entered: a FormData, or an object by
 * the names of the action's fields. A checkbox `keep_signed_in` belongs to a username, and
 * `remember_device` to a code.
 */
export const eventOf = (action, values) => {
  const read = (name) => (typeof values.get === "function" ? values.get(name) : values[name]) ?? null;
  const event = { type: action.event };
  for (const { name, required } of action.fields) {
    const value = read(name);
    if (value === null || (value === "" && required === false)) continue;
    const [group, key] = name.split(/\.(.*)/s);
    if (key) event[group] = { ...event[group], [key]: value };
    else event[name] = name === "remember" ? isChecked(value) : value;
  }
  const has = (field) => action.fields.some(({ name }) => name === field);
  const [keep, remember] = BOXES.map(read);
  if (keep !== null && (has("username") || has("provider"))) event.keep_signed_in = isChecked(keep);
  if (remember !== null && has("code") && !has("new_password")) event.remember_device = isChecked(remember);
  return event;
};

/**
 * Return a sign-in to subscribe to. Its snapshot is frozen, and a new object only on a change, as
 * React's `useSyncExternalStore`, Vue's `shallowRef` and Angular's signals want it.
 *
 * @param {OncegateOptions} options
 * @returns {Oncegate}
 */
export const createOncegate = ({ prefix = "/auth", channel, ...options } = {}) => {
  const connection = connectionTo(prefix, options);
  const store = (connection.store ??= new Store(connection));
  return Object.freeze({
    subscribe: (listener) => store.subscribe(listener, channel),
    getSnapshot: () => store.snapshot,
    getServerSnapshot: () => LOADING,
    resume: () => store.refresh(),
    start: () => store.write(() => connection.start()),
    send: (event) => store.send(event),
    submit: (action, values) => store.submit(action, values),
    status: async () => {
      const { user, step } = await connection.status();
      return { user, step: connection.latest.step ?? step };
    },
    session: async () => (await connection.status()).user,
    signOut: () => store.signOut("/session"),
    sessions: () => connection.sessions(),
    endSession: async (name) => {
      await connection.endSession(name);
      await store.refresh();
    },
    signOutEverywhere: () => store.signOut("/sessions"),
  });
};
