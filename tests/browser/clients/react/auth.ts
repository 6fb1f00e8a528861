import { useSyncExternalStore } from "react";

import { createOncegate, type Snapshot } from "oncegate";

export const auth = createOncegate({ prefix: "/auth" });

/** The state of the sign-in; a component that uses it is rendered again when it changes. */
export const useAuth = (): Snapshot =>
  useSyncExternalStore(auth.subscribe, auth.getSnapshot, auth.getServerSnapshot);
