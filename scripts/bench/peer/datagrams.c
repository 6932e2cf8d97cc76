/* UDP in one direction: what is sent is not held back by anything, what counts is what arrives. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "peer.h"

#define PORT 7005
#define MOST 65507
/* How long the first one is waited for, seconds. */
#define PATIENCE 20

static char bytes[65536];

static int udp_socket(const char *host, struct sockaddr_in *name) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  *name = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(PORT)};
  inet_pton(AF_INET, host, &name->sin_addr);
  return fd;
}

int send_datagrams(const char *host, int size, int at_once, double seconds) {
  struct sockaddr_in to;
  int fd = udp_socket(host, &to);
  size_t length = at_once ? (size_t)(MOST / size) * (size_t)size : (size_t)size;
  if (at_once && setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size) < 0) fail("UDP_SEGMENT");
  int64_t end = now_ns() + (int64_t)(seconds * 1e9);
  uint64_t sent = 0;
  while (now_ns() < end) {
    ssize_t count = sendto(fd, bytes, length, 0, (struct sockaddr *)&to, sizeof to);
    if (count < 0 && errno != ENOBUFS && errno != EAGAIN) fail("sendto");
    if (count > 0) sent += (uint64_t)count;
  }
  printf("{\"bytes\":%llu,\"seconds\":%.6f}\n", (unsigned long long)sent, seconds);
  return 0;
}

int receive_datagrams(const char *address, int merged, double warm_up, double seconds) {
  struct sockaddr_in name;
  int fd = udp_socket(address, &name), room = 4 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  if (setsockopt(fd, IPPROTO_UDP, UDP_GRO, &merged, sizeof merged) < 0) fail("UDP_GRO");
  if (bind(fd, (struct sockaddr *)&name, sizeof name) < 0) fail("bind");
  struct timeval patience = {.tv_sec = PATIENCE};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (recv(fd, bytes, sizeof bytes, 0) < 0) fail("recv");
  int64_t start = now_ns() + (int64_t)(warm_up * 1e9), end = start + (int64_t)(seconds * 1e9), now;
  uint64_t received = 0, messages = 0;
  while ((now = now_ns()) < end) {
    ssize_t count = recv(fd, bytes, sizeof bytes, 0);
    if (count < 0) fail("recv");
    if (now < start) continue;
    received += (uint64_t)count;
    messages++;
  }
  printf("{\"bytes\":%llu,\"seconds\":%.6f,\"messages\":%llu}\n", (unsigned long long)received, seconds,
         (unsigned long long)messages);
  return 0;
}
