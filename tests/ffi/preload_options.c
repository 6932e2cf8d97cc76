/*
 * Prints what setsockopt(2) and getsockopt(2) answer for every option, on sockets of each kind, line by line: run on the
 * kernel and on the stack, the lines are to be the same. See tests/e2e/preload_options_test.ts.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct option {
  const char *name;
  int level;
  int number;
};

#define SOCKET(name) {#name, SOL_SOCKET, name}
#define TCP(name) {#name, IPPROTO_TCP, name}
#define IP(name) {#name, IPPROTO_IP, name}

static const struct option options[] = {
    SOCKET(SO_DEBUG), SOCKET(SO_REUSEADDR), SOCKET(SO_TYPE), SOCKET(SO_ERROR), SOCKET(SO_DONTROUTE),
    SOCKET(SO_BROADCAST), SOCKET(SO_SNDBUF), SOCKET(SO_RCVBUF), SOCKET(SO_SNDBUFFORCE), SOCKET(SO_RCVBUFFORCE),
    SOCKET(SO_KEEPALIVE), SOCKET(SO_OOBINLINE), SOCKET(SO_NO_CHECK), SOCKET(SO_PRIORITY), SOCKET(SO_LINGER),
    SOCKET(SO_REUSEPORT), SOCKET(SO_PASSCRED), SOCKET(SO_RCVLOWAT), SOCKET(SO_SNDLOWAT), SOCKET(SO_RCVTIMEO),
    SOCKET(SO_SNDTIMEO), SOCKET(SO_BINDTODEVICE), SOCKET(SO_DETACH_FILTER), SOCKET(SO_TIMESTAMP), SOCKET(SO_ACCEPTCONN),
    SOCKET(SO_PASSSEC), SOCKET(SO_MARK), SOCKET(SO_TIMESTAMPNS), SOCKET(SO_TIMESTAMPING), SOCKET(SO_PROTOCOL),
    SOCKET(SO_DOMAIN), SOCKET(SO_RXQ_OVFL), SOCKET(SO_PEEK_OFF), SOCKET(SO_NOFCS), SOCKET(SO_LOCK_FILTER),
    SOCKET(SO_SELECT_ERR_QUEUE), SOCKET(SO_BUSY_POLL), SOCKET(SO_MAX_PACING_RATE), SOCKET(SO_INCOMING_CPU),
    SOCKET(SO_ZEROCOPY), SOCKET(SO_BINDTOIFINDEX), SOCKET(SO_PEERCRED), {"unknown", SOL_SOCKET, 250},
    TCP(TCP_NODELAY), TCP(TCP_MAXSEG), TCP(TCP_CORK), TCP(TCP_KEEPIDLE), TCP(TCP_KEEPINTVL), TCP(TCP_KEEPCNT),
    TCP(TCP_SYNCNT), TCP(TCP_LINGER2), TCP(TCP_DEFER_ACCEPT), TCP(TCP_WINDOW_CLAMP), TCP(TCP_QUICKACK),
    TCP(TCP_THIN_LINEAR_TIMEOUTS), TCP(TCP_THIN_DUPACK), TCP(TCP_USER_TIMEOUT), TCP(TCP_REPAIR), TCP(TCP_FASTOPEN),
    TCP(TCP_TIMESTAMP), TCP(TCP_NOTSENT_LOWAT), TCP(TCP_SAVE_SYN), TCP(TCP_FASTOPEN_CONNECT), TCP(TCP_ULP),
    TCP(TCP_FASTOPEN_KEY), TCP(TCP_FASTOPEN_NO_COOKIE), TCP(TCP_INQ), TCP(TCP_TX_DELAY), {"unknown", IPPROTO_TCP, 250},
    IP(IP_TOS), IP(IP_TTL), IP(IP_HDRINCL), IP(IP_OPTIONS), IP(IP_RECVOPTS), IP(IP_RETOPTS), IP(IP_PKTINFO), IP(IP_MTU_DISCOVER),
    IP(IP_RECVERR), IP(IP_RECVTTL), IP(IP_RECVTOS), IP(IP_MTU), IP(IP_FREEBIND), IP(IP_PASSSEC), IP(IP_TRANSPARENT),
    IP(IP_RECVORIGDSTADDR), IP(IP_MINTTL), IP(IP_NODEFRAG), IP(IP_CHECKSUM), IP(IP_BIND_ADDRESS_NO_PORT),
    IP(IP_RECVFRAGSIZE), IP(IP_MULTICAST_TTL), IP(IP_MULTICAST_LOOP), IP(IP_MULTICAST_ALL), {"unknown", IPPROTO_IP, 250},
    {"UDP_CORK", IPPROTO_UDP, 1}, {"IPV6_V6ONLY", IPPROTO_IPV6, 26},
};

#define COUNT (sizeof options / sizeof *options)

static const char *kind;

static const char *answer(int result) { return result == 0 ? "ok" : strerrorname_np(errno); }

static void get(int fd, const struct option *option, socklen_t room, const char *after) {
  unsigned char bytes[64];
  memset(bytes, 0xaa, sizeof bytes);
  socklen_t length = room;
  int result = getsockopt(fd, option->level, option->number, bytes, &length);
  printf("%s %s%s get[%u] %s", kind, option->name, after, room, answer(result));
  if (result == 0) {
    printf(" %u:", length);
    for (socklen_t i = 0; i < length && i < 16; i++) printf("%02x", bytes[i]);
  }
  printf("\n");
}

static void set(int (*make)(void), const struct option *option, int value, socklen_t length) {
  int fd = make();
  int wide[4] = {value, 0, 0, 0};
  int result = setsockopt(fd, option->level, option->number, wide, length);
  char after[40];
  snprintf(after, sizeof after, "=%d[%u]", value, length);
  printf("%s %s%s %s\n", kind, option->name, after, answer(result));
  if (result == 0) get(fd, option, 4, after);
  close(fd);
}

static int stream(void) { return socket(AF_INET, SOCK_STREAM, 0); }

static int datagram(void) { return socket(AF_INET, SOCK_DGRAM, 0); }

static struct sockaddr_in own;

static int listening(void) {
  int fd = stream();
  if (listen(fd, 1) < 0) exit(1);
  return fd;
}

/* The other end stays open until the program ends. */
static int connected(void) {
  int listener = listening();
  struct sockaddr_in name;
  socklen_t length = sizeof name;
  getsockname(listener, (struct sockaddr *)&name, &length);
  name.sin_addr = own.sin_addr;
  int fd = stream();
  if (connect(fd, (struct sockaddr *)&name, sizeof name) < 0 || accept(listener, NULL, NULL) < 0) exit(1);
  return fd;
}

