// The JSON API for your own pages, with or without a framework. Types are in oncegate.d.ts.

/** An error that the server reports (RFC 9457). */
export class Problem extends Error {
  constructor(status, about) {
    super(about.detail || about.title || `HTTP ${status}`);
    this.status = status;
    this.code = about.code || "unknown";
  }
}

/** One user's sign-in. The flow is in an HttpOnly cookie, so any page can resume it. */
export class SignIn {
  constructor(prefix = "/auth", { fetch: call = globalThis.fetch.bind(globalThis) } = {}) {
    this.prefix = prefix.replace(/\/$/, "");
    this.call = call;
    this.step = null;
  }

  /** Begin a new sign-in. Sends nothing. */
  async start() {
    return (this.step = await this.ask("POST", "/flows"));
  }

  /** Return the current step of this browser's sign-in, or start a new one. Sends nothing. */
  async resume() {
    try {
      this.step = await this.ask("GET", "/flows/current");
    } catch (problem) {
      if (problem.code !== "no_such_flow") throw problem;
      return this.start();
    }
    return this.step.message?.code === "flow_expired" ? this.start() : this.step;
  }

  /** Send an event for the current step, with its version. A double click returns the same step twice. */
  async send(event) {
    const { flow_id: id, version } = this.step || (await this.resume());
    return (this.step = await this.ask("POST", `/flows/${id}/events`, { ...event, version }));
  }

  /** Return the user who is signed in, or null. */
  async session() {
    try {
      return await this.ask("GET", "/session");
    } catch (problem) {
      if (problem.code === "not_signed_in") return null;
      throw problem;
    }
  }

  /** Sign out. */
  async signOut() {
    this.step = null;
    await this.ask("DELETE", "/session");
  }

  /** Return the sessions of the user, the one seen last first. */
  async sessions() {
    return (await this.ask("GET", "/sessions")).sessions;
  }

  /** End one of the user's sessions, by its name. */
  async endSession(name) {
    await this.ask("DELETE", `/sessions/${encodeURIComponent(name)}`);
  }

  /** End all sessions of the user: here, and wherever else this user pool is used. */
  async signOutEverywhere() {
    this.step = null;
    await this.ask("DELETE", "/sessions");
  }

  async ask(method, path, body) {
    const response = await this.call(this.prefix + path, {
      method,
      credentials: "include",
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body ? JSON.stringify(body) : undefined,
    });
    const answer = response.status === 204 ? null : await response.json().catch(() => ({}));
    if (!response.ok) throw new Problem(response.status, answer || {});
    return answer;
  }
}

/** Ask the browser for a passkey; returns the value of a field of type `passkey`. */
export { passkey } from "./passkey.js";
