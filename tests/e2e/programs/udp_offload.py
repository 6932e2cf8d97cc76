"""UDP_SEGMENT and UDP_GRO in all that a program may do with them, a line each: run on the kernel and on the stack.

udp_offload.py OWN FAR: an address of this host, and one behind a link with an MTU of 1500, where nobody need listen.
"""
import array, errno, fcntl, socket, struct, sys, termios

OWN, FAR = sys.argv[1], (sys.argv[2], 9)
SOL_UDP, UDP_SEGMENT, UDP_GRO = 17, 103, 104
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_PMTUDISC_PROBE = 10, 2, 3


def udp():
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def say(what, call):
    try:
        print(what, call())
    except OSError as error:
        print(what, errno.errorcode[error.errno])


def size(number, form="=H"):
    return (SOL_UDP, UDP_SEGMENT, struct.pack(form, number))


def set_and_get(sock, name, value):
    sock.setsockopt(SOL_UDP, name, value)
    return sock.getsockopt(SOL_UDP, name)


def options():
    sock = udp()
    for name in (UDP_SEGMENT, UDP_GRO):
        print("default", name, sock.getsockopt(SOL_UDP, name), len(sock.getsockopt(SOL_UDP, name, 2)))
        for value in (1, 5, 65535, 65536, -1, 0, b"\1", b"\1\0\0\0\0\0"):
            say(f"set {name} {value}", lambda: set_and_get(sock, name, value))
    say("unknown", lambda: sock.setsockopt(SOL_UDP, 99, 1))
    say("unknown", lambda: sock.getsockopt(SOL_UDP, 99))
    stream = socket.socket()
    say("TCP", lambda: stream.setsockopt(SOL_UDP, UDP_SEGMENT, 1000))
    say("TCP", lambda: stream.setsockopt(SOL_UDP, UDP_GRO, 1))


def refusals(sock, what):
    def send(length, *control, to=(FAR,)):
        say(f"{what} {length} {control}", lambda: sock.sendmsg([bytes(length)], control, 0, *to))

    for length, each in [(3000, 1000), (1472, 1472), (2944, 1472), (2944, 1473), (1473, 1473), (1473, 65535)]:
        send(length, size(each))
    for length, each in [(1472, 65535), (128, 1), (129, 1), (0, 1), (0, 0), (1, 1), (3000, 0), (65507, 1472)]:
        send(length, size(each))
    for length, each in [(65508, 1472), (65507, 500), (65507, 512), (65507, 511)]:
        send(length, size(each))
    # What is not of the right form, or not of UDP.
    send(100, size(50, "=I"))
    send(100, size(50, "=B"))
    send(100, (SOL_UDP, UDP_SEGMENT, b""))
    send(100, (SOL_UDP, UDP_GRO, b"\1\0"))
    send(100, (SOL_UDP, 55, b"\1\0"))
    send(100, (999, 1, b"\1\0"))
    send(100, (socket.SOL_SOCKET, 99, b"\1\0"))
    send(100, (socket.IPPROTO_IP, 99, b"\1\0"))
    # The last one counts, and others go with it.
    send(2000, size(1473), size(1000))
    send(2000, size(1000), size(1473))
    send(2000, (socket.IPPROTO_IP, socket.IP_TTL, struct.pack("=i", 9)), size(1000))
    send(2000, size(1000), (socket.IPPROTO_IP, socket.IP_TTL, struct.pack("=i", 0)))


def sockets():
    sock = udp()
    say("nobody", lambda: sock.sendmsg([b"x"], [size(50, "=I")]))
    refusals(sock, "plain")
    for value in (1473, 1000):
        sock.setsockopt(SOL_UDP, UDP_SEGMENT, value)
        refusals(sock, f"option {value}")
        for length in (1000, 1472, 1473, 2000, 65507):
            say(f"option {value} alone {length}", lambda: sock.sendto(bytes(length), FAR))
    sock.setsockopt(SOL_UDP, UDP_SEGMENT, 1)
    say("option 1 alone", lambda: sock.sendto(bytes(129), FAR))
    sock.setsockopt(SOL_UDP, UDP_SEGMENT, 0)
    say("option 0 alone", lambda: sock.sendto(bytes(2000), FAR))
    for value in (IP_PMTUDISC_DO, IP_PMTUDISC_PROBE):
        sock = udp()
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, value)
        say(f"discover {value} 1473", lambda: sock.sendmsg([bytes(2000)], [size(1473)], 0, FAR))
        say(f"discover {value} 1472", lambda: sock.sendmsg([bytes(2000)], [size(1472)], 0, FAR))
    sock = udp()
    sock.connect(FAR)
    say("connected", lambda: sock.sendmsg([bytes(2000)], [size(1472)]))
    say("connected", lambda: sock.sendmsg([bytes(2000)], [size(1473)]))
    sock = udp()
    say("pieces", lambda: sock.sendmsg([b"head", bytes(996)] * 60, [size(1000)], 0, FAR))
    say("pieces", lambda: sock.sendmsg([b"head", bytes(300)] * 120, [size(304)], 0, FAR))


def receiver(gro):
    sock = udp()
    sock.bind((OWN, 0))
    if gro:
        sock.setsockopt(SOL_UDP, UDP_GRO, 1)
    sock.settimeout(5)
    return sock


def told(sock, length=70000, room=256, flags=0):
    data, control, flags, address = sock.recvmsg(length, room, flags)
    # Of the time of arrival only that it is told.
    shown = [(level, kind, "time" if level == socket.SOL_SOCKET else value.hex()) for level, kind, value in control]
    return len(data), sum(data) % 251, shown, hex(flags), address


def receive(gro):
    message = bytes(i * 7 >> 3 & 255 for i in range(65507))
    sock, sender, last = receiver(gro), udp(), udp()
    for each in (sender, last):
        each.bind((OWN, 0))
    name = sock.getsockname()

    def send(length, *control):
        sender.sendmsg([message[:length]], control, 0, name)

    def all_told(what, **how):
        """All up to a message of somebody else."""
        last.sendto(b"x", name)
        for number in range(10):
            *result, address = told(sock, **how)
            if address == last.getsockname():
                break
            print("gro" if gro else "plain", what, number, *result, address == sender.getsockname())

    for length, each in [(2500, 1000), (2000, 1000), (1000, 1000), (3, 1), (0, 10), (9000, 1400)]:
        send(length, size(each))
        all_told(f"{length}/{each}")
    for how in ({"length": 1500}, {"room": 0}, {"room": 8}, {"room": 18}, {"room": 24}):
        send(2500, size(1000))
        all_told(how, **how)
    send(2500, size(1000))
    waiting = array.array("i", [0])
    print("peek", *told(sock, flags=socket.MSG_PEEK)[:4])
    fcntl.ioctl(sock, termios.FIONREAD, waiting)
    print("waiting", waiting[0])
    all_told("after peek")
    for level, name_of in [(0, socket.IP_RECVTOS), (0, 12), (0, 8), (socket.SOL_SOCKET, 29)]:
        sock.setsockopt(level, name_of, 1)
    send(2500, size(1000), (0, socket.IP_TTL, struct.pack("=i", 9)))
    print("with others", [kind[:2] for kind in told(sock)[2]])
    all_told("rest", room=0)
    # With more the kernel's loopback cuts it, for 64 KB with the headers are its most.
    send(64000, size(500))
    total, count = 0, 0
    while total < 64000:
        length, *_ = told(sock)
        total, count = total + length, count + 1
    print("all", total, count)


options()
sockets()
for gro in (False, True):
    receive(gro)
