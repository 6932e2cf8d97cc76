#include "calls.h"

#include <linux/errqueue.h>
#include <netinet/ip.h>

#define ICMP_FILTER 1
/* For experiments (RFC 3692). */
#define PROTOCOL 253

static void set_int(int fd, int level, int name, int value) {
  CHECK(setsockopt(fd, level, name, &value, sizeof value) == 0);
}

static int bound_udp(struct sockaddr_in *name) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  socklen_t length = sizeof *name;
  *name = address_of(0);
  CHECK(bind(fd, (struct sockaddr *)name, sizeof *name) == 0);
  CHECK(getsockname(fd, (struct sockaddr *)name, &length) == 0);
  return fd;
}

/* Room for control messages, one of which it is to begin with. */
struct control {
  struct cmsghdr header;
  char data[256];
};

static ssize_t send_with(int fd, const struct sockaddr_in *to, int type, const void *data, size_t size) {
  struct control control = {.header = {.cmsg_len = CMSG_LEN(size), .cmsg_level = IPPROTO_IP, .cmsg_type = type}};
  struct iovec vector = {"hello", 5};
  memcpy(CMSG_DATA(&control.header), data, size);
  struct msghdr message = {.msg_name = (void *)(uintptr_t)to,
                           .msg_namelen = sizeof *to,
                           .msg_iov = &vector,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = CMSG_SPACE(size)};
  return sendmsg(fd, &message, 0);
}

static const void *control_of(struct msghdr *message, int type) {
  for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
    if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == type) return CMSG_DATA(at);
  }
  return NULL;
}

