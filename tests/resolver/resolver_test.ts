import { assert, assertEquals } from "@std/assert";
import { MAX_ENTRIES } from "../../lib/resolver/cache.ts";
import { Outcome, Reason, RecordType, Source } from "../../lib/resolver/types.ts";
import { formatIp, parseIp } from "../../lib/wire/address.ts";
import { a, cname, NXDOMAIN, ResolverWorld, respond, SECOND, SERVER_1, SERVER_2, soa } from "./world.ts";

const TWO = [{ address: SERVER_1, port: 53 }, { address: SERVER_2, port: 53 }];

Deno.test("an answer: its addresses, name and time, and one query with an OPT record", () => {
  const world = new ResolverWorld();
  world.servers.set(SERVER_1, ({ name }) => ({ answers: [a(name, "192.0.2.1"), a(name, "192.0.2.2", 30)] }));
  const answer = world.lookUp("WWW.example");
  assertEquals(answer.addresses.map(formatIp), ["192.0.2.1", "192.0.2.2"]);
  assertEquals([answer.names, answer.ttl, answer.server], [["www.example"], 30, SERVER_1]);
  assertEquals([world.queries.length, world.queries[0].edns], [1, true]);
  // The socket is given back.
  assertEquals(world.closed, [world.queries[0].action.channel]);
});

Deno.test("the cache keeps an answer as long as its TTL and not longer", () => {
  const world = new ResolverWorld();
  world.servers.set(SERVER_1, ({ name }) => ({ answers: [a(name, "192.0.2.1", 10)] }));
  world.lookUp("www.example");
  world.now += 9.5 * SECOND;
  const kept = world.lookUp("www.example");
  assertEquals([kept.source, kept.ttl, world.queries.length], [Source.cache, 1, 1]);
  world.now += 0.5 * SECOND;
  assertEquals([world.lookUp("www.example").source, world.queries.length], [Source.server, 2]);
  world.resolver.flush();
  assertEquals([world.lookUp("www.example").source, world.queries.length], [Source.server, 3]);
});

Deno.test("the cache is bounded, and what was used last stays", () => {
  const world = new ResolverWorld();
  world.servers.set(SERVER_1, ({ name }) => ({ answers: [a(name, "192.0.2.1", 10)] }));
  for (let i = 0; i < MAX_ENTRIES; i++) world.lookUp(`n${i}.example`);
  world.lookUp("n0.example");
  world.lookUp("one-more.example");
  assertEquals(world.resolver.cacheSize, MAX_ENTRIES);
  assertEquals(world.lookUp("n0.example").source, Source.cache);
  assertEquals(world.lookUp("n1.example").source, Source.server);
});

Deno.test("RFC 2308: denials hold as long as the SOA's minimum, and without an SOA not at all", () => {
  const world = new ResolverWorld();
  let authorities = [soa(20, 3600)];
  world.servers.set(SERVER_1, ({ name }) => ({ authorities, flags: name.startsWith("no.") ? NXDOMAIN : 0 }));
  const denial = world.lookUp("no.example");
  assertEquals([denial.outcome, denial.reason, denial.ttl], [Outcome.noName, Reason.nxDomain, 20]);
  assertEquals(world.lookUp("empty.example").outcome, Outcome.noData);
  world.now += 19 * SECOND;
  assertEquals(world.lookUp("no.example").source, Source.cache);
  world.now += 1 * SECOND;
  authorities = [];
  assertEquals(world.lookUp("no.example").source, Source.server);
  assertEquals(world.lookUp("no.example").source, Source.server);
});

Deno.test("aliases: within one response, and on to another question where it ends", () => {
  const world = new ResolverWorld();
  world.servers.set(SERVER_1, ({ name }) => {
    if (name === "www.example") {
      return { answers: [cname(name, "Web.example", 40), a("web.example", "192.0.2.1")] };
    }
    if (name === "far.example") return { answers: [cname(name, "near.other", 7)] };
    return { answers: [a(name, "192.0.2.2")] };
  });
  const whole = world.lookUp("www.example");
  assertEquals([whole.names, whole.ttl, whole.addresses.length], [["www.example", "web.example"], 40, 1]);
  const parted = world.lookUp("far.example");
  assertEquals([parted.names, parted.ttl], [["far.example", "near.other"], 7]);
  assertEquals(parted.addresses.map(formatIp), ["192.0.2.2"]);
});

