#include "calls.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/time.h>

static volatile sig_atomic_t broken_pipes;

static void count_broken_pipe(int signal) {
  (void)signal;
  broken_pipes++;
}

static void check_nonblocking_connect(int listener, uint16_t port) {
  int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in to = address_of(port);
  int result = connect(client, (struct sockaddr *)&to, sizeof to);
  CHECK(result == 0 || errno == EINPROGRESS);
  CHECK((await_events(client, POLLOUT) & (POLLOUT | POLLERR | POLLHUP)) == POLLOUT);
  CHECK(int_option(client, SOL_SOCKET, SO_ERROR) == 0);
  result = connect(client, (struct sockaddr *)&to, sizeof to);
  CHECK(result == 0 || errno == EISCONN);
  CHECK_ERRNO(EISCONN, connect(client, (struct sockaddr *)&to, sizeof to));

  struct sockaddr_in peer, name;
  socklen_t length = sizeof peer;
  CHECK((await_events(listener, POLLIN) & POLLIN) != 0);
  int server = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  CHECK(server >= 0 && length == sizeof peer && peer.sin_addr.s_addr == own.s_addr);
  CHECK((fcntl(server, F_GETFL) & O_NONBLOCK) != 0 && (fcntl(server, F_GETFD) & FD_CLOEXEC) != 0);
  length = sizeof name;
  CHECK(getsockname(client, (struct sockaddr *)&name, &length) == 0);
  CHECK(name.sin_port == peer.sin_port && name.sin_addr.s_addr == peer.sin_addr.s_addr);
  length = sizeof name;
  CHECK(getpeername(server, (struct sockaddr *)&name, &length) == 0 && name.sin_port == peer.sin_port);
  length = sizeof name;
  CHECK(getpeername(client, (struct sockaddr *)&name, &length) == 0 && ntohs(name.sin_port) == port);
  CHECK_ERRNO(EAGAIN, recv(server, &length, sizeof length, 0));
  CHECK_ERRNO(EAGAIN, accept4(listener, NULL, NULL, SOCK_NONBLOCK));
  CHECK_ERRNO(EINVAL, accept(server, NULL, NULL));
  CHECK_ERRNO(EINVAL, listen(server, 1));
  close(client);
  close(server);
}

