#include "calls.h"

#include <netinet/ip_icmp.h>

static int open_datagram(uint16_t *port) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
  struct sockaddr_in name = address_of(0);
  socklen_t length = sizeof name;
  CHECK(bind(fd, (struct sockaddr *)&name, sizeof name) == 0);
  CHECK(getsockname(fd, (struct sockaddr *)&name, &length) == 0 && name.sin_port != 0);
  *port = ntohs(name.sin_port);
  return fd;
}

static void check_unconnected(int left, uint16_t left_port, int right, uint16_t right_port) {
  char bytes[64];
  struct sockaddr_in to = address_of(right_port), from;
  socklen_t length = sizeof from;
  CHECK_ERRNO(EDESTADDRREQ, send(left, "x", 1, 0));
  CHECK(sendto(left, "one", 3, 0, (struct sockaddr *)&to, sizeof to) == 3);
  CHECK(sendto(left, "", 0, 0, (struct sockaddr *)&to, sizeof to) == 0);
  CHECK(sendto(left, "four", 4, 0, (struct sockaddr *)&to, sizeof to) == 4);
  CHECK(sendto(left, "fifth", 5, 0, (struct sockaddr *)&to, sizeof to) == 5);
  CHECK(recvfrom(right, bytes, sizeof bytes, MSG_PEEK, (struct sockaddr *)&from, &length) == 3);
  int waiting = 0;
  CHECK(ioctl(right, FIONREAD, &waiting) == 0 && waiting == 3);
  CHECK(recvfrom(right, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &length) == 3);
  CHECK(ntohs(from.sin_port) == left_port && from.sin_addr.s_addr == own.s_addr && memcmp(bytes, "one", 3) == 0);
  CHECK(recv(right, bytes, sizeof bytes, 0) == 0);
  struct iovec vector = {bytes, 2};
  struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &vector, .msg_iovlen = 1};
  CHECK(recvmsg(right, &message, MSG_TRUNC) == 4 && (message.msg_flags & MSG_TRUNC) != 0);
  CHECK(read(right, bytes, sizeof bytes) == 5 && memcmp(bytes, "fifth", 5) == 0);
  CHECK_ERRNO(EAGAIN, recv(right, bytes, sizeof bytes, MSG_DONTWAIT));
}

static void check_connected(int left, int right, uint16_t right_port, uint16_t left_port) {
  char bytes[64];
  struct sockaddr_in peer = address_of(right_port), name;
  socklen_t length = sizeof name;
  CHECK_ERRNO(ENOTCONN, getpeername(left, (struct sockaddr *)&name, &length));
  CHECK(connect(left, (struct sockaddr *)&peer, sizeof peer) == 0);
  CHECK(getpeername(left, (struct sockaddr *)&name, &length) == 0 && ntohs(name.sin_port) == right_port);
  CHECK(write(left, "w", 1) == 1 && send(left, "ss", 2, 0) == 2);
  CHECK(read(right, bytes, sizeof bytes) == 1 && read(right, bytes, sizeof bytes) == 2);
  struct sockaddr_in back = address_of(left_port);
  CHECK(sendto(right, "back", 4, 0, (struct sockaddr *)&back, sizeof back) == 4);
  CHECK(recvfrom(left, bytes, 4, 0, (struct sockaddr *)&name, &length) == 4 && ntohs(name.sin_port) == right_port);
  CHECK(sendto(right, "again", 5, 0, (struct sockaddr *)&back, sizeof back) == 5);
  CHECK(read(left, bytes, 5) == 5 && memcmp(bytes, "again", 5) == 0);
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  CHECK(connect(left, &none, sizeof none) == 0);
  CHECK_ERRNO(ENOTCONN, getpeername(left, (struct sockaddr *)&name, &length));
}

static void check_large(int left, int right, uint16_t right_port) {
  struct sockaddr_in to = address_of(right_port);
  char *bytes = malloc(70000);
  CHECK(bytes != NULL);
  memset(bytes, 'L', 70000);
  CHECK_ERRNO(EMSGSIZE, sendto(left, bytes, 65508, 0, (struct sockaddr *)&to, sizeof to));
  CHECK(sendto(left, bytes, 65507, 0, (struct sockaddr *)&to, sizeof to) == 65507);
  CHECK(recv(right, bytes, 70000, 0) == 65507 && bytes[65506] == 'L');
  free(bytes);
}

