// The account of the user who is signed in (`WebSignIn(account=True)`). Import it from oncegate.js.

import { eventOf, passkey } from "./client.js";
import { LatestStep, SECOND_CLICK_MS, canonical, connectionTo, isObject, isStep } from "./connection.js";

/**
 * @import { AccountAction, AccountEvent, AccountOverview, AccountStatus, AccountStep, ClientOptions, Values }
 *   from "oncegate"
 * @import { Connection, Times } from "./connection.js"
 *
 * @typedef {Times & { step: any, account?: AccountOverview }} Answer
 */

const isAccount = (value) => isObject(value) && isObject(value.account) && isStep(value.step);

/** The requests to one account, in the queue of the sign-in's. */
export class Requests {
  /** @param {Connection} connection */
  constructor(connection) {
    this.connection = connection;
    this.latest = new LatestStep();
    /** @type {{ name: string, answer: Answer, at: number, writes: number } | null} */
    this.lastSent = null; // The last event that was answered.
    /** @type {Promise<string> | null} */
    this.prompt = null; // The browser's dialog for a new passkey.
    this.read = this.read.bind(this);
  }

  /** Return the account. @param {number} wait @returns {Promise<Answer & AccountStatus>} */
  read(wait) {
    return this.connection.shared("/account", wait, async (path) => {
      const { value, ...times } = await this.connection.ask("GET", path, isAccount);
      return this.receive({ ...value, ...times });
    });
  }

  /**
   * @template {Answer} T
   * @param {T} answer
   */
  receive(answer) {
    this.latest.take(answer);
    return answer;
  }

  /** Return the account; a call to Cognito that is under way is waited for. */
  async status() {
    return this.checked(async () => this.connection.settled(await this.read(0), this.read));
  }

  /**
   * Send an event of the step that the user saw; null if the user saw none.
   *
   * @param {AccountStep | null} step
   * @param {AccountEvent} event
   * @returns {Promise<Answer>}
   */
  async send(step, event) {
    const { context, ...change } = event;
    const name = `change ${canonical(change)}`;
    const { lastSent } = this;
    const isUnderWay = this.connection.writes.some((one) => one.name === name);
    // The second click, after the answer to the first.
    if (!isUnderWay && lastSent?.name === name && this.isRecent(lastSent)) return lastSent.answer;
    const hasSeen = step !== null && step.state !== "closed";
    const seen = hasSeen || isUnderWay ? Promise.resolve(step) : this.status().then((now) => now.step);
    seen.catch(() => {}); // It may fail while the event still waits for others.
    const write = () => this.connection.write(name, async () => {
      const answer = await this.post(await seen, event);
      this.lastSent = { name, answer, at: performance.now(), writes: this.connection.writesDone + 1 };
      return answer;
    });
    const answer = await this.checked(write);
    // The session has ended, which the sign-in has not heard.
    if (answer.step.state === "closed") await this.connection.status().catch(() => {});
    return answer;
  }

  /** Return whether an answer is at most a second old, and nothing else has happened, such as a sign-in. */
  isRecent({ answer, at, writes }) {
    const now = this.latest.step;
    const isLatest = now?.flow_id === answer.step.flow_id && now?.version === answer.step.version;
    return isLatest && writes === this.connection.writesDone && performance.now() - at < SECOND_CLICK_MS;
  }

  /** @param {AccountStep} step @param {AccountEvent} event @returns {Promise<Answer>} */
  async post(step, event) {
    const context = event.context ?? (await this.connection.contextOf(event));
    const { value, ...times } = await this.connection.postEvent("/account", step, event, context);
    return this.connection.settled(this.receive({ step: value, ...times }), this.read);
  }

  /**
   * Run a request. If the session has ended, the sign-in learns it, too.
   *
   * @template T
   * @param {() => Promise<T>} run
   */
  async checked(run) {
    try {
      return await run();
    } catch (problem) {
      if (problem.code === "not_signed_in") await this.connection.status().catch(() => {});
      throw problem;
    }
  }

  /** Return the browser's new passkey. A second click joins the dialog that is open. @param {AccountStep | null} step */
  promptFor(step) {
    const { texts } = this.connection;
    this.prompt ??= passkey(step?.passkey_creation ?? "", texts).finally(() => (this.prompt = null));
    return this.prompt;
  }
}

/**
 * The account of the user who is signed in. Its changes have a flow of their own. Objects with the same
 * prefix and the same `fetch` share what is under way: a second click joins the first.
 */
export class Account {
  #connection;
  #requests;
  #latest = new LatestStep();

  /** @param {ClientOptions} options */
  constructor(prefix = "/auth", options = {}) {
    this.#connection = connectionTo(prefix, options);
    this.#requests = this.#connection.account ??= new Requests(this.#connection);
  }

  /** The step that this object received last, which is what its user saw. @returns {AccountStep | null} */
  get step() {
    return /** @type {AccountStep | null} */ (/** @type {unknown} */ (this.#latest.step));
  }

  /**
   * Return what the account has, and the step of its change. Waits for a call under way. Sends nothing.
   *
   * @returns {Promise<AccountStatus>}
   */
  async status() {
    const answer = await this.#requests.status();
    return { account: answer.account, step: this.#take(answer) };
  }

  /**
   * Send an event for the step that the user saw, with its version. A double click is one request.
   *
   * @param {AccountEvent} event
   * @returns {Promise<AccountStep>}
   */
  async send(event) {
    return this.#take(await this.#requests.send(this.step, event));
  }

  /**
   * Send the event of a form. If it needs a new passkey, the browser asks the user for it.
   *
   * @param {Pick<AccountAction, "event" | "fields">} action
   * @param {Values} values
   */
  async submit(action, values) {
    const event = /** @type {any} */ (eventOf)(action, values);
    const asked = action.fields.find(({ type }) => type === "passkey");
    if (asked) event[asked.name] = await this.#requests.promptFor(this.step);
    return this.send(event);
  }

  /** Return where the user signs in again, and comes back, after the reason `sign_in_again`. */
  signInAgainUrl(next = location.pathname + location.search) {
    const query = new URLSearchParams({ again: "1", notice: "sign_in_again", next });
    return `${this.#connection.prefix}/?${query}`;
  }

  /** @param {Answer} answer */
  #take(answer) {
    this.#latest.take(answer);
    return /** @type {AccountStep} */ (this.step);
  }
}