Deno.test("aliases without end are given up", () => {
  const world = new ResolverWorld();
  let count = 0;
  world.servers.set(SERVER_1, ({ name }) => {
    if (name === "loop.example") return { answers: [cname(name, "x.example"), cname("x.example", name)] };
    return { answers: [cname(name, `n${++count}.example`)] };
  });
  for (const name of ["loop.example", "endless.example"]) {
    const { outcome, reason } = world.lookUp(name);
    assertEquals([outcome, reason], [Outcome.fail, Reason.aliasLoop]);
  }
  assert(count < 20);
});

Deno.test("RFC 5452: answers from elsewhere, with another id or question are counted and ignored", () => {
  const world = new ResolverWorld();
  const ticket = world.resolver.lookUp("www.example", RecordType.A, 0);
  world.settle();
  const [query] = world.queries;
  const { channel } = query.action;
  const forged = { answers: [a("www.example", "198.51.100.66")] };
  const good = respond(query, { answers: [a("www.example", "192.0.2.1")] });
  const wrongId = respond(query, forged);
  wrongId[0] ^= 0x80;
  const questions = [{ type: "A" as const, name: "other.example" }];
  world.resolver.datagram(channel, SERVER_2, 53, respond(query, forged), 0);
  world.resolver.datagram(channel, SERVER_1, 54, respond(query, forged), 0);
  world.resolver.datagram(channel + 99, SERVER_1, 53, respond(query, forged), 0);
  world.resolver.datagram(channel, SERVER_1, 53, wrongId, 0);
  world.resolver.datagram(channel, SERVER_1, 53, respond(query, { ...forged, questions }), 0);
  world.resolver.datagram(channel, SERVER_1, 53, good.slice(0, -3), 0);
  assertEquals(world.resolver.takeAnswer(), null);
  world.resolver.datagram(channel, SERVER_1, 53, good, 0);
  assertEquals(world.finish(ticket).addresses.map(formatIp), ["192.0.2.1"]);
  const { wrongSource, wrongQuestion, malformed, wrongId: ids } = world.resolver.counters;
  assertEquals([wrongSource, ids, wrongQuestion, malformed], [2, 1, 1, 1]);
});

Deno.test("ids differ from query to query", () => {
  const world = new ResolverWorld();
  world.servers.set(SERVER_1, () => ({ answers: [] }));
  for (let i = 0; i < 50; i++) world.lookUp(`n${i}.example`);
  assert(new Set(world.queries.map(({ packet }) => packet.id)).size > 45);
});

Deno.test("RFC 6891: a server that does not know OPT is asked without, from then on", () => {
  const world = new ResolverWorld();
  // An old server: it cannot even repeat the question.
  world.servers.set(SERVER_1, ({ edns, name }) => {
    return edns ? { flags: 1, questions: [] } : { answers: [a(name, "192.0.2.1")] };
  });
  assertEquals(world.lookUp("a.example").outcome, Outcome.found);
  assertEquals(world.lookUp("b.example").outcome, Outcome.found);
  assertEquals(world.queries.map(({ edns }) => edns), [true, false, false]);
});

Deno.test("RFC 7766: what was cut off is asked for over TCP, where it comes in pieces", () => {
  const world = new ResolverWorld();
  world.servers.set(SERVER_1, (query) => {
    const { name } = query;
    if (query.action.kind === "udp") {
      return respond(query, { flags: 0x200, answers: [a(name, "1.1.1.1")] }).slice(0, -7);
    }
    return { answers: Array.from({ length: 200 }, (_, i) => a(name, `192.0.2.${i}`)) };
  });
  assertEquals(world.lookUp("many.example").addresses.length, 200);
  assertEquals(world.queries.map(({ action }) => action.kind), ["udp", "tcp"]);
});

Deno.test("what is cut off over TCP too is no answer", () => {
  const world = new ResolverWorld();
  world.servers.set(SERVER_1, ({ name }) => ({ flags: 0x200, answers: [a(name, "192.0.2.1")] }));
  const { outcome, reason } = world.lookUp("www.example");
  assertEquals([outcome, reason], [Outcome.tryAgain, Reason.serverFailure]);
});

Deno.test("options use-vc: TCP only; a stream that ends early makes way for the next server", () => {
  const world = new ResolverWorld({ servers: TWO, useTcp: true });
  world.servers.set(SERVER_2, ({ name }) => ({ answers: [a(name, "192.0.2.2")] }));
  const ticket = world.resolver.lookUp("www.example", RecordType.A, 0);
  world.settle();
  world.resolver.failed(world.queries[0].action.channel, 0);
  assertEquals(world.finish(ticket).server, SERVER_2);
  assertEquals([world.now, world.queries.map(({ action }) => action.kind)], [0, ["tcp", "tcp"]]);
});

