"""A name server for tests, with the habits that real ones have on bad days. Usage: dns_server.py ADDRESS

Names under .test say what happens: many (too large for UDP), lost (the first query is not answered), spoofed (forged
answers come first), old (knows no EDNS), silent (never answers), broken (SERVFAIL), chain (two aliases), void (no such
record), and anything else beginning with "no" (no such name). All others are 192.0.2.1 for 60 seconds.
"""
import socket
import struct
import sys
import threading

ADDRESS = sys.argv[1]
A, CNAME, SOA, PTR, OPT = 1, 5, 6, 12, 41
seen = {}


def read_question(message):
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    kind, = struct.unpack_from("!H", message, at + 1)
    return ".".join(labels), kind, message[12:at + 5]


def encode_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def record(name, kind, data, ttl=60):
    return encode_name(name) + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data


def response(query, question, answers=(), rcode=0, flags=0, authorities=()):
    head = query[:2] + struct.pack("!HHHHH", 0x8180 | flags | rcode, 1, len(answers), len(authorities), 0)
    return head + question + b"".join(answers) + b"".join(authorities)


def address(name, text="192.0.2.1"):
    return record(name, A, socket.inet_aton(text))


def denial(query, question, rcode):
    soa = encode_name("ns.test") + encode_name("root.test") + struct.pack("!IIIII", 1, 1, 1, 1, 30)
    return response(query, question, rcode=rcode, authorities=[record("test", SOA, soa)])


def answer(query, is_tcp):
    name, kind, question = read_question(query)
    first = name.split(".")[0].lower()
    if kind == PTR:
        return response(query, question, [record(name, PTR, encode_name("host.test"))])
    if first == "many":
        if not is_tcp:
            return response(query, question, flags=0x200)
        return response(query, question, [address(name, f"192.0.2.{i}") for i in range(100)])
    if first == "lost" and seen.setdefault(name, 0) == 0:
        seen[name] = 1
        return None
    if first == "silent":
        return None
    if first == "old" and query[11]:
        return query[:2] + struct.pack("!HHHHH", 0x8181, 0, 0, 0, 0)
    if first == "broken":
        return response(query, question, rcode=2)
    if first == "chain":
        aliases = [record(name, CNAME, encode_name("middle.test")), record("middle.test", CNAME, encode_name("end.test"))]
        return response(query, question, [*aliases, address("end.test")])
    if first == "void":
        return denial(query, question, 0)
    if first.startswith("no"):
        return denial(query, question, 3)
    if kind != A:
        return denial(query, question, 0)
    return response(query, question, [address(name)])


def forge(query, peer, server):
    name, _, question = read_question(query)
    lie = address(name, "198.51.100.66")
    wrong_id = bytes([query[0] ^ 1]) + query[1:]
    server.sendto(response(wrong_id, question, [lie]), peer)
    other = encode_name("other.test") + question[-4:]
    server.sendto(response(query, other, [lie]), peer)
    server.sendto(response(query, question, [lie])[:-2], peer)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.bind((ADDRESS, 0))
        elsewhere.sendto(response(query, question, [lie]), peer)


def serve_udp(server):
    while True:
        query, peer = server.recvfrom(65535)
        if read_question(query)[0].startswith("spoofed"):
            forge(query, peer, server)
        said = answer(query, False)
        if said:
            server.sendto(said, peer)


def serve_tcp(listener):
    while True:
        client, _ = listener.accept()
        with client, client.makefile("rb") as stream:
            length, = struct.unpack("!H", stream.read(2))
            said = answer(stream.read(length), True)
            framed = struct.pack("!H", len(said)) + said
            # In pieces, the first of which ends within the length.
            for piece in (framed[:1], framed[1:100], framed[100:]):
                client.sendall(piece)


udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind((ADDRESS, 53))
tcp = socket.socket()
tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
tcp.bind((ADDRESS, 53))
tcp.listen()
print("up", flush=True)
threading.Thread(target=serve_udp, args=(udp,), daemon=True).start()
serve_tcp(tcp)
