// The JSON API for pages of your own: Angular, React, Vue or none. Types are in oncegate.d.ts.

/** What the server says is wrong (RFC 9457). */
export class Problem extends Error {
  constructor(status, about) {
    super(about.detail || about.title || `HTTP ${status}`);
    this.status = status;
    this.code = about.code || "unknown";
  }
}

/** One person's sign-in. The flow is in an HttpOnly cookie, so any page can find it again. */
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

  /** The step of the sign-in that this browser has begun, or a new one. Sends nothing. */
  async resume() {
    try {
      this.step = await this.ask("GET", "/flows/current");
    } catch (problem) {
      if (problem.code !== "no_such_flow") throw problem;
      return this.start();
    }
    return this.step.message?.code === "flow_expired" ? this.start() : this.step;
  }

  /** Send an event for the step that is shown. A double click gets the same step twice. */
  async send(event) {
    const { flow_id: id, version } = this.step || (await this.resume());
    return (this.step = await this.ask("POST", `/flows/${id}/events`, { version, ...event }));
  }

  /** Who is signed in, or null. */
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

/** Ask the browser for a passkey: what `submit_passkey` takes as its credential. */
export { passkey } from "./passkey.js";
