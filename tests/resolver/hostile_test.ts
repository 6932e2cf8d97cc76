import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseResolvConf } from "../../lib/resolver/config.ts";
import { Hosts } from "../../lib/resolver/hosts.ts";
import { decodeResponse, MessageStream } from "../../lib/resolver/message.ts";
import { isHostName, toHostName } from "../../lib/resolver/name.ts";
import { Outcome, RecordType } from "../../lib/resolver/types.ts";
import { formatIp } from "../../lib/wire/address.ts";
import { a, cname, ResolverWorld, respond, SERVER_1, soa } from "./world.ts";

const NAME = "www.example";

/** A world in which one query is on its way. */
function waiting(): { world: ResolverWorld; ticket: number } {
  const world = new ResolverWorld();
  const ticket = world.resolver.lookUp(NAME, RecordType.A, 0);
  world.settle();
  return { world, ticket };
}

Deno.test("whatever bytes come: nothing is thrown, and the resolver comes to an end", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, hasId) => {
    const { world, ticket } = waiting();
    const { action, packet } = world.queries[0];
    if (hasId && bytes.length > 3) bytes.set([packet.id! >> 8, packet.id! & 255, 0x81, bytes[3] & 0x83]);
    world.resolver.datagram(action.channel, SERVER_1, 53, bytes, 0);
    assert(world.finish(ticket).outcome !== Outcome.found);
  }));
});

Deno.test("a good answer with some bytes changed is understood or not, and never gives names that harm", () => {
  const changes = fc.array(fc.tuple(fc.nat(400), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(fc.property(changes, (edits) => {
    const { world, ticket } = waiting();
    const [query] = world.queries;
    const answers = [cname(NAME, "a.example"), cname("a.example", "b.example"), a("b.example", "192.0.2.1")];
    const bytes = respond(query, { answers, authorities: [soa(5)] });
    for (const [at, value] of edits) bytes[at % bytes.length] = value;
    world.resolver.datagram(query.action.channel, SERVER_1, 53, bytes, 0);
    for (const name of world.finish(ticket).names) assert(isHostName(name), name);
  }));
});

Deno.test("compression: pointers that go round, forward or out of the message are malformed", () => {
  const { world } = waiting();
  const [{ packet, action }] = world.queries;
  const question = action.bytes.slice(12, 12 + NAME.length + 2 + 4);
  const header = [packet.id! >> 8, packet.id! & 255, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
  const at = header.length + question.length;
  const record = [0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1];
  const asked = { name: NAME, type: RecordType.A };
  for (const target of [at, at + 1, 0x3fff]) {
    const bytes = new Uint8Array([...header, ...question, 0xc0 | (target >> 8), target & 255, ...record]);
    assertEquals(decodeResponse(bytes, packet.id!, asked), "malformed");
  }
  const good = new Uint8Array([...header, ...question, 0xc0, 12, ...record]);
  const response = decodeResponse(good, packet.id!, asked);
  assert(typeof response !== "string");
  assertEquals(response.records.map(({ owner, data }) => [owner, data]), [[NAME, "192.0.2.1"]]);
});

Deno.test("a stream of messages is put together whatever its pieces", () => {
  const message = fc.uint8Array({ maxLength: 600 });
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 5 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 400 })),
      (messages, sizes) => {
        const whole = Uint8Array.from(
          messages.flatMap((each) => [each.length >> 8, each.length & 255, ...each]),
        );
        const stream = new MessageStream();
        const got: Uint8Array[] = [];
        for (let at = 0; at < whole.length;) {
          const size = sizes.next().value;
          got.push(...stream.push(whole.subarray(at, at + size)));
          at += size;
        }
        assertEquals(got.map((each) => [...each]), messages.map((each) => [...each]));
      },
    ),
  );
});

Deno.test("names, resolv.conf and hosts files: any text is read without complaint", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    const name = toHostName(text);
    assert(name === null || isHostName(name));
    parseResolvConf(`nameserver ${text}\n${text}\noptions ${text}\nsearch ${text}`);
    new Hosts(`10.0.0.1 ${text}\n${text}`);
  }));
});

Deno.test("resolv.conf(5): comments, limits, and servers that the stack cannot reach", () => {
  const { config, unreachable } = parseResolvConf(`# a comment
nameserver 127.0.0.53
nameserver fe80::1%eth0
nameserver 10.0.0.1
domain first.example
search corp.example Example.
options ndots:99 timeout:3 attempts:9 rotate use-vc edns0 debug
nameserver 10.0.0.2
nameserver 10.0.0.3
nameserver 10.0.0.4`);
  assertEquals(config.servers.map(({ address }) => formatIp(address)), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
  assertEquals(unreachable, ["127.0.0.53", "fe80::1%eth0"]);
  assertEquals(config.search, ["corp.example", "example"]);
  assertEquals(parseResolvConf("nameserver 10.0.0.1", ["lan"]).config.search, ["lan"]);
  const { ndots, timeoutUs, attempts, rotate, useTcp } = config;
  assertEquals([ndots, timeoutUs, attempts, rotate, useTcp], [15, 3_000_000, 5, true, true]);
});
