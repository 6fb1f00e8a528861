import { Injectable, inject } from "@angular/core";

import { Auth } from "./auth";

export interface Order {
  readonly id: number;
  readonly user: string;
}

/** The application's own API: the browser sends the cookie of the session. */
@Injectable({ providedIn: "root" })
export class Orders {
  private readonly auth = inject(Auth);

  async mine(): Promise<readonly Order[]> {
    const response = await fetch("/api/orders/mine");
    if (response.status === 401) {
      await this.auth.client.resume(); // the session has ended: the snapshot says so
      return [];
    }
    if (!response.ok) throw new Error(`orders: ${response.status}`);
    return response.json();
  }
}
