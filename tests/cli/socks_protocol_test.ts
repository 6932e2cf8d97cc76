import { assertEquals, assertRejects } from "@std/assert";
import {
  encodeReply,
  readRequest,
  REPLY,
  replyOf,
  SocksError,
  unwrapDatagram,
  wrapDatagram,
} from "../../lib/cli/socks_protocol.ts";
import { FakeStream, udp } from "./fake_streams.ts";

const encoder = new TextEncoder();

/** What the server makes of what a client says, and what it answers meanwhile. */
async function read(said: number[], authenticate: Parameters<typeof readRequest>[1] = null) {
  const [client, server] = FakeStream.pair();
  await client.say(new Uint8Array(said));
  await client.closeWrite();
  const request = await readRequest(server, authenticate).catch((error) => error);
  const rest = await server.hear();
  server.close();
  return { request, answer: [...await client.hear()], rest: [...rest] };
}

const text = (words: string) => [...encoder.encode(words)];

Deno.test("version 5: addresses and names, and not a byte behind the request is read (RFC 1928)", async () => {
  const byAddress = await read([5, 2, 2, 0, 5, 1, 0, 1, 10, 0, 0, 5, 0x1f, 0x90, 9, 9]);
  assertEquals(byAddress, {
    request: { version: 5, command: 1, target: { host: "10.0.0.5", port: 8080 } },
    answer: [5, 0],
    rest: [9, 9],
  });
  const byName = await read([5, 1, 0, 5, 3, 0, 3, 11, ...text("example.org"), 0, 53]);
  assertEquals(byName.request, { version: 5, command: 3, target: { host: "example.org", port: 53 } });
  const byIpv6 = await read([5, 1, 0, 5, 1, 0, 4, ...new Array(16).fill(0), 0, 80]);
  assertEquals(byIpv6.request, { version: 5, command: 1, target: null });
});

Deno.test("names and passwords (RFC 1929)", async () => {
  const isKnown = (name: string, password: string) => name === "me" && password === "secret";
  const login = [5, 2, 0, 2, 1, 2, ...text("me"), 6, ...text("secret")];
  const good = await read([...login, 5, 1, 0, 1, 1, 2, 3, 4, 0, 80], isKnown);
  assertEquals([good.answer, good.request.target], [[5, 2, 1, 0], { host: "1.2.3.4", port: 80 }]);
  const wrong = await read([5, 1, 2, 1, 2, ...text("me"), 1, ...text("x")], isKnown);
  assertEquals([wrong.answer, wrong.request.message], [[5, 2, 1, 1], "its name or password is wrong"]);
  const none = await read([5, 1, 0], isKnown);
  assertEquals([none.answer, none.request.message], [[5, 255], "it gave no password"]);
  const four = await read([4, 1, 0, 80, 1, 2, 3, 4, 0], isKnown);
  assertEquals([four.answer.slice(0, 2), four.request.name], [[0, 91], "SocksError"]);
});

Deno.test("version 4 and 4a", async () => {
  const plain = await read([4, 1, 0, 80, 10, 0, 0, 5, ...text("me"), 0, 7]);
  assertEquals(plain.request, { version: 4, command: 1, target: { host: "10.0.0.5", port: 80 } });
  assertEquals([plain.rest, plain.answer], [[7], []]);
  const named = await read([4, 1, 0, 80, 0, 0, 0, 1, 0, ...text("example.org"), 0]);
  assertEquals(named.request.target, { host: "example.org", port: 80 });
});

Deno.test("what is no request is told, however it ends", async () => {
  const cases: [said: number[], why: string][] = [
    [text("GET /"), "it does not speak SOCKS (version 71)"],
    [[5, 1, 3], "it wants an authentication method"],
    [[5, 1, 0, 4, 1, 0, 1], "its request has version 4"],
    [[5, 1, 0, 5, 1, 0, 2, 0], "its request has address type 2"],
    [[5, 1, 0, 5, 1, 0, 1, 10], "it closed the connection in the middle of its request"],
    [[4, 1, 0, 80, 1, 2, 3, 4, ...new Array(300).fill(65)], "a name in its request is too long"],
  ];
  for (const [said, why] of cases) {
    await assertRejects(
      async () => {
        const { request } = await read(said);
        throw request;
      },
      SocksError,
      why,
    );
  }
});

Deno.test("replies say what happened", () => {
  const bound: Deno.NetAddr = { transport: "tcp", hostname: "10.0.0.4", port: 0x1234 };
  assertEquals([...encodeReply(5, REPLY.succeeded, bound)], [5, 0, 0, 1, 10, 0, 0, 4, 0x12, 0x34]);
  assertEquals([...encodeReply(5, REPLY.connectionRefused)], [5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
  assertEquals([...encodeReply(4, REPLY.succeeded, bound)], [0, 90, 0x12, 0x34, 10, 0, 0, 4]);
  assertEquals([...encodeReply(4, REPLY.hostUnreachable)], [0, 91, 0, 0, 0, 0, 0, 0]);
  const codes = [
    "ECONNREFUSED",
    "EHOSTUNREACH",
    "ENETUNREACH",
    "EAI_NONAME",
    "ETIMEDOUT",
    "EMFILE",
    undefined,
  ];
  assertEquals(codes.map(replyOf), [5, 4, 3, 4, 6, 1, 1]);
});

Deno.test("datagrams have their address in front of them; fragments are not taken", () => {
  const wrapped = wrapDatagram(udp("10.0.0.5", 53), encoder.encode("hello"));
  assertEquals([...wrapped.subarray(0, 10)], [0, 0, 0, 1, 10, 0, 0, 5, 0, 53]);
  assertEquals(unwrapDatagram(wrapped), {
    target: { host: "10.0.0.5", port: 53 },
    payload: encoder.encode("hello"),
  });
  const named = new Uint8Array([0, 0, 0, 3, 2, ...text("me"), 0, 53, 1, 2]);
  assertEquals(unwrapDatagram(named), { target: { host: "me", port: 53 }, payload: new Uint8Array([1, 2]) });
  for (let length = 0; length < 10; length++) assertEquals(unwrapDatagram(wrapped.subarray(0, length)), null);
  assertEquals(unwrapDatagram(new Uint8Array([0, 0, 0, 3, 200, 1, 1, 1, 1, 1, 1])), null);
  assertEquals(unwrapDatagram(wrapped.with(2, 1)), null);
  assertEquals(unwrapDatagram(wrapped.with(3, 4)), null);
});
