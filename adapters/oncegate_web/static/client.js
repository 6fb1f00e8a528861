// A sign-in as a store that frameworks subscribe to. Import it from oncegate.js.

import { Problem, connectionTo, isInFlight } from "./connection.js";

const LOADING = Object.freeze({
  status: "loading", step: null, user: null, error: null, isPending: false, receivedAt: 0,
});
const TOLD_BY_OTHER_TABS = new Set(["signed_in", "signed_out", "step_changed", "session_renewed"]);
const OFFERS_DEVICE = new Set(["registering_device", "offering_device", "remembering_device"]);
const RELATIVE_TIMES = new Set(["expires_in", "new_code_in", "available_in"]);
const LONGEST_TIMER = 2 ** 31 - 1; // Milliseconds; a browser's longer timers end at once.

const frozen = (value) => {
  if (typeof value === "object" && value !== null) Object.values(value).forEach(frozen);
  return Object.freeze(value);
};

const text = (value) =>
  JSON.stringify(value, (name, part) => (RELATIVE_TIMES.has(name) ? undefined : part));
const isSame = (one, other) => text(one) === text(other);

const statusOf = (user, step) => {
  // The session has begun, but the sign-in still has a question.
  const isAsked = step !== null && OFFERS_DEVICE.has(step.state);
  return user !== null && !isAsked ? "authenticated" : "unauthenticated";
};

/** Return what has happened between two snapshots. */
const newsOf = (before, after) => {
  if (before.status === "loading") return after.status === "loading" ? "state_changed" : "loaded";
  if (before.user === null && after.user !== null) return "signed_in";
  if (before.user !== null && after.user === null) return "signed_out";
  if (before.user?.username !== after.user?.username) return "signed_in";
  if (before.user !== after.user) return "session_renewed";
  return before.step === after.step ? "state_changed" : "step_changed";
};

/** The state of one sign-in in a tab, and its subscribers. */
class Store {
  constructor(connection) {
    this.connection = connection;
    this.snapshot = LOADING;
    this.listeners = new Set();
    this.writes = 0;
    this.channel = null;
    this.ownsChannel = false;
    this.timer = null;
    this.origin = "here"; // Or "elsewhere", while another tab's news is looked at.
    this.onReturn = (event) => (event.type !== "pageshow" || event.persisted) && this.refresh();
    this.onVisibility = () => document.visibilityState === "visible" && this.refresh();
    this.onMessage = ({ data }) => TOLD_BY_OTHER_TABS.has(data?.type) && this.refresh("elsewhere");
  }

  subscribe(listener, channel) {
    const entry = (news) => listener(news);
    this.listeners.add(entry);
    if (this.listeners.size === 1) this.open(channel);
    // Not while a server renders: it has no user to ask for.
    if (this.snapshot === LOADING && typeof document !== "undefined") this.refresh();
    return () => {
      if (this.listeners.delete(entry) && this.listeners.size === 0) this.close();
    };
  }

  open(channel) {
    if (typeof window !== "undefined") {
      for (const type of ["focus", "pageshow", "online"]) window.addEventListener(type, this.onReturn);
      document.addEventListener("visibilitychange", this.onVisibility);
    }
    this.ownsChannel = !channel && channel !== false && typeof window !== "undefined"
      && typeof BroadcastChannel !== "undefined";
    this.channel = this.ownsChannel
      ? new BroadcastChannel(`oncegate ${this.connection.prefix}`)
      : channel || null;
    this.channel?.addEventListener("message", this.onMessage);
    this.setTimer(this.snapshot.step);
    if (this.snapshot !== LOADING) this.refresh(); // It was not listening since it closed.
  }

  close() {
    if (typeof window !== "undefined") {
      for (const type of ["focus", "pageshow", "online"]) window.removeEventListener(type, this.onReturn);
      document.removeEventListener("visibilitychange", this.onVisibility);
    }
    this.channel?.removeEventListener("message", this.onMessage);
    if (this.ownsChannel) this.channel.close();
    this.channel = null;
    clearTimeout(this.timer);
  }

  /** Change the snapshot, and tell the subscribers; tell other tabs, unless they told this one. */
  update(changes, { from = "here" } = {}) {
    const before = this.snapshot;
    const after = { ...before, ...changes };
    after.isPending = this.writes > 0 || isInFlight(after.step);
    if (Object.keys(after).every((name) => Object.is(before[name], after[name]))) return;
    this.snapshot = Object.freeze(after);
    const type = newsOf(before, after);
    if (from === "here" && TOLD_BY_OTHER_TABS.has(type)) this.channel?.postMessage({ type });
    for (const listener of [...this.listeners]) listener({ type, from });
  }

