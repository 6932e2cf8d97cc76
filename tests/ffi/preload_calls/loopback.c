/* 127.0.0.1 beyond the stack, and what epoll knows of a socket that another one takes the place of. */
#include "calls.h"

#include <sys/epoll.h>
#include <sys/syscall.h>

static const struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = 0x0100007f};

/* One of the kernel's, which the library does not see. */
static int kernel_socket(int type, struct sockaddr_in *name) {
  int fd = (int)syscall(SYS_socket, AF_INET, type, 0, 0, 0, 0);
  *name = loopback;
  socklen_t length = sizeof *name;
  CHECK(fd >= 0 && bind(fd, (struct sockaddr *)name, sizeof *name) == 0);
  CHECK(getsockname(fd, (struct sockaddr *)name, &length) == 0);
  return fd;
}

static struct epoll_event next_event(int epoll) {
  struct epoll_event event = {0};
  CHECK(epoll_wait(epoll, &event, 1, 5000) == 1);
  return event;
}

static int watch(int fd, uint32_t events) {
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {events, {.u64 = 0x1234567812345678}};
  CHECK(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
  return epoll;
}

static void check_stream(void) {
  struct sockaddr_in name, peer;
  int listener = kernel_socket(SOCK_STREAM, &name);
  CHECK(listen(listener, 4) == 0);
  int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  int copy = dup(client);
  CHECK(fcntl(copy, F_SETFD, FD_CLOEXEC) == 0);
  CHECK(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) == 0);
  CHECK(setsockopt(client, IPPROTO_TCP, TCP_KEEPIDLE, &(int){44}, sizeof(int)) == 0);
  CHECK(setsockopt(client, SOL_SOCKET, SO_LINGER, &(struct linger){1, 7}, sizeof(struct linger)) == 0);
  CHECK(setsockopt(client, IPPROTO_TCP, TCP_CONGESTION, "reno", 4) == 0);
  CHECK(setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){3, 0}, sizeof(struct timeval)) == 0);
  int epoll = watch(copy, EPOLLIN | EPOLLOUT | EPOLLET);
  int result = connect(client, (struct sockaddr *)&name, sizeof name);
  CHECK(result == 0 || errno == EINPROGRESS);
  int server = accept(listener, NULL, NULL);
  CHECK(server >= 0);
  struct epoll_event event = next_event(epoll);
  while ((event.events & EPOLLHUP) != 0) event = next_event(epoll);
  CHECK(event.events == EPOLLOUT && event.data.u64 == 0x1234567812345678);
  socklen_t length = sizeof peer;
  CHECK(getpeername(copy, (struct sockaddr *)&peer, &length) == 0 && peer.sin_port == name.sin_port);
  CHECK(int_option(copy, IPPROTO_TCP, TCP_NODELAY) == 1 && int_option(copy, IPPROTO_TCP, TCP_KEEPIDLE) == 44);
  struct linger linger;
  length = sizeof linger;
  CHECK(getsockopt(copy, SOL_SOCKET, SO_LINGER, &linger, &length) == 0 && linger.l_onoff == 1 && linger.l_linger == 7);
  char algorithm[16] = "";
  length = sizeof algorithm;
  CHECK(getsockopt(copy, IPPROTO_TCP, TCP_CONGESTION, algorithm, &length) == 0 && strcmp(algorithm, "reno") == 0);
  struct timeval time;
  length = sizeof time;
  CHECK(getsockopt(copy, SOL_SOCKET, SO_RCVTIMEO, &time, &length) == 0 && time.tv_sec == 3);
  CHECK((fcntl(copy, F_GETFD) & FD_CLOEXEC) != 0 && (fcntl(client, F_GETFD) & FD_CLOEXEC) == 0);
  CHECK((fcntl(copy, F_GETFL) & O_NONBLOCK) != 0);
  CHECK(send(server, "hello", 5, 0) == 5);
  event = next_event(epoll);
  CHECK((event.events & EPOLLIN) != 0);
  CHECK(read(client, algorithm, sizeof algorithm) == 5 && memcmp(algorithm, "hello", 5) == 0);
  close(server);
  close(client);
  close(copy);
  close(epoll);
  close(listener);
  client = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_ERRNO(ECONNREFUSED, connect(client, (struct sockaddr *)&name, sizeof name));
  /* It is not lost to the stack. */
  struct sockaddr_in to = address_of(0);
  listener = open_listener(&to.sin_port);
  to.sin_port = htons(to.sin_port);
  if (on_stack) CHECK(connect(client, (struct sockaddr *)&to, sizeof to) == 0);
  close(client);
  close(listener);
}

