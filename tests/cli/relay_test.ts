import { assert, assertEquals, assertRejects } from "@std/assert";
import { DatagramRelay, relay } from "../../lib/cli/relay.ts";
import { FakeDatagrams, FakeStream, udp, until } from "./fake_streams.ts";

const decoder = new TextDecoder();

Deno.test("relay carries both directions, and the end of each by itself", async () => {
  const [client, near] = FakeStream.pair();
  const [far, server] = FakeStream.pair();
  const carried = relay(near, far);
  await client.say("question");
  assertEquals(decoder.decode(await server.hear(8)), "question");
  await client.closeWrite();
  assertEquals(await server.read(new Uint8Array(1)), null);
  assert(far.writeClosed && !near.writeClosed);
  const long = new Uint8Array(100_000).map((_, i) => i);
  await server.say(long);
  await server.closeWrite();
  assertEquals(await client.hear(), long);
  assertEquals(await carried, { forth: 8, back: 100_000 });
  assert(near.closed && far.closed);
});

Deno.test("relay does not read on while the other side takes nothing", async () => {
  const [client, near] = FakeStream.pair();
  const [far, server] = FakeStream.pair();
  const gate = Promise.withResolvers<void>();
  far.full = gate.promise;
  let reads = 0;
  const read = near.read.bind(near);
  near.read = (bytes) => {
    reads++;
    return read(bytes);
  };
  const carried = relay(near, far);
  await client.say("a");
  await until(() => reads === 1);
  await client.say("b");
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(reads, 1);
  gate.resolve();
  await client.closeWrite();
  assertEquals(decoder.decode(await server.hear()), "ab");
  await server.closeWrite();
  await carried;
});

Deno.test("relay closes both sides when one breaks or the signal comes", async () => {
  const [, near] = FakeStream.pair();
  const [far, server] = FakeStream.pair();
  const broken = relay(near, far);
  far.fail(new Deno.errors.ConnectionReset("reset"));
  await assertRejects(() => broken, Deno.errors.ConnectionReset);
  assert(near.closed && far.closed);
  assertEquals(await server.read(new Uint8Array(1)), null);

  const [, one] = FakeStream.pair();
  const [two] = FakeStream.pair();
  const abort = new AbortController();
  const stopped = relay(one, two, abort.signal);
  abort.abort();
  await assertRejects(() => stopped, Deno.errors.BadResource);
  assert(one.closed && two.closed);
});

Deno.test("each peer of a datagram relay has a socket, until it was silent for a while or that fails", async () => {
  const from = new FakeDatagrams();
  const sockets: FakeDatagrams[] = [];
  const complaints: string[] = [];
  const open = () => {
    if (sockets.length === 3) return Promise.reject(new Error("no more"));
    sockets.push(new FakeDatagrams());
    return Promise.resolve(sockets.at(-1)!);
  };
  const relay = new DatagramRelay(from, open, (peer, error) => complaints.push(`${peer.port} ${error}`), 60);
  const ended = relay.run();
  from.arrive("one", udp("10.0.0.5", 1));
  from.arrive("two", udp("10.0.0.5", 2));
  from.arrive("three", udp("10.0.0.5", 1));
  await until(() => sockets.length === 2 && sockets[0].sent.length === 2);
  assertEquals(sockets.map(({ sent }) => sent.map(([text]) => text)), [["one", "three"], ["two"]]);
  sockets[1].arrive("answer");
  await until(() => from.sent.length === 1);
  assertEquals(from.sent, [["answer", "10.0.0.5:2"]]);
  sockets[0].arrive(new Deno.errors.ConnectionRefused("nobody"));
  await until(() => sockets[0].closed);
  assertEquals(relay.peers, 1);
  await until(() => sockets[1].closed && relay.peers === 0);
  from.arrive("again", udp("10.0.0.5", 2));
  await until(() => sockets.length === 3);
  from.arrive("too many", udp("10.0.0.5", 3));
  await until(() => complaints.length === 2);
  assertEquals(complaints, ["1 ConnectionRefused: nobody", "3 Error: no more"]);
  from.close();
  await assertRejects(() => ended, Deno.errors.BadResource);
  await until(() => sockets[2].closed);
});
