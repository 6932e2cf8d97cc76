/** Which ICMP error reaches which datagram socket, and as what (RFC 1122 3.2.2, 4.1.3.3). */
import { assertEquals } from "@std/assert";
import { EAGAIN, EHOSTUNREACH, EMSGSIZE, EPROTO } from "../../lib/errno.ts";
import { Datagram, DATAGRAM_ERROR, IP_RECVERR, IPPROTO_IP, SocketKind } from "../../lib/stack/stack.ts";
import { icmpFrame, udpFrame } from "../support/build.ts";
import { assertFrame, icmp } from "../support/checker.ts";
import { fixIpChecksum } from "../support/fragments.ts";
import { Bench, expect, GATEWAY, ip, OURS, PEER } from "./helpers.ts";

/** Linux's errno for each code of "destination unreachable" (icmp_err_convert), and whether it is final. */
const CODES: [errno: number, isHard: boolean][] = [
  [101, false], // net
  [113, false], // host
  [92, true], // protocol
  [111, true], // port
  [EMSGSIZE, true], // fragmentation needed
  [95, false], // source route failed
  [101, true], // net unknown
  [112, true], // host unknown
  [64, true], // host isolated
  [101, true], // net prohibited
  [113, true], // host prohibited
  [101, false], // net, for the type of service
  [113, false], // host, for the type of service
  [113, true], // packet filtered
  [113, true], // precedence violation
  [113, true], // precedence cutoff
];

function bench(): Bench {
  const made = new Bench();
  made.learnPeer();
  return made;
}

class Client {
  readonly handle: number;
  readonly message = new Datagram();

  constructor(readonly made: Bench, queuesErrors = false, isConnected = true) {
    this.handle = expect(made.stack.socket(SocketKind.datagram));
    if (queuesErrors) expect(made.stack.setOption(this.handle, IPPROTO_IP, IP_RECVERR, 1, made.now));
    if (isConnected) expect(made.stack.connect(this.handle, ip(PEER), 9, made.now));
  }

  send(length: number): Uint8Array[] {
    this.message.address = ip(PEER);
    this.message.port = 9;
    this.message.offset = 0;
    this.message.length = length;
    expect(this.made.stack.sendTo(this.handle, this.message, this.made.now));
    return this.made.drain();
  }

  receive(): number {
    return this.made.stack.receiveFrom(this.handle, this.message);
  }
}

function errorAbout(sent: Uint8Array, type: number, code: number, rest = 0): Uint8Array {
  const payload = sent.subarray(14, Math.min(sent.length, 14 + 548));
  return icmpFrame({ source: GATEWAY, destination: OURS, type, code, rest, payload });
}

Deno.test("destination unreachable: each code with Linux's errno; hard ones end the next call of a connected socket", () => {
  CODES.forEach(([errno, isHard], code) => {
    const made = bench();
    const [plain, queueing, unconnected] = [
      new Client(made),
      new Client(made, true),
      new Client(made, false, false),
    ];
    for (const client of [plain, queueing, unconnected]) {
      made.input(errorAbout(client.send(100)[0], 3, code, 1000));
    }
    assertEquals(made.stack.takeError(plain.handle), isHard ? errno : 0, `code ${code}`);
    assertEquals(made.stack.takeError(unconnected.handle), 0, `code ${code}`);
    assertEquals(queueing.receive(), 100);
    const { kind, errno: queued, icmpType, icmpCode, mtu, sourceAddress, address } = queueing.message;
    assertEquals([kind, queued, icmpType, icmpCode], [DATAGRAM_ERROR, errno, 3, code]);
    assertEquals([mtu, sourceAddress, address], [code === 4 ? 1000 : 0, ip(GATEWAY), ip(PEER)]);
    assertEquals([plain.receive(), unconnected.receive()], [-EAGAIN, -EAGAIN]);
  });
});

Deno.test("time exceeded in transit and in reassembly, parameter problem: to who sent what they quote", () => {
  for (const [type, code, errno] of [[11, 0, EHOSTUNREACH], [11, 1, EHOSTUNREACH], [12, 0, EPROTO]]) {
    const made = bench();
    const [other, client] = [new Client(made, true), new Client(made, true)];
    other.send(50);
    const [first, second] = client.send(3000);
    // Of a datagram in fragments the first says who sent it; a later one cannot.
    made.input(errorAbout(second, type, code));
    assertEquals(client.receive(), -EAGAIN);
    made.input(errorAbout(first, type, code));
    assertEquals(client.receive(), 548 - 28);
    assertEquals([client.message.errno, client.message.icmpType], [errno, type]);
    assertEquals(other.receive(), -EAGAIN);
    assertEquals(made.drops, { icmpQuoteMalformed: 1 });
  }
});

Deno.test("RFC 1122 3.2.2: no error goes to an address that no host has", () => {
  const made = bench();
  made.learnPeer("10.0.0.9");
  const frame = udpFrame({ source: "240.0.0.9", destination: OURS, sourcePort: 1, destinationPort: 2 });
  assertEquals(made.input(frame), []);
  assertEquals([made.drops, made.stack.counters.icmpErrorsOut], [{ udpNoSocket: 1 }, 0]);
});

Deno.test("a protocol that nobody speaks is reported for a datagram in fragments too, once it is whole", () => {
  const made = bench();
  const half = (offset: number, moreFragments: boolean) => {
    const frame = icmpFrame({ source: PEER, destination: OURS, type: 8, payload: new Uint8Array(72) });
    frame[14 + 9] = 132;
    frame[14 + 6] = moreFragments ? 0x20 : 0;
    frame[14 + 7] = offset / 8;
    fixIpChecksum(frame);
    return frame;
  };
  assertEquals(made.input(half(0, true)), []);
  const [error] = made.input(half(80, false));
  assertFrame(error, icmp(3, 2));
});

Deno.test("what happens inside the host is not limited in rate", () => {
  const made = bench();
  const client = new Client(made, true, false);
  for (let n = 0; n < 100; n++) {
    client.message.address = ip("127.0.0.1");
    client.message.port = 9;
    client.message.offset = 0;
    client.message.length = 10;
    expect(made.stack.sendTo(client.handle, client.message, made.now));
    made.drain();
    assertEquals(client.receive(), 10);
    assertEquals(client.message.icmpCode, 3);
  }
});
