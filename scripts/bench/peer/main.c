/*
 * The one peer of every stack that is measured, and the stack's own side where the stack is the kernel's:
 *
 *   peer serve ADDRESS                                 sink, source, echo and close, until stdin ends
 *   peer bulk to|from HOST FLOWS WARM-UP SECONDS       bytes to, or from, HOST's sink or source
 *   peer requests HOST BYTES FLOWS WARM-UP SECONDS     one request at a time on each flow, echoed by HOST
 *   peer connections HOST PORT PARALLEL WARM-UP SECONDS   connects and closes
 *   peer idle HOST COUNT                               opens connections and holds them until stdin ends
 *   peer ping HOST COUNT INTERVAL                      ICMP echo
 *   peer send HOST BYTES 0|1 SECONDS                   UDP datagrams of BYTES; 1: many in a call (UDP_SEGMENT)
 *   peer receive ADDRESS 0|1 WARM-UP SECONDS           them; 1: many in a call (UDP_GRO)
 *
 * Each prints one line of JSON (serve and idle: "ready"). Only what happens after the warm-up is measured.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "peer.h"

void fail(const char *what) {
  fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
  exit(1);
}

double cpu_seconds(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

int tcp_socket(int flags) {
  int fd = socket(AF_INET, SOCK_STREAM | flags, 0), one = 1;
  if (fd < 0) fail("socket");
  if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) < 0) fail("CUBIC");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

int tcp_connect(const char *host, int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  int fd = tcp_socket(SOCK_CLOEXEC);
  inet_pton(AF_INET, host, &to.sin_addr);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) fail("connect");
  return fd;
}

void set_nonblocking(int fd) {
  if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) fail("fcntl");
}

void raise_descriptor_limit(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv) {
  const char *command = argc > 1 ? argv[1] : "";
  raise_descriptor_limit();
  if (!strcmp(command, "serve") && argc == 3) return serve(argv[2]);
  if (!strcmp(command, "bulk") && argc == 7)
    return bulk(argv[3], !strcmp(argv[2], "to"), atoi(argv[4]), atof(argv[5]), atof(argv[6]));
  if (!strcmp(command, "requests") && argc == 7)
    return requests(argv[2], atoi(argv[3]), atoi(argv[4]), atof(argv[5]), atof(argv[6]));
  if (!strcmp(command, "connections") && argc == 7)
    return connections(argv[2], atoi(argv[3]), atoi(argv[4]), atof(argv[5]), atof(argv[6]));
  if (!strcmp(command, "idle") && argc == 4) return hold_idle(argv[2], atoi(argv[3]));
  if (!strcmp(command, "ping") && argc == 5) return ping(argv[2], atoi(argv[3]), atof(argv[4]));
  if (!strcmp(command, "send") && argc == 6)
    return send_datagrams(argv[2], atoi(argv[3]), atoi(argv[4]), atof(argv[5]));
  if (!strcmp(command, "receive") && argc == 6)
    return receive_datagrams(argv[2], atoi(argv[3]), atof(argv[4]), atof(argv[5]));
  fprintf(stderr, "peer: what is meant by '%s' with %d arguments? See main.c\n", command, argc - 2);
  return 2;
}
