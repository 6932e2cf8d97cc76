/**
 * What setup-net has added, remembered until `--undo`. In /run, which forgets at the same moment as the kernel: a
 * reboot takes TAPs, addresses, rules and sysctls away too. In /run itself, not in the daemon's folder there: root acts
 * on this file, so no ordinary user may be able to put another in its place.
 */
import { HostError } from "./command.ts";
import type { SetupRecord } from "./setup_plan.ts";

export const STATE_FILE = "/run/lvl-ip-setup-net.json";

interface StateFile {
  version: 1;
  added: SetupRecord[];
}

/** What was added and not yet taken back, in the order it was added; none if there is no file. */
export async function readState(path: string): Promise<SetupRecord[]> {
  let text: string;
  try {
    const { uid, mode } = await Deno.lstat(path);
    if ((uid !== 0 && uid !== Deno.uid()) || ((mode ?? 0) & 0o022) !== 0) {
      throw new HostError(
        `${path} could have been written by another user; look at it, then remove it`,
        `rm ${path}`,
      );
    }
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  try {
    const state: StateFile = JSON.parse(text);
    if (state.version === 1 && Array.isArray(state.added)) return state.added;
  } catch {
    // Said below.
  }
  throw new HostError(`${path} cannot be understood; look at it, then remove it`, `rm ${path}`);
}

/** Replaces what is remembered, in one step; removes the file when nothing is left. */
export async function writeState(path: string, added: readonly SetupRecord[]): Promise<void> {
  if (added.length === 0) {
    await Deno.remove(path).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    return;
  }
  const state: StateFile = { version: 1, added: [...added] };
  const draft = `${path}.new`;
  await Deno.writeTextFile(draft, JSON.stringify(state, null, 2) + "\n", { mode: 0o644 });
  await Deno.rename(draft, path);
}
