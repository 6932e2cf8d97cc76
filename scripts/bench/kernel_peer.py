"""The kernel's side of the comparison, with CUBIC pinned by setsockopt (the machine's default may be another).

  kernel_peer.py serve PORT                 sinks and sources bytes, as the line that a client begins with says
  kernel_peer.py up|down HOST PORT SECONDS BYTES FLOWS

The receiver measures: for each flow it prints `flow BYTES SECONDS` when BYTES came or SECONDS passed, whichever is first.
"""

import os
import socket
import sys
import threading
import time

CHUNK = 1 << 18
ZEROS = bytes(CHUNK)


def pinned():
    s = socket.socket()
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
    return s


def sink(s, seconds, size):
    start = time.monotonic()
    got = 0
    while got < size:
        left = start + seconds - time.monotonic()
        if left <= 0:
            break
        s.settimeout(left)
        try:
            data = s.recv(min(CHUNK, size - got))
        except TimeoutError:
            break
        if not data:
            break
        got += len(data)
    # One write, so that the lines of two threads do not mix.
    os.write(1, f"flow {got} {time.monotonic() - start:.6f}\n".encode())
    s.close()


def source(s):
    s.settimeout(None)
    try:
        while True:
            s.sendall(ZEROS)
    except OSError:
        s.close()


def serve_one(s):
    line = b""
    while not line.endswith(b"\n"):
        line += s.recv(1)
    words = line.decode().split()
    if words[0] == "sink":
        sink(s, float(words[1]), int(words[2]))
    else:
        source(s)


def serve(port):
    listener = pinned()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", port))
    listener.listen(64)
    print("up", flush=True)
    while True:
        s, _ = listener.accept()
        assert s.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0") == b"cubic"
        threading.Thread(target=serve_one, args=(s,), daemon=True).start()


def client(direction, host, port, seconds, size):
    while True:
        s = pinned()
        try:
            s.connect((host, port))
            break
        except OSError:
            s.close()  # ARP gives up after three losses
    if direction == "up":
        s.sendall(f"sink {seconds} {size}\n".encode())
        source(s)
    else:
        s.sendall(b"source\n")
        sink(s, seconds, size)


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    direction, host, port, seconds, size, flows = sys.argv[1:]
    threads = [
        threading.Thread(target=client, args=(direction, host, int(port), float(seconds), int(size)))
        for _ in range(int(flows))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