Deno.test("resolv.conf(5): every server in turn, then all again with more patience", () => {
  const world = new ResolverWorld({ servers: TWO });
  const sentAt: number[] = [];
  for (const { address } of TWO) world.servers.set(address, () => (sentAt.push(world.now / SECOND), null));
  const { outcome, reason } = world.lookUp("www.example");
  assertEquals([outcome, reason], [Outcome.tryAgain, Reason.timeout]);
  assertEquals([sentAt, world.now / SECOND], [[0, 5, 10, 15], 20]);
  assertEquals(world.closed.length, 4);
});

Deno.test("an answer that comes late, when the next server was asked already, is an answer", () => {
  const world = new ResolverWorld({ servers: TWO });
  const ticket = world.resolver.lookUp("www.example", RecordType.A, 0);
  world.settle();
  world.now = world.resolver.deadline;
  world.resolver.advance(world.now);
  world.settle();
  const [first] = world.queries;
  const late = respond(first, { answers: [a("www.example", "192.0.2.1")] });
  world.resolver.datagram(first.action.channel, SERVER_1, 53, late, world.now);
  assertEquals([world.finish(ticket).server, world.queries.length], [SERVER_1, 2]);
});

Deno.test("a failure that comes late does not take the turn of the server that is being asked", () => {
  const world = new ResolverWorld({ servers: TWO });
  const ticket = world.resolver.lookUp("www.example", RecordType.A, 0);
  world.settle();
  world.now = world.resolver.deadline;
  world.resolver.advance(world.now);
  world.settle();
  const [first, second] = world.queries;
  const failure = respond(first, { flags: 2 });
  world.resolver.datagram(first.action.channel, SERVER_1, 53, failure, world.now);
  world.settle();
  assertEquals(world.queries.length, 2);
  const answer = respond(second, { answers: [a("www.example", "192.0.2.1")] });
  world.resolver.datagram(second.action.channel, SERVER_2, 53, answer, world.now);
  assertEquals(world.finish(ticket).server, SERVER_2);
});

Deno.test("servers that fail or refuse are passed over; what the last of them said is told", () => {
  const world = new ResolverWorld({ servers: TWO });
  world.servers.set(SERVER_1, () => ({ flags: 2 }));
  world.servers.set(SERVER_2, ({ name }) => ({ answers: [a(name, "192.0.2.2")] }));
  assertEquals([world.lookUp("a.example").server, world.now], [SERVER_2, 0]);
  world.servers.set(SERVER_2, () => ({ flags: 5 }));
  const refused = world.lookUp("b.example");
  assertEquals([refused.outcome, refused.reason, refused.server], [Outcome.fail, Reason.refused, SERVER_2]);
  world.servers.set(SERVER_2, () => ({ flags: 2 }));
  const failed = world.lookUp("c.example");
  assertEquals([failed.outcome, failed.reason], [Outcome.tryAgain, Reason.serverFailure]);
});

Deno.test("rotate begins with any server; no server at all is told at once", () => {
  const world = new ResolverWorld({ servers: TWO, rotate: true });
  for (const { address } of TWO) {
    world.servers.set(address, ({ name }) => ({ answers: [a(name, "192.0.2.1")] }));
  }
  const first = new Set(Array.from({ length: 40 }, (_, i) => world.lookUp(`n${i}.example`).server));
  assertEquals(first.size, 2);
  const none = new ResolverWorld({ servers: [] }).lookUp("www.example");
  assertEquals([none.outcome, none.reason], [Outcome.tryAgain, Reason.noServer]);
});

Deno.test("the same question is asked once for all who wait, and an asker may go away", () => {
  const world = new ResolverWorld();
  const tickets = [1, 2, 3].map(() => world.resolver.lookUp("www.example", RecordType.A, 0));
  world.resolver.forget(tickets[1]);
  world.settle();
  assertEquals(world.queries.length, 1);
  const [query] = world.queries;
  const response = respond(query, { answers: [a("www.example", "192.0.2.1")] });
  world.resolver.datagram(query.action.channel, SERVER_1, 53, response, 0);
  const answered = [];
  for (let each = world.resolver.takeAnswer(); each; each = world.resolver.takeAnswer()) {
    answered.push(each.ticket);
  }
  assertEquals(answered, [tickets[0], tickets[2]]);
  assertEquals(world.resolver.counters.merged, 2);
});