static void check_datagrams(void) {
  struct sockaddr_in name, from;
  int server = kernel_socket(SOCK_DGRAM, &name);
  char bytes[8];
  for (int connected = 0; connected < 2; connected++) {
    int client = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(setsockopt(client, IPPROTO_IP, IP_RECVTTL, &(int){1}, sizeof(int)) == 0);
    int epoll = watch(client, EPOLLIN);
    if (connected) {
      CHECK(connect(client, (struct sockaddr *)&name, sizeof name) == 0);
      CHECK(send(client, "word", 4, 0) == 4);
    } else {
      CHECK(sendto(client, "word", 4, 0, (struct sockaddr *)&name, sizeof name) == 4);
    }
    socklen_t length = sizeof from;
    CHECK(recvfrom(server, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &length) == 4);
    CHECK(from.sin_addr.s_addr == loopback.sin_addr.s_addr);
    CHECK(sendto(server, "answer", 6, 0, (struct sockaddr *)&from, length) == 6);
    CHECK(next_event(epoll).events == EPOLLIN && read(client, bytes, sizeof bytes) == 6);
    CHECK(int_option(client, IPPROTO_IP, IP_RECVTTL) == 1);
    close(client);
    close(epoll);
  }
  close(server);
}

/* A socket whose connect failed may try again: with its options, its port, and what epoll was told. */
static void check_second_try(void) {
  uint16_t port;
  int listener = open_listener(&port);
  close(listener);
  int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  uint16_t own_port;
  close(open_listener(&own_port));
  struct sockaddr_in own_name = address_of(own_port), to = address_of(port);
  CHECK(bind(client, (struct sockaddr *)&own_name, sizeof own_name) == 0);
  CHECK(setsockopt(client, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) == 0);
  CHECK(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) == 0);
  int epoll = watch(client, EPOLLOUT);
  int result = connect(client, (struct sockaddr *)&to, sizeof to);
  if (result < 0 && errno == EINPROGRESS) {
    CHECK((await_events(client, POLLOUT) & POLLERR) != 0);
    CHECK(int_option(client, SOL_SOCKET, SO_ERROR) == ECONNREFUSED);
  } else {
    CHECK(result < 0 && errno == ECONNREFUSED);
  }
  listener = open_listener(&port);
  to = address_of(port);
  result = connect(client, (struct sockaddr *)&to, sizeof to);
  if (result < 0 && errno == ECONNABORTED) result = connect(client, (struct sockaddr *)&to, sizeof to);
  CHECK(result == 0 || errno == EINPROGRESS);
  struct epoll_event event = next_event(epoll);
  while ((event.events & EPOLLHUP) != 0) event = next_event(epoll);
  CHECK(event.events == EPOLLOUT && event.data.u64 == 0x1234567812345678);
  CHECK(int_option(client, SOL_SOCKET, SO_ERROR) == 0 && int_option(client, IPPROTO_TCP, TCP_NODELAY) == 1);
  struct sockaddr_in name;
  socklen_t length = sizeof name;
  CHECK(getsockname(client, (struct sockaddr *)&name, &length) == 0 && name.sin_port == own_name.sin_port);
  close(client);
  close(listener);
  close(epoll);
}

/* The first bytes come along with the connect. */
static void check_fast_open(int flags) {
  uint16_t port;
  char bytes[8];
  int listener = open_listener(&port);
  struct sockaddr_in to = address_of(port);
  for (int round = 0; round < 2; round++) {
    int client = socket(AF_INET, SOCK_STREAM | flags, 0);
    CHECK_ERRNO(EINVAL, send(client, "early", 5, MSG_FASTOPEN));
    ssize_t sent = sendto(client, "early", 5, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof to);
    CHECK(sent == 5 || (flags != 0 && sent < 0 && errno == EINPROGRESS));
    int server = accept(listener, NULL, NULL);
    CHECK(server >= 0 && (await_events(client, POLLOUT) & POLLOUT) != 0);
    if (sent < 0) CHECK(send(client, "early", 5, 0) == 5);
    CHECK(recv(server, bytes, 5, MSG_WAITALL) == 5 && memcmp(bytes, "early", 5) == 0);
    close(client);
    close(server);
  }
  close(listener);
}

/* What io_uring did would not be seen; programs that try it do without it. */
static void check_no_ring(void) {
  char parameters[120] = "";
  if (on_stack) CHECK_ERRNO(ENOSYS, (int)syscall(SYS_io_uring_setup, 1, parameters, 0, 0, 0, 0));
}

/* MSG_TRUNC throws bytes of a stream away. */
static void check_discarding(void) {
  struct pair pair = connect_pair();
  char bytes[4] = "none";
  CHECK(write(pair.client, "thrown away, kept", 17) == 17);
  CHECK(recv(pair.server, NULL, 13, MSG_TRUNC | MSG_WAITALL) == 13);
  CHECK(recv(pair.server, bytes, 4, MSG_WAITALL) == 4 && memcmp(bytes, "kept", 4) == 0);
  close(pair.client);
  close(pair.server);
}

void test_loopback(void) {
  check_no_ring();
  check_discarding();
  check_fast_open(0);
  check_fast_open(SOCK_NONBLOCK);
  check_stream();
  check_datagrams();
  check_second_try();
}
