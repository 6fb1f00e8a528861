// The JSON API for your own pages, with or without a framework. Types are in oncegate.d.ts.

import { LatestStep, connectionTo, isSignedIn } from "./connection.js";

export { Account } from "./account.js";
export { Problem } from "./connection.js";
export { createOncegate, eventOf, passkey } from "./client.js";

/**
 * @import { ClientOptions, ListedSession, SignInEvent, Status, Step, User } from "oncegate"
 * @import { Answer } from "./connection.js"
 */

/**
 * One user's sign-in. The flow is in an HttpOnly cookie, so any page can resume it. Objects with the
 * same prefix and the same `fetch` share what is under way: a second click joins the first.
 */
export class SignIn {
  #connection;
  #latest = new LatestStep();

  /** @param {ClientOptions} options */
  constructor(prefix = "/auth", options = {}) {
    this.#connection = connectionTo(prefix, options);
  }

  /** The step that this object received last, which is what its user saw. @returns {Step | null} */
  get step() {
    const { step, arrived } = this.#latest;
    const hasSignedOut = isSignedIn(step) && arrived < this.#connection.signedOutAt;
    return hasSignedOut ? null : step;
  }

  /**
   * Begin a sign-in; this browser's own if it has one that is not over. Sends nothing.
   *
   * @returns {Promise<Step>}
   */
  async start() {
    return this.#take(await this.#connection.start());
  }

  /**
   * Return the step that a page would show. Waits for a call under way. Sends nothing.
   *
   * @returns {Promise<Step>}
   */
  async resume() {
    return (await this.status()).step;
  }

  /** Return the user who is signed in, or null, and the step that a page would show. @returns {Promise<Status>} */
  async status() {
    const answer = await this.#connection.status();
    return { user: answer.user, step: this.#take(answer) };
  }

  /**
   * Send an event for the step that the user saw, with its version. A double click is one request.
   *
   * @param {SignInEvent} event
   * @returns {Promise<Step>}
   */
  async send(event) {
    return this.#take(await this.#connection.send(this.step, event));
  }

  /** Return the user who is signed in, or null. @returns {Promise<User | null>} */
  async session() {
    return (await this.status()).user;
  }

  /** Sign out. Returns where the browser has to go to sign out at managed login, or null. */
  async signOut() {
    const url = await this.#connection.signOut("/session");
    this.#latest.clear(this.#connection.tick());
    return url;
  }

  /** Return the sessions of the user, the one seen last first. @returns {Promise<ListedSession[]>} */
  sessions() {
    return this.#connection.sessions();
  }

  /** End one of the user's sessions, by its name. @param {string} name @returns {Promise<void>} */
  async endSession(name) {
    await this.#connection.endSession(name);
    await this.status().catch(() => {}); // It may have been this browser's own. What has ended, has.
  }

  /** End all sessions of the user: here, and wherever else this user pool is used. Returns as `signOut`. */
  async signOutEverywhere() {
    const url = await this.#connection.signOut("/sessions");
    this.#latest.clear(this.#connection.tick());
    return url;
  }

  /** @param {Answer} answer */
  #take(answer) {
    this.#latest.take(answer);
    return /** @type {Step} */ (this.#latest.step);
  }
}
