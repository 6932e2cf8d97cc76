import type { CongestionControl } from "./congestion_control.ts";
import type { TcpSettings } from "../settings.ts";
import { Cubic } from "./cubic.ts";
import { NewReno } from "./newreno.ts";

/** The algorithm by its Linux name (TCP_CONGESTION); null if there is none of that name. */
export function createCongestionControl(
  name: string,
  settings: Pick<TcpSettings, "hystart">,
): CongestionControl | null {
  if (name === "cubic") return new Cubic(settings.hystart === "linux");
  if (name === "reno") return new NewReno();
  return null;
}

/** Names that TCP_CONGESTION takes. */
export const CONGESTION_ALGORITHMS = ["cubic", "reno"] as const;
