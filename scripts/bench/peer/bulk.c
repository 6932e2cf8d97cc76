/* Bulk transfer over any number of flows at once. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

/* Reads or writes of one flow before the others have their turn. */
#define BUDGET 8

static char chunk[CHUNK];

/* Bytes that went over one flow in its turn. */
static int64_t turn(int fd, int to_stack) {
  int64_t moved = 0;
  for (int i = 0; i < BUDGET; i++) {
    ssize_t count = to_stack ? send(fd, chunk, sizeof chunk, MSG_NOSIGNAL) : read(fd, chunk, sizeof chunk);
    if (count < 0 && errno == EAGAIN) break;
    if (count < 0) fail(to_stack ? "send" : "read");
    if (count == 0) {
      errno = EPIPE;
      fail("the stack closed");
    }
    moved += count;
  }
  return moved;
}

int bulk(const char *host, int to_stack, int flows, double warm_up, double seconds) {
  struct epoll_event events[256];
  int poller = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 0; i < flows; i++) {
    int fd = tcp_connect(host, to_stack ? PORT_SINK : PORT_SOURCE);
    struct epoll_event event = {.events = to_stack ? EPOLLOUT : EPOLLIN, .data.fd = fd};
    set_nonblocking(fd);
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
  }
  int64_t start = now_ns(), from = start + warm_up * 1e9, until = from + seconds * 1e9, now = start;
  int64_t total = 0, before = 0, began = 0;
  double cpu = 0;
  while (now < until) {
    int count = epoll_wait(poller, events, 256, 100);
    for (int i = 0; i < count; i++) total += turn(events[i].data.fd, to_stack);
    now = now_ns();
    if (!began && now >= from) {
      began = now;
      before = total;
      cpu = cpu_seconds();
    }
  }
  printf("{\"bytes\":%lld,\"seconds\":%.6f,\"cpu\":%.6f,\"total\":%lld}\n", (long long)(total - before),
         (now - began) * 1e-9, cpu_seconds() - cpu, (long long)total);
  return 0;
}