static void check_received(int fd, int ttl, int tos) {
  struct control control;
  struct sockaddr_in from;
  char bytes[16];
  struct iovec vector = {bytes, sizeof bytes};
  struct msghdr message = {.msg_name = &from,
                           .msg_namelen = sizeof from,
                           .msg_iov = &vector,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
  CHECK(recvmsg(fd, &message, 0) == 5 && memcmp(bytes, "hello", 5) == 0);
  int seen;
  const void *found = control_of(&message, IP_TTL);
  CHECK(found != NULL);
  memcpy(&seen, found, sizeof seen);
  CHECK(seen == ttl);
  found = control_of(&message, IP_TOS);
  CHECK(found != NULL && *(const uint8_t *)found == tos);
  struct in_pktinfo info;
  found = control_of(&message, IP_PKTINFO);
  CHECK(found != NULL);
  memcpy(&info, found, sizeof info);
  CHECK(info.ipi_addr.s_addr == own.s_addr);
}

void test_ancillary(void) {
  struct sockaddr_in left_name, right_name;
  int left = bound_udp(&left_name), right = bound_udp(&right_name);
  set_int(right, IPPROTO_IP, IP_RECVTTL, 1);
  set_int(right, IPPROTO_IP, IP_RECVTOS, 1);
  set_int(right, IPPROTO_IP, IP_PKTINFO, 1);
  int ttl = 7, tos = 0x10, none = 0, many = 256;
  struct in_pktinfo info = {.ipi_spec_dst = own};
  CHECK(send_with(left, &right_name, IP_TTL, &ttl, sizeof ttl) == 5);
  check_received(right, 7, 0);
  CHECK(send_with(left, &right_name, IP_TOS, &tos, sizeof tos) == 5);
  check_received(right, 64, 0x10);
  CHECK(send_with(left, &right_name, IP_PKTINFO, &info, sizeof info) == 5);
  check_received(right, 64, 0);
  CHECK_ERRNO(EINVAL, send_with(left, &right_name, IP_TTL, &none, sizeof none));
  CHECK_ERRNO(EINVAL, send_with(left, &right_name, IP_TTL, &many, sizeof many));
  CHECK_ERRNO(EINVAL, send_with(left, &right_name, IP_RECVERR, &ttl, sizeof ttl));
  /* What was sent goes by what was set before it. */
  for (int value = 1; value <= 20; value++) {
    set_int(left, IPPROTO_IP, IP_TTL, value);
    CHECK(sendto(left, "hello", 5, 0, (struct sockaddr *)&right_name, sizeof right_name) == 5);
  }
  for (int value = 1; value <= 20; value++) check_received(right, value, 0);
  close(left);
  close(right);
}

static void check_error(int fd, const char *text, uint16_t port, int error, int code) {
  struct control control;
  struct sockaddr_in to, offender;
  char bytes[64];
  struct iovec vector = {bytes, sizeof bytes};
  struct msghdr message = {.msg_name = &to,
                           .msg_namelen = sizeof to,
                           .msg_iov = &vector,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
  CHECK((await_events(fd, POLLIN) & POLLERR) != 0);
  CHECK(recvmsg(fd, &message, MSG_ERRQUEUE) == (ssize_t)strlen(text) && memcmp(bytes, text, strlen(text)) == 0);
  CHECK((message.msg_flags & MSG_ERRQUEUE) != 0 && to.sin_addr.s_addr == own.s_addr && to.sin_port == port);
  struct sock_extended_err report;
  const char *found = control_of(&message, IP_RECVERR);
  CHECK(found != NULL);
  memcpy(&report, found, sizeof report);
  memcpy(&offender, found + sizeof report, sizeof offender);
  CHECK(report.ee_errno == (uint32_t)error && report.ee_origin == SO_EE_ORIGIN_ICMP);
  CHECK(report.ee_type == 3 && report.ee_code == code && offender.sin_addr.s_addr == own.s_addr);
}

void test_error_queue(void) {
  struct sockaddr_in name, closed;
  char byte;
  int fd = bound_udp(&name);
  close(bound_udp(&closed));
  set_int(fd, IPPROTO_IP, IP_RECVERR, 1);
  CHECK(sendto(fd, "first", 5, 0, (struct sockaddr *)&closed, sizeof closed) == 5);
  check_error(fd, "first", closed.sin_port, ECONNREFUSED, 3);
  CHECK_ERRNO(EAGAIN, recv(fd, &byte, 1, MSG_ERRQUEUE | MSG_DONTWAIT));
  /* A plain call tells it too, and leaves it in the queue; who reads on gets what comes after. */
  CHECK(sendto(fd, "second", 6, 0, (struct sockaddr *)&closed, sizeof closed) == 6);
  CHECK((await_events(fd, POLLIN) & POLLERR) != 0);
  CHECK_ERRNO(ECONNREFUSED, recv(fd, &byte, 1, MSG_DONTWAIT));
  check_error(fd, "second", closed.sin_port, ECONNREFUSED, 3);
  CHECK(sendto(fd, "third", 5, 0, (struct sockaddr *)&closed, sizeof closed) == 5);
  CHECK((await_events(fd, POLLIN) & POLLERR) != 0);
  CHECK_ERRNO(ECONNREFUSED, recv(fd, &byte, 1, MSG_DONTWAIT));
  CHECK(sendto(fd, "m", 1, 0, (struct sockaddr *)&name, sizeof name) == 1);
  CHECK(recv(fd, &byte, 1, 0) == 1 && byte == 'm');
  close(fd);
}

static void check_raw_options(int fd) {
  struct sockaddr_in name;
  socklen_t length = sizeof name;
  CHECK(int_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_RAW);
  CHECK(int_option(fd, SOL_SOCKET, SO_PROTOCOL) == PROTOCOL);
  CHECK(int_option(fd, IPPROTO_IP, IP_HDRINCL) == 0);
  CHECK(getsockname(fd, (struct sockaddr *)&name, &length) == 0 && ntohs(name.sin_port) == PROTOCOL);
  CHECK_ERRNO(ENOTCONN, getpeername(fd, (struct sockaddr *)&name, &length));
  CHECK_ERRNO(EOPNOTSUPP, listen(fd, 1));
  int value = 1, udp = socket(AF_INET, SOCK_DGRAM, 0);
  CHECK_ERRNO(EOPNOTSUPP, setsockopt(fd, SOL_RAW, ICMP_FILTER, &value, sizeof value));
  CHECK_ERRNO(ENOPROTOOPT, setsockopt(udp, IPPROTO_IP, IP_HDRINCL, &value, sizeof value));
  close(udp);
}

void test_raw(void) {
  CHECK_ERRNO(EPROTONOSUPPORT, socket(AF_INET, SOCK_RAW, 0));
  int fd = socket(AF_INET, SOCK_RAW, PROTOCOL);
  CHECK(fd >= 0);
  check_raw_options(fd);
  struct sockaddr_in to = address_of(0), from;
  socklen_t length = sizeof from;
  unsigned char bytes[200];
  CHECK_ERRNO(EDESTADDRREQ, send(fd, "x", 1, 0));
  CHECK(sendto(fd, "plain", 5, 0, (struct sockaddr *)&to, sizeof to) == 5);
  CHECK(recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &length) == 25);
  CHECK(bytes[0] == 0x45 && bytes[9] == PROTOCOL && bytes[3] == 25 && memcmp(bytes + 20, "plain", 5) == 0);
  CHECK(from.sin_addr.s_addr == own.s_addr && from.sin_port == 0);
  CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && send(fd, "again", 5, 0) == 5);
  CHECK(read(fd, bytes, sizeof bytes) == 25 && memcmp(bytes + 20, "again", 5) == 0);

  int header = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  CHECK(header >= 0 && int_option(header, IPPROTO_IP, IP_HDRINCL) == 1);
  struct {
    struct iphdr ip;
    char text[5];
  } packet = {.ip = {.version = 4, .ihl = 5, .ttl = 9, .protocol = PROTOCOL, .daddr = own.s_addr}, .text = "whole"};
  CHECK(sendto(header, &packet, 25, 0, (struct sockaddr *)&to, sizeof to) == 25);
  CHECK(recv(fd, bytes, sizeof bytes, 0) == 25 && memcmp(bytes + 20, "whole", 5) == 0);
  CHECK(bytes[8] == 9 && memcmp(bytes + 12, &own, 4) == 0);
  close(header);
  close(fd);
}