static void check_many(int left, int right, uint16_t right_port) {
  char bytes[2][8];
  struct sockaddr_in to = address_of(right_port), from[2];
  struct iovec vectors[2] = {{"ab", 2}, {"cde", 3}};
  struct mmsghdr messages[2];
  memset(messages, 0, sizeof messages);
  for (int i = 0; i < 2; i++) {
    messages[i].msg_hdr =
        (struct msghdr){.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &vectors[i], .msg_iovlen = 1};
  }
  CHECK(sendmmsg(left, messages, 2, 0) == 2);
  for (int i = 0; i < 2; i++) {
    vectors[i] = (struct iovec){bytes[i], sizeof bytes[i]};
    messages[i].msg_hdr.msg_name = &from[i];
    messages[i].msg_hdr.msg_namelen = sizeof from[i];
  }
  CHECK((await_events(right, POLLIN) & POLLIN) != 0);
  usleep(20000);
  CHECK(recvmmsg(right, messages, 2, MSG_WAITFORONE, NULL) == 2);
  CHECK(messages[0].msg_len == 2 && messages[1].msg_len == 3 && from[1].sin_addr.s_addr == own.s_addr);
  /* The time is over when the first one has come: the second is not waited for. */
  CHECK(sendto(left, "f", 1, 0, (struct sockaddr *)&to, sizeof to) == 1);
  CHECK(recvmmsg(right, messages, 2, 0, &(struct timespec){0}) == 1);
}

static void check_refusal(void) {
  uint16_t port;
  close(open_datagram(&port));
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in peer = address_of(port);
  char byte;
  CHECK(connect(fd, (struct sockaddr *)&peer, sizeof peer) == 0 && send(fd, "?", 1, 0) == 1);
  CHECK((await_events(fd, POLLIN) & (POLLIN | POLLERR)) != 0);
  CHECK_ERRNO(ECONNREFUSED, recv(fd, &byte, 1, 0));
  CHECK_ERRNO(EAGAIN, recv(fd, &byte, 1, MSG_DONTWAIT));
  CHECK(send(fd, "?", 1, 0) == 1);
  CHECK((await_events(fd, POLLIN) & (POLLIN | POLLERR)) != 0);
  CHECK(int_option(fd, SOL_SOCKET, SO_ERROR) == ECONNREFUSED && int_option(fd, SOL_SOCKET, SO_ERROR) == 0);
  close(fd);
}

void test_datagrams(void) {
  uint16_t left_port, right_port;
  int left = open_datagram(&left_port), right = open_datagram(&right_port);
  CHECK(int_option(left, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM);
  CHECK(int_option(left, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_UDP);
  CHECK_ERRNO(EOPNOTSUPP, listen(left, 1));
  CHECK_ERRNO(EOPNOTSUPP, accept(left, NULL, NULL));
  check_unconnected(left, left_port, right, right_port);
  check_connected(left, right, right_port, left_port);
  check_large(left, right, right_port);
  check_many(left, right, right_port);
  int on = 1;
  CHECK(setsockopt(right, IPPROTO_IP, IP_RECVTTL, &on, sizeof on) == 0);
  struct sockaddr_in to = address_of(right_port);
  CHECK(sendto(left, "ttl", 3, 0, (struct sockaddr *)&to, sizeof to) == 3);
  char bytes[8], control[64];
  struct iovec vector = {bytes, sizeof bytes};
  struct msghdr message = {
      .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  CHECK(recvmsg(right, &message, 0) == 3);
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  CHECK(header != NULL && header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_TTL);
  CHECK(*(int *)(void *)CMSG_DATA(header) == 64);
  close(left);
  close(right);
  check_refusal();
}

void test_echo(void) {
  int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
  CHECK(fd >= 0 && int_option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_ICMP);
  struct sockaddr_in to = address_of(0), from;
  socklen_t length = sizeof from;
  struct icmphdr request = {.type = ICMP_ECHO, .un.echo.sequence = htons(7)}, reply;
  CHECK(sendto(fd, &request, sizeof request, 0, (struct sockaddr *)&to, sizeof to) == sizeof request);
  CHECK(recvfrom(fd, &reply, sizeof reply, 0, (struct sockaddr *)&from, &length) == sizeof reply);
  CHECK(reply.type == ICMP_ECHOREPLY && ntohs(reply.un.echo.sequence) == 7 && from.sin_addr.s_addr == own.s_addr);
  close(fd);
}