  /** Take an answer of the server; one that is late has no news. */
  take({ step, user }, isLater) {
    if (!isLater) return;
    const isOver = step.state === "authenticated" && step.actions.length === 0;
    if (isOver && user === undefined) return; // The status that follows has the user, too.
    const { snapshot } = this;
    const known = user === undefined ? snapshot.user : user;
    const isSameStep = snapshot.step !== null && isSame(snapshot.step, step);
    const changes = {
      user: isSame(snapshot.user, known) ? snapshot.user : frozen(known),
      step: isSameStep ? snapshot.step : frozen(step),
      receivedAt: isSameStep ? snapshot.receivedAt : Date.now(),
    };
    changes.status = statusOf(changes.user, changes.step);
    if (!isSameStep && this.writes === 0) changes.error = null;
    this.update(changes, { from: this.writes > 0 ? "here" : this.origin });
    if (!isSameStep) this.setTimer(step);
  }

  /** Ask again when the step's time is over: its page changes by itself. */
  setTimer(step) {
    clearTimeout(this.timer);
    const seconds = step?.expires_in ?? null;
    if (seconds === null || this.listeners.size === 0) return;
    this.timer = setTimeout(() => this.refresh(), Math.min((seconds + 1) * 1000, LONGEST_TIMER));
    this.timer.unref?.();
  }

  /** Ask for the status. An error is in the snapshot. */
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
    if (!(error instanceof Problem)) throw error;
    this.update({ error });
  }

  /** Run what the user asked for. An error is in the snapshot. */
  async write(run) {
    this.writes += 1;
    this.update({ error: null });
    try {
      await run();
      this.writes -= 1;
      this.update({});
    } catch (error) {
      this.writes -= 1;
      this.fail(error);
    }
    return this.snapshot;
  }

  send(event) {
    const seen = this.snapshot.step;
    return this.write(async () => {
      const step = seen ?? (await this.connection.status()).step;
      const { step: after } = await this.connection.send(step, event);
      const isSignedIn = after.state === "authenticated" && after.actions.length === 0;
      if (isSignedIn || OFFERS_DEVICE.has(after.state)) await this.connection.status();
    });
  }

  signOut(path) {
    return this.write(async () => {
      await this.connection.signOut(path);
      this.update({ status: "unauthenticated", user: null, step: null });
      await this.connection.status();
    });
  }
}

/**
 * Return the event of an action, with the values that the user entered: a FormData, or an object by
 * the names of the action's fields.
 */
export const eventOf = (action, values) => {
  const read = typeof values.get === "function" ? (name) => values.get(name) : (name) => values[name];
  const event = { type: action.event };
  for (const { name } of action.fields) {
    const value = read(name) ?? null;
    if (value === null) continue;
    const [group, key] = name.split(/\.(.*)/s);
    if (key) event[group] = { ...event[group], [key]: value };
    else event[name] = name === "remember" ? String(value) === "true" : value;
  }
  return event;
};

const storeOf = (connection) => (connection.store ??= new Store(connection));

/**
 * Return a sign-in to subscribe to. Its snapshot is frozen, and a new object only on a change, as
 * React's `useSyncExternalStore`, Vue's `shallowRef` and Angular's signals want it.
 */
export const createOncegate = ({ prefix = "/auth", fetch, channel } = {}) => {
  const connection = connectionTo(prefix, fetch);
  const store = storeOf(connection);
  return Object.freeze({
    subscribe: (listener) => store.subscribe(listener, channel),
    getSnapshot: () => store.snapshot,
    getServerSnapshot: () => LOADING,
    resume: () => store.refresh(),
    start: () => store.write(() => connection.start()),
    send: (event) => store.send(event),
    status: async () => {
      const { user, step } = await connection.status();
      return { user, step };
    },
    session: async () => (await connection.status()).user,
    signOut: () => store.signOut("/session"),
    sessions: () => connection.sessions(),
    endSession: async (name) => {
      await connection.end(`/sessions/${encodeURIComponent(name)}`);
      await store.refresh();
    },
    signOutEverywhere: () => store.signOut("/sessions"),
  });
};
