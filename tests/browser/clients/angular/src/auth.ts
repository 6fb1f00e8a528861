import { DestroyRef, Injectable, inject, signal } from "@angular/core";

import { createOncegate } from "oncegate";

/** The sign-in; a template that reads its snapshot is checked again when it changes. */
@Injectable({ providedIn: "root" })
export class Auth {
  readonly client = createOncegate({ prefix: "/auth" });
  private readonly current = signal(this.client.getSnapshot());
  readonly snapshot = this.current.asReadonly();

  constructor() {
    const stop = this.client.subscribe(() => this.current.set(this.client.getSnapshot()));
    inject(DestroyRef).onDestroy(stop);
  }
}
