/* The server: one thread, epoll. */
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

/* Reads or writes of one connection before the others have their turn. */
#define BUDGET 16

static char chunk[CHUNK];

struct client {
  int fd, port, listens;
  /* Echo: what came and has not gone. */
  char *pending;
  size_t length, done;
};

static void watch(int poller, int operation, struct client *client, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = client};
  if (epoll_ctl(poller, operation, client->fd, &event) < 0) fail("epoll_ctl");
}

static struct client *new_client(int fd, int port, int listens) {
  struct client *client = calloc(1, sizeof *client);
  if (!client) fail("calloc");
  client->fd = fd;
  client->port = port;
  client->listens = listens;
  return client;
}

static void end(struct client *client) {
  close(client->fd);
  free(client->pending);
  free(client);
}

static void listen_on(int poller, const char *address, int port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
  int fd = tcp_socket(SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
  inet_pton(AF_INET, address, &at.sin_addr);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0) fail("bind");
  if (listen(fd, 4096) < 0) fail("listen");
  watch(poller, EPOLL_CTL_ADD, new_client(fd, port, 1), EPOLLIN);
}

static void take(int poller, struct client *listener) {
  for (int i = 0; i < 4 * BUDGET; i++) {
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    if (listener->port == PORT_CLOSE) {
      close(fd);
      continue;
    }
    struct client *client = new_client(fd, listener->port, 0);
    watch(poller, EPOLL_CTL_ADD, client, client->port == PORT_SOURCE ? EPOLLOUT : EPOLLIN);
  }
}

/* Each answers 0 when the connection is over. */

static int sink(struct client *client) {
  for (int i = 0; i < BUDGET; i++) {
    ssize_t count = read(client->fd, chunk, sizeof chunk);
    if (count <= 0) return count < 0 && errno == EAGAIN;
  }
  return 1;
}

static int source(struct client *client) {
  for (int i = 0; i < BUDGET; i++) {
    ssize_t count = send(client->fd, chunk, sizeof chunk, MSG_NOSIGNAL);
    if (count < 0) return errno == EAGAIN;
  }
  return 1;
}

static int echo_rest(int poller, struct client *client, const char *bytes, size_t length) {
  ssize_t count = send(client->fd, bytes, length, MSG_NOSIGNAL);
  if (count == (ssize_t)length) return 1;
  if (count < 0 && errno != EAGAIN) return 0;
  if (count < 0) count = 0;
  client->length = length - count;
  client->done = 0;
  client->pending = realloc(client->pending, client->length);
  if (!client->pending) fail("realloc");
  memcpy(client->pending, bytes + count, client->length);
  watch(poller, EPOLL_CTL_MOD, client, EPOLLOUT);
  return 1;
}

static int echo(int poller, struct client *client) {
  if (client->length == 0) {
    ssize_t count = read(client->fd, chunk, sizeof chunk);
    if (count <= 0) return count < 0 && errno == EAGAIN;
    return echo_rest(poller, client, chunk, count);
  }
  ssize_t count = send(client->fd, client->pending + client->done, client->length, MSG_NOSIGNAL);
  if (count < 0) return errno == EAGAIN;
  client->done += count;
  client->length -= count;
  if (client->length == 0) watch(poller, EPOLL_CTL_MOD, client, EPOLLIN);
  return 1;
}

int serve(const char *address) {
  struct epoll_event events[256];
  int poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) fail("epoll_create1");
  for (int port = PORT_SINK; port <= PORT_CLOSE; port++) listen_on(poller, address, port);
  struct client *input = new_client(0, 0, 0);
  watch(poller, EPOLL_CTL_ADD, input, EPOLLIN);
  puts("ready");
  fflush(stdout);
  for (;;) {
    int count = epoll_wait(poller, events, 256, -1);
    for (int i = 0; i < count; i++) {
      struct client *client = events[i].data.ptr;
      int goes_on = 1;
      if (client == input) return 0;
      if (client->listens) take(poller, client);
      else if (client->port == PORT_SINK) goes_on = sink(client);
      else if (client->port == PORT_SOURCE) goes_on = source(client);
      else goes_on = echo(poller, client);
      if (!goes_on) end(client);
    }
  }
}
