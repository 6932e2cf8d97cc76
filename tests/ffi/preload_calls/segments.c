#include "calls.h"

#include <netinet/udp.h>

#define PIECES 200

/* Room for one control message. */
union control {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int))];
};

static void set_size(union control *control, struct msghdr *message, uint16_t size) {
  memset(control, 0, sizeof *control);
  control->header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof size), .cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT};
  memcpy(CMSG_DATA(&control->header), &size, sizeof size);
  message->msg_control = control;
  message->msg_controllen = CMSG_SPACE(sizeof size);
}

/* The next message, and what UDP_GRO tells of it; 0: nothing. */
static ssize_t receive(int fd, char *bytes, size_t length, int flags, int *size) {
  union control control;
  struct iovec vector = {bytes, length};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  CHECK((await_events(fd, POLLIN) & POLLIN) != 0);
  ssize_t count = recvmsg(fd, &message, flags);
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  *size = 0;
  if (header == NULL) return count;
  CHECK(header->cmsg_level == IPPROTO_UDP && header->cmsg_type == UDP_GRO && header->cmsg_len == CMSG_LEN(sizeof *size));
  memcpy(size, CMSG_DATA(header), sizeof *size);
  return count;
}

/* Many pieces of memory, more than one datagram is of. */
static void check_pieces(int left, int right, char *bytes) {
  static char parts[PIECES][10];
  struct iovec vectors[PIECES];
  for (int i = 0; i < PIECES; i++) {
    memset(parts[i], i, sizeof parts[i]);
    vectors[i] = (struct iovec){parts[i], sizeof parts[i]};
  }
  union control control;
  struct msghdr message = {.msg_iov = vectors, .msg_iovlen = PIECES};
  set_size(&control, &message, 100);
  CHECK(sendmsg(left, &message, 0) == 10 * PIECES);
  int size;
  CHECK(receive(right, bytes, 65536, 0, &size) == 10 * PIECES && size == 100);
  CHECK(memcmp(bytes, parts, sizeof parts) == 0);
  /* Into pieces, too. */
  memset(parts, 0, sizeof parts);
  CHECK(sendmsg(left, &message, 0) == 10 * PIECES);
  struct msghdr plain = {.msg_iov = vectors, .msg_iovlen = PIECES};
  CHECK(recvmsg(right, &plain, 0) == 10 * PIECES && (plain.msg_flags & MSG_CTRUNC) != 0);
}

static void check_many(int left, int right, char *bytes) {
  union control controls[2];
  struct iovec vector = {bytes, 3000};
  struct mmsghdr messages[2];
  memset(messages, 0, sizeof messages);
  for (int i = 0; i < 2; i++) messages[i].msg_hdr = (struct msghdr){.msg_iov = &vector, .msg_iovlen = 1};
  set_size(&controls[0], &messages[0].msg_hdr, 1000);
  set_size(&controls[1], &messages[1].msg_hdr, 700);
  CHECK(sendmmsg(left, messages, 2, 0) == 2 && messages[0].msg_len == 3000 && messages[1].msg_len == 3000);
  int size;
  CHECK(receive(right, bytes, 65536, MSG_PEEK, &size) == 3000 && size == 1000);
  CHECK(receive(right, bytes, 65536, 0, &size) == 3000 && size == 1000);
  CHECK(receive(right, bytes, 100, 0, &size) == 100 && size == 700);
  /* The second one is refused: the first has gone. */
  set_size(&controls[1], &messages[1].msg_hdr, 1);
  CHECK(sendmmsg(left, messages, 2, 0) == 1);
  CHECK(receive(right, bytes, 65536, 0, &size) == 3000 && size == 1000);
}

static void check_refused(int left, char *bytes) {
  union control control;
  struct iovec vector = {bytes, 129};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  set_size(&control, &message, 1);
  CHECK_ERRNO(EINVAL, sendmsg(left, &message, 0));
  control.header.cmsg_len = CMSG_LEN(1);
  CHECK_ERRNO(EINVAL, sendmsg(left, &message, 0));
  control.header.cmsg_len = sizeof control + 1;
  CHECK_ERRNO(EINVAL, sendmsg(left, &message, 0));
  control.header.cmsg_len = sizeof control.header - 1;
  CHECK_ERRNO(EINVAL, sendmsg(left, &message, 0));
}

void test_segments(void) {
  int left = socket(AF_INET, SOCK_DGRAM, 0), right = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in name = address_of(0);
  socklen_t length = sizeof name;
  int on = 1, size = 1;
  CHECK(bind(right, (struct sockaddr *)&name, sizeof name) == 0);
  CHECK(getsockname(right, (struct sockaddr *)&name, &length) == 0);
  CHECK(connect(left, (struct sockaddr *)&name, sizeof name) == 0);
  CHECK(setsockopt(right, IPPROTO_UDP, UDP_GRO, &on, sizeof on) == 0 && int_option(right, IPPROTO_UDP, UDP_GRO) == 1);
  char *bytes = malloc(65536);
  CHECK(bytes != NULL);
  memset(bytes, 'S', 65536);
  check_pieces(left, right, bytes);
  check_many(left, right, bytes);
  check_refused(left, bytes);
  CHECK(setsockopt(left, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size) == 0);
  CHECK_ERRNO(EINVAL, send(left, bytes, 129, 0));
  CHECK(send(left, bytes, 128, 0) == 128);
  CHECK((await_events(right, POLLIN) & POLLIN) != 0 && read(right, bytes, 65536) == 128);
  /* Each by itself, and from a socket that another one was asked about between. */
  int off = 0;
  CHECK(setsockopt(right, IPPROTO_UDP, UDP_GRO, &off, sizeof off) == 0);
  CHECK(setsockopt(right, IPPROTO_UDP, UDP_SEGMENT, &off, sizeof off) == 0);
  CHECK(send(left, bytes, 2, 0) == 2);
  CHECK(read(right, bytes, 65536) == 1 && read(right, bytes, 65536) == 1);
  CHECK_ERRNO(EINVAL, send(left, bytes, 129, 0));
  free(bytes);
  close(left);
  close(right);
}
