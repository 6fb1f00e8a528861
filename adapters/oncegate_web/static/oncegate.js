// The JSON API for your own pages, with or without a framework. Types are in oncegate.d.ts.

import { Place, connectionTo } from "./connection.js";

export { Problem } from "./connection.js";
export { createOncegate, eventOf } from "./client.js";
/** Ask the browser for a passkey; returns the value of a field of type `passkey`. */
export { passkey } from "./passkey.js";

/**
 * One user's sign-in. The flow is in an HttpOnly cookie, so any page can resume it. Objects with the
 * same prefix share what is under way: a second click joins the first.
 */
export class SignIn {
  #connection;
  #place = new Place();

  constructor(prefix = "/auth", { fetch } = {}) {
    this.#connection = connectionTo(prefix, fetch);
  }

  /** The step that this object received last, which is what its user saw. */
  get step() {
    return this.#place.step;
  }

  /** Begin a sign-in; this browser's own if it has one that is not over. Sends nothing. */
  async start() {
    return this.#take(await this.#connection.start());
  }

  /** Return the step that a page would show. Waits for a call under way. Sends nothing. */
  async resume() {
    return (await this.status()).step;
  }

  /** Return the user who is signed in, or null, and the step that a page would show. */
  async status() {
    const answer = await this.#connection.status();
    return { user: answer.user, step: this.#take(answer) };
  }

  /** Send an event for the step that the user saw, with its version. A double click is one request. */
  async send(event) {
    const step = this.step ?? (await this.resume());
    return this.#take(await this.#connection.send(step, event));
  }

  /** Return the user who is signed in, or null. */
  async session() {
    return (await this.status()).user;
  }

  /** Sign out. */
  async signOut() {
    await this.#connection.signOut("/session");
    this.#place.clear(this.#connection.tick());
  }

  /** Return the sessions of the user, the one seen last first. */
  sessions() {
    return this.#connection.sessions();
  }

  /** End one of the user's sessions, by its name. */
  endSession(name) {
    return this.#connection.end(`/sessions/${encodeURIComponent(name)}`);
  }

  /** End all sessions of the user: here, and wherever else this user pool is used. */
  async signOutEverywhere() {
    await this.#connection.signOut("/sessions");
    this.#place.clear(this.#connection.tick());
  }

  #take(answer) {
    this.#place.take(answer);
    return this.#place.step;
  }
}
