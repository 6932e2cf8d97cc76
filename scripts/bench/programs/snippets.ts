/** Small programs in the languages that are compared. */
import { KERNEL } from "./world.ts";

const FETCHED = `http://${KERNEL}/middle`;

/** Programs that print what they fetch. */
export const URLLIB_GET = `python3 -c '
import shutil, sys, urllib.request
shutil.copyfileobj(urllib.request.urlopen("${FETCHED}"), sys.stdout.buffer, 1 << 18)'`;
export const NODE_GET =
  `node -e 'require("http").get("${FETCHED}", (response) => response.pipe(process.stdout))'`;
export const JAVA_PROGRAM = `${import.meta.dirname}/../../../tests/e2e/programs/Http.java`;
export const JAVA_GET = `java ${JAVA_PROGRAM} get ${FETCHED}`;

/** A request by hand; the header ends with the first empty line. */
const BODY = `sed '1,/^\\r$/d'`;
const REQUEST = `GET /middle HTTP/1.0\\r\\n\\r\\n`;
export const BASH_GET = `exec 3<> /dev/tcp/${KERNEL}/80; printf '${REQUEST}' >&3; ${BODY} <&3`;
export const NC_GET = `printf '${REQUEST}' | nc ${KERNEL} 80 | ${BODY}`;
export const SOCAT_GET = `printf '${REQUEST}' | socat -t 10 - TCP:${KERNEL}:80,shut-none | ${BODY}`;

const ANSWER = "HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\nhello\\n";

export const ASYNCIO_SERVER = `
import asyncio
async def serve(reader, writer):
  try:
    while await reader.readuntil(b"\\r\\n\\r\\n"): writer.write(b"${ANSWER}")
  except (asyncio.IncompleteReadError, ConnectionError): pass
  writer.close()
async def main():
  await (await asyncio.start_server(serve, "0.0.0.0", 8080, backlog=1024)).serve_forever()
asyncio.run(main())`;

/** `kind`: "Threading" or "Forking". */
export function socketServer(kind: string): string {
  return `
import socketserver
class Handler(socketserver.StreamRequestHandler):
  def handle(self):
    try:
      while line := self.rfile.readline():
        if line == b"\\r\\n": self.wfile.write(b"${ANSWER}")
    except ConnectionError: pass
class Server(socketserver.${kind}TCPServer):
  allow_reuse_address = True
  request_queue_size = 1024
  max_children = 1000
Server(("0.0.0.0", 8080), Handler).serve_forever()`;
}

export const NODE_SERVER =
  `require("http").createServer((_, answer) => answer.end("hello")).listen(8080, "0.0.0.0")`;
export const NODE_CLUSTER = `const cluster = require("cluster");
if (cluster.isPrimary) for (let i = 0; i < 2; i++) cluster.fork();
else ${NODE_SERVER};`;

/** Prints gets a second, of 10,000 one after the other. */
export const MEMCACHED_LOAD = `
import socket, time
s = socket.create_connection(("10.0.0.4", 11211)); f = s.makefile("rb")
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
s.sendall(b"set a 0 0 1\\r\\n7\\r\\n"); f.readline()
begin = time.time()
for i in range(10000):
  s.sendall(b"get a\\r\\n")
  while f.readline() != b"END\\r\\n": pass
print(10000 / (time.time() - begin))`;
