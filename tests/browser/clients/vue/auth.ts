import { onScopeDispose, shallowRef, type ShallowRef } from "vue";

import { createOncegate, type Snapshot } from "oncegate";

export const auth = createOncegate({ prefix: "/auth" });

/** The state of the sign-in; a component that uses it is rendered again when it changes. */
export const useAuth = (): ShallowRef<Snapshot> => {
  const snapshot = shallowRef(auth.getSnapshot());
  onScopeDispose(auth.subscribe(() => (snapshot.value = auth.getSnapshot())));
  return snapshot;
};
