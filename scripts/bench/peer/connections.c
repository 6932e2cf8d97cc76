/* Connections: as many as can be made and closed, or many that stay. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

struct attempt {
  int fd, connected;
  int64_t began_at;
};

static int poller;
static struct sockaddr_in to;

static void begin(struct attempt *attempt) {
  struct epoll_event event = {.events = EPOLLOUT, .data.ptr = attempt};
  attempt->fd = tcp_socket(SOCK_NONBLOCK | SOCK_CLOEXEC);
  attempt->connected = 0;
  attempt->began_at = now_ns();
  if (connect(attempt->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) fail("connect");
  if (epoll_ctl(poller, EPOLL_CTL_ADD, attempt->fd, &event) < 0) fail("epoll_ctl");
}

/* Connected: says that no bytes will come. The server's end follows, whoever closed first. 1 when all is over. */
static int step(struct attempt *attempt) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = attempt};
  char byte;
  if (!attempt->connected) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
      errno = error;
      fail("connect");
    }
    attempt->connected = 1;
    if (to.sin_port == htons(PORT_ECHO)) shutdown(attempt->fd, SHUT_WR);
    if (epoll_ctl(poller, EPOLL_CTL_MOD, attempt->fd, &event) < 0) fail("epoll_ctl");
    return 0;
  }
  ssize_t count = read(attempt->fd, &byte, 1);
  if (count < 0 && errno == EAGAIN) return 0;
  if (count != 0) fail("read");
  close(attempt->fd);
  return 1;
}

int connections(const char *host, int port, int parallel, double warm_up, double seconds) {
  struct attempt *attempts = calloc(parallel, sizeof *attempts);
  struct latencies latencies = {0};
  to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, host, &to.sin_addr);
  poller = epoll_create1(EPOLL_CLOEXEC);
  int64_t from = now_ns() + warm_up * 1e9, until = from + seconds * 1e9, now = 0;
  for (int i = 0; i < parallel; i++) begin(&attempts[i]);
  while (now < until) {
    struct epoll_event events[256];
    int count = epoll_wait(poller, events, 256, 100);
    now = now_ns();
    for (int i = 0; i < count; i++) {
      struct attempt *attempt = events[i].data.ptr;
      if (!step(attempt)) continue;
      if (now >= from) latency_add(&latencies, now_ns() - attempt->began_at);
      begin(attempt);
    }
  }
  latency_report(&latencies, now - from);
  return 0;
}

int hold_idle(const char *host, int count) {
  char byte;
  for (int i = 0; i < count; i++) tcp_connect(host, PORT_ECHO);
  puts("ready");
  fflush(stdout);
  return read(0, &byte, 1) < 0;
}
