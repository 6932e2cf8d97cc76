#include "calls.h"

#include <sys/time.h>

static void set_int(int fd, int level, int name, int value) {
  CHECK(setsockopt(fd, level, name, &value, sizeof value) == 0);
}

static void check_connection(struct pair pair) {
  set_int(pair.client, IPPROTO_TCP, TCP_NODELAY, 1);
  usleep(20000);
  CHECK(int_option(pair.client, IPPROTO_TCP, TCP_NODELAY) == 1);
  CHECK(int_option(pair.client, IPPROTO_TCP, TCP_MAXSEG) > 500);
  struct tcp_info info;
  socklen_t length = sizeof info;
  CHECK(getsockopt(pair.client, IPPROTO_TCP, TCP_INFO, &info, &length) == 0);
  CHECK(length >= 100 && info.tcpi_state == TCP_ESTABLISHED && info.tcpi_snd_mss > 500);
  char name[32];
  length = sizeof name;
  CHECK(setsockopt(pair.client, IPPROTO_TCP, TCP_CONGESTION, "reno", 4) == 0);
  CHECK(getsockopt(pair.client, IPPROTO_TCP, TCP_CONGESTION, name, &length) == 0);
  CHECK(length == 16 && strcmp(name, "reno") == 0);
  CHECK_ERRNO(ENOENT, setsockopt(pair.client, IPPROTO_TCP, TCP_CONGESTION, "nonesuch", 8));
  struct timeval timeout = {.tv_usec = 50000};
  CHECK(setsockopt(pair.client, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0);
  CHECK_ERRNO(EAGAIN, recv(pair.client, name, 1, 0));
}

/* They must all be there before the request, and leave room for it in the smallest buffer. */
static void check_set_before_connect(void) {
  uint16_t port;
  int listener = open_listener(&port);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  set_int(fd, SOL_SOCKET, SO_SNDBUF, 1);
  for (int seconds = 1; seconds <= 100; seconds++) set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds);
  set_int(fd, SOL_SOCKET, SO_RCVBUF, 60000);
  set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  CHECK(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4) == 0);
  struct sockaddr_in to = address_of(port);
  CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
  CHECK(int_option(fd, IPPROTO_TCP, TCP_KEEPINTVL) == 100);
  CHECK(int_option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
  CHECK(int_option(fd, SOL_SOCKET, SO_RCVBUF) == 120000);
  int accepted = accept(listener, NULL, NULL);
  CHECK(accepted >= 0 && send(fd, "x", 1, 0) == 1);
  char byte;
  CHECK(recv(accepted, &byte, 1, 0) == 1 && byte == 'x');
  close(accepted);
  close(fd);
  close(listener);
}

void test_options(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  CHECK(int_option(fd, SOL_SOCKET, SO_REUSEADDR) == 1);
  set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  CHECK(int_option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
  set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 77);
  CHECK(int_option(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 77);
  CHECK_ERRNO(EINVAL, setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){0}, sizeof(int)));
  set_int(fd, IPPROTO_IP, IP_TTL, 9);
  CHECK(int_option(fd, IPPROTO_IP, IP_TTL) == 9);
  set_int(fd, SOL_SOCKET, SO_RCVBUF, 100000);
  CHECK(int_option(fd, SOL_SOCKET, SO_RCVBUF) >= 100000);
  struct linger linger = {0};
  socklen_t length = sizeof linger;
  CHECK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &length) == 0 && linger.l_onoff == 0);
  CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 5}, sizeof linger) == 0);
  CHECK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &length) == 0 && linger.l_onoff == 1 && linger.l_linger == 5);
  CHECK_ERRNO(EINVAL, setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(char){1}, 1));
  CHECK_ERRNO(ENOPROTOOPT, setsockopt(fd, IPPROTO_TCP, 250, &(int){1}, sizeof(int)));
  unsigned long rate = 0;
  length = sizeof rate;
  CHECK(getsockopt(fd, SOL_SOCKET, 47 /* SO_MAX_PACING_RATE */, &rate, &length) == 0 && rate == ~0ul);
  /* The library keeps its tag there, of which the program must see nothing. */
  rate = 1234567;
  CHECK(setsockopt(fd, SOL_SOCKET, 47, &rate, sizeof rate) == 0);
  rate = 0;
  CHECK(getsockopt(fd, SOL_SOCKET, 47, &rate, &length) == 0 && length == sizeof rate && rate == 1234567);
  CHECK(int_option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP);
  close(fd);
  check_set_before_connect();
  struct pair pair = connect_pair();
  check_connection(pair);
  close(pair.client);
  close(pair.server);
}