void test_streams(void) {
  uint16_t port;
  int listener = open_listener(&port);
  CHECK(int_option(listener, SOL_SOCKET, SO_ACCEPTCONN) == 1);
  CHECK(int_option(listener, SOL_SOCKET, SO_TYPE) == SOCK_STREAM);
  CHECK(int_option(listener, SOL_SOCKET, SO_DOMAIN) == AF_INET);
  CHECK(int_option(listener, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP);
  struct pollfd idle = {.fd = listener, .events = POLLIN | POLLOUT};
  CHECK(poll(&idle, 1, 0) == 0);
  CHECK(fcntl(listener, F_SETFL, O_NONBLOCK) == 0);
  check_nonblocking_connect(listener, port);

  int other = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in name = address_of(port);
  CHECK_ERRNO(EADDRINUSE, bind(other, (struct sockaddr *)&name, sizeof name));
  name.sin_addr.s_addr = htonl(0xc0000201);
  CHECK_ERRNO(EADDRNOTAVAIL, bind(other, (struct sockaddr *)&name, sizeof name));
  CHECK_ERRNO(EINVAL, bind(other, (struct sockaddr *)&name, 3));
  name.sin_family = AF_INET6;
  CHECK_ERRNO(EAFNOSUPPORT, bind(other, (struct sockaddr *)&name, sizeof name));
  close(other);
  CHECK(shutdown(listener, SHUT_RD) == 0);
  CHECK_ERRNO(EINVAL, accept(listener, NULL, NULL));
  close(listener);
}

/* Kept from the compiler, so that the fortified variants are called. */
static volatile size_t eight = 8;

static void check_reads(struct pair pair) {
  char bytes[16], more[8];
  CHECK(send(pair.client, "abcdefghijklmnopqrstuvwxyz0123456789", 36, MSG_NOSIGNAL) == 36);
  CHECK((await_events(pair.server, POLLIN) & POLLIN) != 0);
  usleep(20000);
  int waiting = 0;
  CHECK(ioctl(pair.server, FIONREAD, &waiting) == 0 && waiting == 36);
  CHECK(recv(pair.server, bytes, eight, MSG_PEEK) == 8 && memcmp(bytes, "abcdefgh", 8) == 0);
  CHECK(read(pair.server, bytes, eight) == 8 && memcmp(bytes, "abcdefgh", 8) == 0);
  CHECK(recv(pair.server, bytes, eight, 0) == 8 && memcmp(bytes, "ijklmnop", 8) == 0);
  struct sockaddr_storage from;
  socklen_t length = sizeof from;
  CHECK(recvfrom(pair.server, bytes, eight, 0, (struct sockaddr *)&from, &length) == 8);
  CHECK(memcmp(bytes, "qrstuvwx", 8) == 0);
  struct iovec vectors[2] = {{bytes, 2}, {more, 2}};
  CHECK(readv(pair.server, vectors, 2) == 4 && memcmp(bytes, "yz", 2) == 0 && memcmp(more, "01", 2) == 0);
  struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = vectors, .msg_iovlen = 2};
  CHECK(recvmsg(pair.server, &message, 0) == 4 && memcmp(bytes, "23", 2) == 0 && message.msg_controllen == 0);
  struct mmsghdr messages[2] = {{.msg_hdr = {.msg_iov = vectors, .msg_iovlen = 1}},
                                {.msg_hdr = {.msg_iov = vectors + 1, .msg_iovlen = 1}}};
  CHECK(recvmmsg(pair.server, messages, 2, 0, NULL) == 2 && messages[1].msg_len == 2);
  CHECK(memcmp(bytes, "67", 0) == 0 && memcmp(more, "89", 0) == 0);
  CHECK_ERRNO(EAGAIN, recv(pair.server, bytes, 1, MSG_DONTWAIT | MSG_ERRQUEUE));
  CHECK_ERRNO(EINVAL, recv(pair.server, bytes, 1, MSG_DONTWAIT | MSG_OOB));
}

static void check_writes(struct pair pair) {
  char bytes[64];
  struct sockaddr_in anywhere = address_of(9);
  CHECK(sendto(pair.server, "1", 1, 0, (struct sockaddr *)&anywhere, sizeof anywhere) == 1);
  struct iovec vectors[2] = {{"2", 1}, {"3", 1}};
  CHECK(sendmsg(pair.server, &(struct msghdr){.msg_iov = vectors, .msg_iovlen = 2}, 0) == 2);
  struct mmsghdr messages[2] = {{.msg_hdr = {.msg_iov = vectors, .msg_iovlen = 1}},
                                {.msg_hdr = {.msg_iov = vectors + 1, .msg_iovlen = 1}}};
  CHECK(sendmmsg(pair.server, messages, 2, 0) == 2 && messages[0].msg_len == 1);
  CHECK(writev(pair.server, vectors, 2) == 2 && write(pair.server, "4", 1) == 1);
  CHECK(recv(pair.client, bytes, 8, MSG_WAITALL) == 8 && memcmp(bytes, "12323234", 8) == 0);
  int pipes[2];
  CHECK(pipe(pipes) == 0 && write(pair.server, "splice", 6) == 6);
  CHECK(splice(pair.client, NULL, pipes[1], NULL, 6, 0) == 6);
  CHECK(read(pipes[0], bytes, 6) == 6 && memcmp(bytes, "splice", 6) == 0);
  close(pipes[0]);
  close(pipes[1]);
  int unsent = -1;
  CHECK(ioctl(pair.client, TIOCOUTQ, &unsent) == 0 && unsent >= 0);
}

