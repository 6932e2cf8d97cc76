import { becomeUser } from "../../ffi/capabilities.ts";
import { SysError } from "../../ffi/errno.ts";
import { callingUser } from "../host/privileges.ts";
import { folderOf, usualFolder } from "./socket.ts";

/** Whose process the daemon becomes. */
interface User {
  uid: number;
  gid: number;
}

const OWNER_WRITABLE = 0o200;
const WORLD_WRITABLE = 0o002;

/**
 * Under sudo: becomes the user who called it, which takes every capability from every thread at once. The daemon is
 * theirs then, and they may use it without being root. False, with nothing changed, when there is no such user, or
 * when they could not make the daemon's socket (`explicit`, or the usual one). `loaded` is awaited before: what root
 * may read, its cache of modules above all, they may not.
 */
export async function becomeCaller(
  explicit: string | undefined,
  loaded: () => Promise<void>,
): Promise<boolean> {
  const user = callerOfSudo();
  if (user === null) return false;
  // /run is root's: the folder in it has to be made for them.
  if (explicit === undefined ? !makeFolderFor(user) : !isWritableFor(user, folderOf(explicit))) return false;
  await loaded();
  try {
    becomeUser(user.uid, user.gid);
    return true;
  } catch (error) {
    // A user namespace in which that user does not exist.
    if (error instanceof SysError) return false;
    throw error;
  }
}

/** The user behind sudo or its like; null when there is none, or it is root too. */
function callerOfSudo(): User | null {
  const uid = callingUser();
  if (Deno.uid() !== 0 || uid === 0) return null;
  const gid = Number(Deno.env.get("SUDO_GID") ?? gidOf(uid));
  return Number.isInteger(gid) ? { uid, gid } : null;
}

/** A user's own group, from /etc/passwd. */
function gidOf(uid: number): string | undefined {
  const line = Deno.readTextFileSync("/etc/passwd").split("\n").find((line) =>
    line.split(":")[2] === `${uid}`
  );
  return line?.split(":")[3];
}

function makeFolderFor({ uid, gid }: User): boolean {
  try {
    Deno.chownSync(usualFolder(), uid, gid);
    return true;
  } catch {
    return false;
  }
}

/** Only what can be told without asking as them: their own folders, and those that everybody may write to. */
function isWritableFor({ uid }: User, folder: string): boolean {
  try {
    const info = Deno.statSync(folder);
    return ((info.mode ?? 0) & (info.uid === uid ? OWNER_WRITABLE : WORLD_WRITABLE)) !== 0;
  } catch {
    return false;
  }
}
