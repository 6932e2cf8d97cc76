/** /dev/net/tun: the door to TAP devices. */

export const TUN_NODE = "/dev/net/tun";

/** What stands at /dev/net/tun. */
export interface TunNode {
  /** Whether the folder /dev/net is there. */
  folder: boolean;
  /** The node's permission bits and owner; null if there is none. */
  node: { mode: number; uid: number; gid: number } | null;
}

/** Looks at /dev/net/tun without opening it. */
export async function inspectTunNode(path = TUN_NODE): Promise<TunNode> {
  const folder = await stat(path.replace(/\/[^/]*$/, ""));
  const node = await stat(path);
  return {
    folder: folder !== null,
    node: node && { mode: (node.mode ?? 0) & 0o777, uid: node.uid ?? 0, gid: node.gid ?? 0 },
  };
}

/** Whether a user with these groups may open the node for reading and writing, by its permission bits. */
export function mayOpen(node: NonNullable<TunNode["node"]>, uid: number, groups: readonly number[]): boolean {
  if (uid === 0) return true;
  if (node.uid === uid) return (node.mode & 0o600) === 0o600;
  if (groups.includes(node.gid)) return (node.mode & 0o060) === 0o060;
  return (node.mode & 0o006) === 0o006;
}

/** What became of opening /dev/net/tun. */
export type TunAccess = "ok" | "missing" | "denied" | "no-driver";

/** Opens the node and closes it again: the only way to know that the kernel has the driver and lets us in. */
export async function tryTunNode(path = TUN_NODE): Promise<{ access: TunAccess; detail: string }> {
  try {
    (await Deno.open(path, { read: true, write: true })).close();
    return { access: "ok", detail: "" };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    if (error instanceof Deno.errors.NotFound) return { access: "missing", detail };
    if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
      return { access: "denied", detail };
    }
    // ENODEV or ENXIO: there is a node, but no driver behind it.
    return { access: "no-driver", detail };
  }
}

async function stat(path: string): Promise<Deno.FileInfo | null> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