/* More than all buffers hold, so that writing must wait for reading. */
static void check_bulk(struct pair pair) {
  enum { TOTAL = 20000000, PIECE = 100000 };
  char *bytes = malloc(PIECE);
  CHECK(bytes != NULL && fcntl(pair.client, F_SETFL, O_NONBLOCK) == 0);
  for (long sent = 0, received = 0; received < TOTAL;) {
    struct pollfd entries[2] = {{.fd = sent < TOTAL ? pair.client : -1, .events = POLLOUT},
                                {.fd = pair.server, .events = POLLIN}};
    CHECK(poll(entries, 2, 5000) > 0);
    if (entries[0].revents != 0) {
      for (long i = 0; i < PIECE; i++) bytes[i] = (char)((sent + i) % 251);
      ssize_t count = send(pair.client, bytes, (size_t)(TOTAL - sent < PIECE ? TOTAL - sent : PIECE), 0);
      CHECK(count > 0 || errno == EAGAIN);
      if (count > 0) sent += count;
    }
    if (entries[1].revents != 0) {
      ssize_t count = read(pair.server, bytes, PIECE);
      CHECK(count > 0);
      for (long i = 0; i < count; i++) CHECK(bytes[i] == (char)((received + i) % 251));
      received += count;
    }
  }
  free(bytes);
}

void test_reads_and_writes(void) {
  struct pair pair = connect_pair();
  check_reads(pair);
  check_writes(pair);
  int copy = dup(pair.client);
  close(pair.client);
  CHECK(write(copy, "x", 1) == 1);
  pair.client = copy;
  char byte;
  CHECK(read(pair.server, &byte, 1) == 1 && byte == 'x');
  check_bulk(pair);
  close(pair.client);
  close(pair.server);
}

static void check_half_close(void) {
  struct pair pair = connect_pair();
  char byte;
  int events = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};
  CHECK(epoll_ctl(events, EPOLL_CTL_ADD, pair.server, &event) == 0);
  CHECK(shutdown(pair.client, SHUT_WR) == 0);
  CHECK(epoll_wait(events, &event, 1, 5000) == 1 && (event.events & EPOLLRDHUP) != 0);
  CHECK(read(pair.server, &byte, 1) == 0 && read(pair.server, &byte, 1) == 0);
  CHECK(write(pair.server, "y", 1) == 1 && read(pair.client, &byte, 1) == 1 && byte == 'y');
  CHECK_ERRNO(EPIPE, send(pair.client, "z", 1, MSG_NOSIGNAL));
  close(pair.server);
  CHECK(read(pair.client, &byte, 1) == 0);
  close(pair.client);
  close(events);
}

static void check_reset(void) {
  struct pair pair = connect_pair();
  char byte;
  CHECK(setsockopt(pair.server, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger)) == 0);
  /* The reset comes after what was written before. */
  CHECK(write(pair.server, "b", 1) == 1);
  close(pair.server);
  while ((await_events(pair.client, POLLIN) & POLLHUP) == 0) usleep(1000);
  CHECK(read(pair.client, &byte, 1) == 1 && byte == 'b');
  CHECK_ERRNO(ECONNRESET, read(pair.client, &byte, 1));
  CHECK(read(pair.client, &byte, 1) == 0);
  signal(SIGPIPE, count_broken_pipe);
  CHECK_ERRNO(EPIPE, send(pair.client, "a", 1, MSG_NOSIGNAL));
  CHECK(broken_pipes == 0);
  CHECK_ERRNO(EPIPE, send(pair.client, "a", 1, 0));
  CHECK(broken_pipes == 1);
  CHECK_ERRNO(EPIPE, write(pair.client, "a", 1));
  CHECK(broken_pipes == 2);
  signal(SIGPIPE, SIG_IGN);
  close(pair.client);

  pair = connect_pair();
  /* What is unread when a socket is closed makes its end a reset. */
  CHECK(write(pair.client, "unread", 6) == 6 && (await_events(pair.server, POLLIN) & POLLIN) != 0);
  close(pair.server);
  CHECK((await_events(pair.client, POLLIN) & POLLIN) != 0);
  CHECK_ERRNO(ECONNRESET, recv(pair.client, &byte, 1, 0));
  close(pair.client);
}

