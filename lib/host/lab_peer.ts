/** The servers on the lab's 192.168.99.1, on the kernel's TCP: the other side of what the lab shows. */
import { serveBulk } from "./bulk.ts";

export const ECHO_PORT = 2048;
export const BULK_PORT = 2049;
export const HTTP_PORT = 80;
export const DNS_PORT = 53;

/** Listens on all of them until `signal`; resolves when all listen. */
export function startPeer(hostname: string, signal: AbortSignal): void {
  serve(hostname, ECHO_PORT, echo, signal);
  serve(hostname, BULK_PORT, serveBulk, signal);
  Deno.serve({ hostname, port: HTTP_PORT, signal, onListen() {} }, answer);
}

function serve(
  hostname: string,
  port: number,
  handle: (connection: Deno.TcpConn) => Promise<void>,
  signal: AbortSignal,
): void {
  const listener = Deno.listen({ hostname, port });
  signal.addEventListener("abort", () => listener.close());
  (async () => {
    for await (const connection of listener) {
      handle(connection)
        // A client that goes away is the client's affair; the next one is served.
        .catch(() => {})
        .finally(() => close(connection));
    }
  })();
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}

/** Sends back what comes until the client ends its side. */
async function echo(connection: Deno.TcpConn): Promise<void> {
  connection.setNoDelay(true);
  const buffer = new Uint8Array(65536);
  while (true) {
    const count = await connection.read(buffer);
    if (count === null) return;
    for (let done = 0; done < count;) done += await connection.write(buffer.subarray(done, count));
  }
}

/** `/`: a greeting; `/bytes/N`: N zero bytes; POST: the number of bytes that came. */
async function answer(request: Request, info: Deno.ServeHandlerInfo<Deno.NetAddr>): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (request.method === "POST" || request.method === "PUT") {
    let count = 0;
    for await (const chunk of request.body ?? []) count += chunk.length;
    return new Response(`${count} bytes came\n`);
  }
  const size = /^\/bytes\/([0-9]{1,12})$/.exec(pathname);
  if (size) return new Response(zeros(Number(size[1])), { headers: { "content-length": size[1] } });
  if (pathname !== "/") return new Response("not found\n", { status: 404 });
  return new Response(`hello ${info.remoteAddr.hostname}, this is the lab's server\n`);
}

function zeros(size: number): ReadableStream<Uint8Array> {
  const chunk = new Uint8Array(65536);
  let left = size;
  return new ReadableStream({
    pull(controller) {
      const count = Math.min(left, chunk.length);
      if (count > 0) controller.enqueue(chunk.slice(0, count));
      left -= count;
      if (left === 0) controller.close();
    },
  });
}
