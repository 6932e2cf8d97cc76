/**
 * The daemon starts itself again to be rid of its privileges (see `acquire`). To be imported before all else, so that the
 * Worker of the second start loads while the command line is: 15 ms of the 125 until it is ready.
 */
import { StackWorker } from "./stack_worker.ts";

/** How a second start learns what the first one did. */
export const STATE_VARIABLE = "LVLIP_DAEMON_STATE";

function isSecondStart(): boolean {
  // Commands that need no environment are not to ask for it.
  const { state } = Deno.permissions.querySync({ name: "env", variable: STATE_VARIABLE });
  return state === "granted" && Deno.env.has(STATE_VARIABLE);
}

/** The Worker of this start, if it is the second; null: it is another program, or the first start. */
export const earlyWorker: StackWorker | null = isSecondStart() ? new StackWorker() : null;