Deno.test("res_search(3): ndots, search list, a dot at the end, and which failure counts", () => {
  const world = new ResolverWorld({ search: ["corp.example", "example"] });
  const asked = (name: string) => {
    world.queries.length = 0;
    const { outcome } = world.lookUp(name);
    return [outcome, ...world.queries.map((query) => query.name)];
  };
  world.servers.set(SERVER_1, () => ({ flags: NXDOMAIN }));
  assertEquals(asked("db"), [Outcome.noName, "db.corp.example", "db.example", "db"]);
  assertEquals(asked("db."), [Outcome.noName, "db"]);
  assertEquals(asked("a.b"), [Outcome.noName, "a.b", "a.b.corp.example", "a.b.example"]);
  world.servers.set(SERVER_1, ({ name }) => ({ flags: name === "db.example" ? 0 : NXDOMAIN }));
  assertEquals(asked("db")[0], Outcome.noData);
  world.servers.set(
    SERVER_1,
    ({ name }) => name === "db.example" ? { answers: [a(name, "192.0.2.1")] } : { flags: 2 },
  );
  assertEquals(asked("db")[0], Outcome.found);
  world.servers.set(SERVER_1, ({ name }) => ({ flags: name === "dc.example" ? NXDOMAIN : 2 }));
  assertEquals(asked("dc")[0], Outcome.tryAgain);
});

Deno.test("/etc/hosts, literals and localhost need no server, and names that cannot be are refused", () => {
  const world = new ResolverWorld({}, "10.9.9.9 db.example db\n::1 six\n10.9.9.9 later");
  assertEquals(world.lookUp("DB").names, ["db", "db.example"]);
  assertEquals(world.lookUp("db").addresses.map(formatIp), ["10.9.9.9"]);
  assertEquals(world.lookUp("10.9.9.9", RecordType.PTR).names, ["db.example", "db"]);
  assertEquals(world.lookUp("192.0.2.7").addresses.map(formatIp), ["192.0.2.7"]);
  assertEquals(world.lookUp("127.1.2.3", RecordType.PTR).names, ["localhost"]);
  for (const name of ["localhost", "LocalHost.", "a.localhost"]) {
    assertEquals(world.lookUp(name).addresses.map(formatIp), ["127.0.0.1"]);
  }
  for (const name of ["a.invalid", "xyz.ONION."]) assertEquals(world.lookUp(name).reason, Reason.nxDomain);
  for (
    const name of [
      "",
      ".",
      "a..b",
      "a b",
      "-a.example",
      "x".repeat(64),
      `${"x".repeat(60)}.`.repeat(5),
      "a/b@c",
    ]
  ) {
    assertEquals([name, world.lookUp(name).reason], [name, Reason.badName]);
  }
  assertEquals(world.queries, []);
});

Deno.test("reverse names, and no AAAA for hosts that the stack cannot reach that way", () => {
  const world = new ResolverWorld({ search: ["example"] });
  world.servers.set(SERVER_1, ({ name, packet }) => {
    if (packet.questions![0].type === "A") return { answers: [a(name, "192.0.2.1")] };
    const data = name.startsWith("1.") ? "Host.example" : "evil\x1b[2J.example";
    return { answers: [{ type: "PTR", name, data, ttl: 5 }] };
  });
  assertEquals(world.lookUp("192.0.2.1", RecordType.PTR).names, ["host.example"]);
  assertEquals(world.queries[0].name, "1.2.0.192.in-addr.arpa");
  assertEquals(world.lookUp("192.0.2.2", RecordType.PTR).reason, Reason.badName);
  const six = world.lookUp("www.example", RecordType.AAAA);
  assertEquals([six.outcome, six.addresses.length], [Outcome.noData, 0]);
  assertEquals(world.lookUp("2001-db8.example", RecordType.A).addresses, [parseIp("192.0.2.1")!]);
});

Deno.test("international names are asked for in their ASCII form", () => {
  const world = new ResolverWorld();
  world.servers.set(SERVER_1, ({ name }) => ({ answers: [a(name, "192.0.2.1")] }));
  assertEquals(world.lookUp("bücher.example").names, ["xn--bcher-kva.example"]);
  assertEquals(world.lookUp("\uff11.2.3.4").reason, Reason.badName);
  assertEquals(world.lookUp("b\u00fccher/..example").reason, Reason.badName);
});
