const NAME = "lvl-ip/lvl-ip.sock";

/**
 * Where the daemon's socket may be, in the order in which a client tries and a daemon takes them: `explicit` or
 * `$LVLIP_SOCKET` alone if set, else /run/lvl-ip/lvl-ip.sock, else $XDG_RUNTIME_DIR/lvl-ip/lvl-ip.sock.
 */
export function socketPaths(explicit?: string): string[] {
  const only = explicit || Deno.env.get("LVLIP_SOCKET");
  if (only) return [only];
  const paths = [`/run/${NAME}`];
  const runtime = Deno.env.get("XDG_RUNTIME_DIR");
  if (runtime) paths.push(`${runtime}/${NAME}`);
  return paths;
}
