/* Requests that the stack echoes: one at a time on each flow. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

struct flow {
  int fd;
  int64_t sent_at;
  size_t missing;
};

static char *message;
static size_t message_size;

static void ask(struct flow *flow) {
  flow->sent_at = now_ns();
  flow->missing = message_size;
  if (send(flow->fd, message, message_size, MSG_NOSIGNAL) != (ssize_t)message_size) fail("send");
}

/* Takes what came; 1 when the answer is complete. */
static int hear(struct flow *flow) {
  ssize_t count = read(flow->fd, message, flow->missing);
  if (count < 0 && errno == EAGAIN) return 0;
  if (count <= 0) fail("read");
  flow->missing -= count;
  return flow->missing == 0;
}

int requests(const char *host, size_t size, int count, double warm_up, double seconds) {
  struct flow *flows = calloc(count, sizeof *flows);
  struct latencies latencies = {0};
  int poller = epoll_create1(EPOLL_CLOEXEC);
  message_size = size;
  message = calloc(1, size);
  for (int i = 0; i < count; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &flows[i]};
    flows[i].fd = tcp_connect(host, PORT_ECHO);
    if (epoll_ctl(poller, EPOLL_CTL_ADD, flows[i].fd, &event) < 0) fail("epoll_ctl");
    /* A single flow blocks in read, as most programs do: no epoll in what is timed. */
    if (count > 1) set_nonblocking(flows[i].fd);
  }
  int64_t from = now_ns() + warm_up * 1e9, until = from + seconds * 1e9, now = 0;
  for (int i = 0; i < count; i++) ask(&flows[i]);
  while (now < until) {
    struct epoll_event events[256];
    int ready = 1;
    events[0].data.ptr = &flows[0];
    if (count > 1) ready = epoll_wait(poller, events, 256, 100);
    now = now_ns();
    for (int i = 0; i < ready; i++) {
      struct flow *flow = events[i].data.ptr;
      if (!hear(flow)) continue;
      now = now_ns();
      if (now >= from) latency_add(&latencies, now - flow->sent_at);
      ask(flow);
    }
  }
  latency_report(&latencies, now - from);
  return 0;
}
