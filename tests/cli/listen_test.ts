import { assert, assertEquals, assertThrows } from "@std/assert";
import { CommandError } from "../../lib/cli/errors.ts";
import { type Accepted, listen, type ListenCommandOptions, type Opener } from "../../lib/cli/listen.ts";
import { FakeIo } from "./fake_io.ts";
import { FakeDatagrams, FakeStream, udp, until } from "./fake_streams.ts";

const WHERE = { host: "0.0.0.0", port: 2048 };

/** A stack whose listener gets the connections that a test brings. */
class FakeOpener implements Opener {
  readonly datagrams = new FakeDatagrams();
  closed = false;
  readonly #arrived: Accepted[] = [];
  #wanted: (() => void) | undefined;

  listen() {
    const accept = async () => {
      while (this.#arrived.length === 0) {
        if (this.closed) throw new Deno.errors.BadResource("closed");
        await new Promise<void>((resolve) => this.#wanted = resolve);
      }
      return this.#arrived.shift()!;
    };
    const close = () => {
      this.closed = true;
      this.#wanted?.();
    };
    const addr: Deno.NetAddr = { transport: "tcp", hostname: "0.0.0.0", port: 2048 };
    return Promise.resolve({ addr, accept, close });
  }

  listenDatagram() {
    return Promise.resolve(this.datagrams);
  }

  /** A peer connects: its end. */
  arrive(): FakeStream {
    const [peer, ours] = FakeStream.pair();
    this.#arrived.push(ours);
    this.#wanted?.();
    return peer;
  }
}

function begin(options: ListenCommandOptions, prepare?: (io: FakeIo) => void) {
  const [io, opener] = [new FakeIo(), new FakeOpener()];
  prepare?.(io);
  return { io, opener, ended: listen(WHERE, options, io, opener) };
}

Deno.test("listen takes one connection, and no other meanwhile", async () => {
  const { io, opener, ended } = begin({ verbose: true, shutdown: true });
  const peer = opener.arrive();
  io.type("answer");
  io.type(null);
  await peer.say("question");
  await peer.closeWrite();
  assertEquals(new TextDecoder().decode(await peer.hear()), "answer");
  assertEquals(await ended, 0);
  assert(opener.closed);
  assertEquals([io.text, io.err], ["question", "Listening on *:2048\nConnection from 10.0.0.5:4711\n"]);
});

Deno.test("listen that has nothing to send does not end its side before the peer does", async () => {
  const { io, opener, ended } = begin({}, (io) => io.type(null));
  const peer = opener.arrive();
  await peer.say("a line");
  await until(() => io.text === "a line");
  // Longer than the peer would have to be quiet if anything had been sent.
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert(!peer.other.writeClosed);
  await peer.closeWrite();
  assertEquals(await ended, 0);
});

Deno.test("listen -k goes on after a connection that broke, and gives the next one what stdin still has", async () => {
  const { io, opener, ended } = begin({ keepOpen: true });
  const first = opener.arrive();
  await first.say("x");
  await until(() => io.text === "x");
  first.other.fail(new Deno.errors.ConnectionReset("Connection reset by peer"));
  await until(() => io.err !== "");
  assertEquals(io.err, "lvl-ip: The connection to 10.0.0.5:4711 broke: Connection reset by peer\n");
  io.type("for the second");
  const second = opener.arrive();
  assertEquals(new TextDecoder().decode(await second.hear(14)), "for the second");
  io.signal("SIGINT");
  assertEquals(await ended, 130);
  assert(opener.closed);
});

Deno.test("listen -u answers who sent first, with -k who sent last", async () => {
  for (const keepOpen of [false, true]) {
    const { io, opener: { datagrams }, ended } = begin({ udp: true, keepOpen });
    datagrams.arrive("one ", udp("10.0.0.5", 1));
    datagrams.arrive("two", udp("10.0.0.5", 2));
    await until(() => io.text === (keepOpen ? "one two" : "one "));
    io.type("answer");
    await until(() => datagrams.sent.length === 1);
    assertEquals(datagrams.sent, [["answer", `10.0.0.5:${keepOpen ? 2 : 1}`]]);
    io.signal("SIGTERM");
    assertEquals(await ended, 143);
    assert(datagrams.closed);
  }
});

Deno.test("listen ends after --timeout of silence, and has no program for datagrams", async () => {
  const { opener, ended } = begin({ timeout: 20 });
  const peer = opener.arrive();
  await peer.say("x");
  assertEquals(await ended, 0);
  assert(peer.other.closed);
  assertThrows(() => begin({ udp: true, exec: "cat" }), CommandError, "--exec is for TCP");
});