static void compare(const char *name, int (*make)(void)) {
  kind = name;
  for (size_t i = 0; i < COUNT; i++) {
    const struct option *option = &options[i];
    int fd = make();
    get(fd, option, 4, "");
    get(fd, option, 1, "");
    get(fd, option, 16, "");
    close(fd);
    static const int values[] = {0, 1, 2, 100, 300, 70000, -1, -2};
    for (size_t j = 0; j < sizeof values / sizeof *values; j++) set(make, option, values[j], 4);
    set(make, option, 1, 0);
    set(make, option, 1, 1);
    set(make, option, 1, 8);
    set(make, option, 1, 16);
  }
}

int main(int count, char **words) {
  if (count < 2 || inet_pton(AF_INET, words[1], &own.sin_addr) != 1) return 2;
  compare("stream", stream);
  compare("listening", listening);
  compare("datagram", datagram);
  /* One of each only: every one leaves a TIME-WAIT behind. */
  static int fd;
  fd = connected();
  kind = "connected";
  for (size_t i = 0; i < COUNT; i++) get(fd, &options[i], 4, "");
  for (size_t i = 0; i < COUNT; i++) {
    int one = 1;
    printf("connected %s=1 %s\n", options[i].name, answer(setsockopt(fd, options[i].level, options[i].number, &one, 4)));
    get(fd, &options[i], 4, "=1");
  }
  return 0;
}
