/* Requests to the daemon: each on a connection of its own, so that threads, forks and signals cannot mix them up. */
#include "internal.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_PATH "/run/lvl-ip/lvl-ip.sock"
#define RUNTIME_NAME "lvl-ip/lvl-ip.sock"

/* A full queue of the daemon's answers EAGAIN to a socket that does not block: tries, and the pause between them. */
#define BUSY_TRIES 5000
#define BUSY_PAUSE_NS 1000000

static int connect_to(int fd, const char *path, bool is_abstract) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(path);
  size_t first = is_abstract ? 1 : 0;
  if (length + 1 > sizeof address.sun_path) return fail(ENAMETOOLONG);
  memcpy(address.sun_path + first, path, length);
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
  for (int tries = 0;; tries++) {
    if (real->connect(fd, (struct sockaddr *)&address, size) == 0) return 0;
    if (errno != EAGAIN && errno != EINTR) return -1;
    if (tries == BUSY_TRIES) return fail(ENETDOWN);
    if (errno == EAGAIN) nanosleep(&(struct timespec){.tv_nsec = BUSY_PAUSE_NS}, NULL);
  }
}

/* The path, and the abstract name that the daemon has beside it, for programs that chroot. */
static int connect_either(int fd, const char *path) {
  if (*path == '@') return connect_to(fd, path + 1, true);
  if (connect_to(fd, path, false) == 0) return 0;
  if (errno == EISCONN) return -1;
  return connect_to(fd, path, true);
}

int lvlip_connect_daemon(int fd) {
  const char *line = lvlip_socket_line();
  const char *path = line == NULL ? DEFAULT_PATH : strchr(line, '=') + 1;
  if (connect_either(fd, path) == 0) return 0;
  if (errno == EISCONN) return -1;
  if (line == NULL) {
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char other[108];
    if (runtime != NULL && snprintf(other, sizeof other, "%s/" RUNTIME_NAME, runtime) < (int)sizeof other &&
        connect_either(fd, other) == 0) {
      return 0;
    }
  }
  char message[256];
  snprintf(message, sizeof message, "no daemon answers at %s; start one with: lvl-ip daemon", path);
  lvlip_complain(message);
  return fail(ENETDOWN);
}

void lvlip_record_init(struct lvlip_record *record, enum lvlip_op op, uint64_t id) {
  memset(record, 0, sizeof *record);
  record->magic = LVLIP_MAGIC;
  record->version = LVLIP_VERSION;
  record->op = (uint16_t)op;
  record->id = id;
  record->arg[3] = (int32_t)(uint32_t)lvlip_pass();
  record->arg[4] = (int32_t)(uint32_t)(lvlip_pass() >> 32);
}

static int send_all(int fd, const void *bytes, size_t length) {
  const char *from = bytes;
  while (length > 0) {
    ssize_t sent = real->send(fd, from, length, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return -1;
    from += sent;
    length -= (size_t)sent;
  }
  return 0;
}

static int receive_all(int fd, void *bytes, size_t length) {
  char *to = bytes;
  while (length > 0) {
    ssize_t count = real->recv(fd, to, length, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    if (count == 0) return fail(ENETDOWN);
    to += count;
    length -= (size_t)count;
  }
  return 0;
}

/* The first piece of the answer, with the descriptor that may be attached to it. */
static int receive_with_descriptor(int fd, struct lvlip_record *record, int *descriptor) {
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec vector = {record, sizeof *record};
  struct msghdr message = {
      .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t count;
  do count = real->recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  while (count < 0 && errno == EINTR);
  if (count <= 0) return fail(count == 0 ? ENETDOWN : errno);
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  *descriptor = -1;
  if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
    memcpy(descriptor, CMSG_DATA(header), sizeof *descriptor);
  }
  return receive_all(fd, (char *)record + count, sizeof *record - (size_t)count);
}

int lvlip_answered_error(const struct lvlip_record *record) {
  if (record->error == EACCES && record->op == LVLIP_OP_NONE) {
    lvlip_complain("the daemon serves only its own user, root and the group it was started with; "
                   "start it with: lvl-ip daemon --group NAME");
  }
  return record->error;
}

static int open_daemon(void) {
  int fd = real->socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (lvlip_connect_daemon(fd) == 0) return fd;
  int saved = errno;
  close(fd);
  return fail(saved);
}

struct exchange {
  const void *request;
  void *answer;
  uint32_t *answer_length;
  int *descriptor;
};

static int exchange_on(int fd, struct lvlip_record *record, const struct exchange *extra) {
  if (send_all(fd, record, sizeof *record) < 0 && errno != EPIPE) return -1;
  if (record->length > 0 && send_all(fd, extra->request, record->length) < 0 && errno != EPIPE) return -1;
  int received = extra->descriptor != NULL ? receive_with_descriptor(fd, record, extra->descriptor)
                                           : receive_all(fd, record, sizeof *record);
  if (received < 0) return -1;
  if (record->magic != LVLIP_MAGIC || record->version != LVLIP_VERSION) return fail(EPROTO);
  if (record->error != 0) return fail(lvlip_answered_error(record));
  if (extra->answer == NULL) return 0;
  uint32_t length = record->length < *extra->answer_length ? record->length : *extra->answer_length;
  *extra->answer_length = length;
  return receive_all(fd, extra->answer, length);
}

static int exchange(struct lvlip_record *record, const struct exchange *extra) {
  if (lvlip_is_sandboxed()) return fail(EPERM);
  /* A thread that is cancelled in the middle would leave the descriptor open. */
  int cancel;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  int result = -1;
  int fd = open_daemon();
  if (fd >= 0) {
    result = exchange_on(fd, record, extra);
    int saved = errno;
    close(fd);
    errno = saved;
  }
  pthread_setcancelstate(cancel, NULL);
  return result;
}

int lvlip_call(struct lvlip_record *record) { return exchange(record, &(struct exchange){0}); }

int lvlip_call_with(struct lvlip_record *record, const void *request, void *answer, uint32_t *answer_length) {
  return exchange(record, &(struct exchange){.request = request, .answer = answer, .answer_length = answer_length});
}

int lvlip_call_for_descriptor(struct lvlip_record *record, int *descriptor) {
  *descriptor = -1;
  return exchange(record, &(struct exchange){.descriptor = descriptor});
}

void lvlip_tell(const struct lvlip_record *record) {
  if (lvlip_is_sandboxed()) return;
  int saved = errno;
  int cancel;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  int fd = open_daemon();
  if (fd >= 0) {
    send_all(fd, record, sizeof *record);
    close(fd);
  }
  pthread_setcancelstate(cancel, NULL);
  errno = saved;
}

int lvlip_outcome(uint64_t id, bool take) {
  if (lvlip_is_sandboxed()) return 0;
  int saved = errno;
  struct lvlip_record record;
  lvlip_record_init(&record, LVLIP_OP_OUTCOME, id);
  record.arg[0] = take ? 1 : 0;
  int error = 0;
  if (lvlip_call(&record) == 0) error = record.arg[0];
  /* A daemon that has gone took the connection with it; one that has forgotten the id did so long ago. */
  else if (errno != ENOENT) error = ECONNRESET;
  errno = saved;
  return error;
}
