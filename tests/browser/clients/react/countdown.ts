import { useEffect, useState } from "react";

import { useAuth } from "./auth";

/** Return the whole seconds that are left of those of an answer, such as `available_in`; 0 for null. */
export const useCountdown = (seconds: number | null): number => {
  const { receivedAt } = useAuth();
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  return Math.max(0, Math.ceil((seconds ?? 0) - Math.max(0, now - receivedAt) / 1000));
};
