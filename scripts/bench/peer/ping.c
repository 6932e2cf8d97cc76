/* ICMP echo requests, one at a time, timed here: ping(8) prints too coarsely. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

static uint16_t checksum(const uint16_t *words, size_t count) {
  uint32_t sum = 0;
  for (size_t i = 0; i < count; i++) sum += words[i];
  sum = (sum & 0xffff) + (sum >> 16);
  return ~(sum + (sum >> 16));
}

/* 1 when the reply with this number came; 0 when nothing came for a second. */
static int hear(int fd, uint16_t id, uint16_t number) {
  char packet[2048];
  for (;;) {
    ssize_t count = recv(fd, packet, sizeof packet, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (count < 0) fail("recv");
    size_t header = (packet[0] & 15) * 4u;
    struct icmphdr icmp;
    if ((size_t)count < header + sizeof icmp) continue;
    memcpy(&icmp, packet + header, sizeof icmp);
    if (icmp.type == ICMP_ECHOREPLY && icmp.un.echo.id == id && icmp.un.echo.sequence == number) return 1;
  }
}

int ping(const char *host, int count, double interval) {
  struct sockaddr_in to = {.sin_family = AF_INET};
  struct latencies latencies = {0};
  struct timeval second = {.tv_sec = 1};
  union {
    struct icmphdr header;
    uint16_t words[32]; /* 56 bytes of data, as ping(8) sends */
  } request = {.header.type = ICMP_ECHO};
  uint16_t id = getpid();
  int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  if (fd < 0) fail("socket");
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
  inet_pton(AF_INET, host, &to.sin_addr);
  for (int i = 0; i < count; i++) {
    request.header.un.echo.id = id;
    request.header.un.echo.sequence = htons(i);
    request.header.checksum = 0;
    request.header.checksum = checksum(request.words, 32);
    int64_t sent_at = now_ns();
    if (sendto(fd, &request, sizeof request, 0, (struct sockaddr *)&to, sizeof to) < 0) fail("sendto");
    /* The first one waits for ARP. */
    if (hear(fd, id, htons(i)) && i > 0) latency_add(&latencies, now_ns() - sent_at);
    if (interval > 0) usleep(interval * 1e6);
  }
  printf("{\"lost\":%zu,", count - 1 - latencies.count);
  latency_print(&latencies);
  puts("}");
  return 0;
}