/* Of its own side a socket tells for as long as there is one; of the other only while it is connected. */
static void check_names(void) {
  struct pair pair = connect_pair();
  struct sockaddr_in own_side, name;
  socklen_t length = sizeof own_side;
  CHECK(getsockname(pair.client, (struct sockaddr *)&own_side, &length) == 0 && own_side.sin_port != 0);
  int copy = dup(pair.client);
  close(pair.client);
  for (int i = 0; i < 3; i++) {
    length = sizeof name;
    CHECK(getsockname(copy, (struct sockaddr *)&name, &length) == 0 && length == sizeof name);
    CHECK(name.sin_port == own_side.sin_port && name.sin_addr.s_addr == own.s_addr);
    CHECK(getpeername(pair.server, (struct sockaddr *)&name, &length) == 0 && name.sin_port == own_side.sin_port);
    length = 4;
    CHECK(getpeername(copy, (struct sockaddr *)&name, &length) == 0 && length == sizeof name);
  }
  CHECK(setsockopt(pair.server, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger)) == 0);
  close(pair.server);
  char byte;
  CHECK_ERRNO(ECONNRESET, recv(copy, &byte, 1, 0));
  CHECK_ERRNO(ENOTCONN, getpeername(copy, (struct sockaddr *)&name, &length));
  length = sizeof name;
  CHECK(getsockname(copy, (struct sockaddr *)&name, &length) == 0 && name.sin_port == own_side.sin_port);
  close(copy);
}

void test_ends(void) {
  check_half_close();
  check_reset();
  check_names();
}

void test_failures(void) {
  uint16_t port;
  close(open_listener(&port));
  struct sockaddr_in to = address_of(port);
  char byte;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_ERRNO(ENOTCONN, read(fd, &byte, 1));
  CHECK_ERRNO(ENOTCONN, recv(fd, &byte, 1, 0));
  CHECK_ERRNO(EPIPE, send(fd, &byte, 1, MSG_NOSIGNAL));
  CHECK_ERRNO(ENOTCONN, shutdown(fd, SHUT_RDWR));
  CHECK_ERRNO(EINVAL, accept(fd, NULL, NULL));
  socklen_t length = sizeof to;
  CHECK_ERRNO(ENOTCONN, getpeername(fd, (struct sockaddr *)&(struct sockaddr_in){0}, &length));
  for (int i = 0; i < 3; i++) CHECK_ERRNO(ECONNREFUSED, connect(fd, (struct sockaddr *)&to, sizeof to));
  close(fd);

  fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == -1 && (errno == EINPROGRESS || errno == ECONNREFUSED));
  if (errno == EINPROGRESS) {
    CHECK((await_events(fd, POLLOUT) & (POLLERR | POLLHUP)) == (POLLERR | POLLHUP));
    CHECK(int_option(fd, SOL_SOCKET, SO_ERROR) == ECONNREFUSED);
  }
  CHECK(int_option(fd, SOL_SOCKET, SO_ERROR) == 0);
  close(fd);
  if (!on_stack) return;
  CHECK_ERRNO(EAFNOSUPPORT, socket(AF_INET6, SOCK_STREAM, 0));
  CHECK_ERRNO(EINVAL, socket(AF_INET, SOCK_RAW, 256));
  CHECK_ERRNO(EPROTONOSUPPORT, socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
  /* Other families, and other kinds of descriptors, are left alone. */
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  CHECK(send(pair[0], "u", 1, 0) == 1 && recv(pair[1], &byte, 1, 0) == 1);
  int file = open("/dev/null", O_RDWR);
  CHECK_ERRNO(ENOTSOCK, getsockname(file, (struct sockaddr *)&to, &length));
  CHECK_ERRNO(ENOTSOCK, send(file, "f", 1, 0));
  CHECK(read(file, &byte, 1) == 0);
  close(file);
  CHECK_ERRNO(EBADF, connect(9999, (struct sockaddr *)&to, sizeof to));
  close(pair[0]);
  close(pair[1]);
}
