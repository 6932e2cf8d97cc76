/*
 * Another socket in the place of one: in every descriptor of this process that holds it, and in what epoll was told of
 * these. dup3(2) alone would lose that, since epoll watches sockets, not their numbers.
 */
#include "internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* More than programs have; what is beyond keeps the old socket. */
#define MAX_HOLDERS 16
#define MAX_EPOLLS 32
#define MAX_WATCHES 32

struct watch {
  int epoll;
  int fd;
  struct epoll_event event;
};

struct holders {
  struct stat socket;
  int fds[MAX_HOLDERS];
  int epolls[MAX_EPOLLS];
  struct watch watches[MAX_WATCHES];
  int fd_count;
  int epoll_count;
  int watch_count;
};

static bool is_epoll(int fd, const struct stat *status) {
  /* What has no file of its own has no type either. */
  if ((status->st_mode & S_IFMT) != 0) return false;
  char path[40], target[40];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(path, target, sizeof target - 1);
  if (length < 0) return false;
  target[length] = '\0';
  return strcmp(target, "anon_inode:[eventpoll]") == 0;
}

static void look_at(struct holders *holders, int fd) {
  struct stat status;
  if (fstat(fd, &status) < 0) return;
  if (status.st_ino == holders->socket.st_ino && status.st_dev == holders->socket.st_dev) {
    if (holders->fd_count < MAX_HOLDERS) holders->fds[holders->fd_count++] = fd;
  } else if (is_epoll(fd, &status)) {
    if (holders->epoll_count < MAX_EPOLLS) holders->epolls[holders->epoll_count++] = fd;
  }
}

/* As the kernel lays out what getdents64(2) gives. */
struct entry {
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[];
};

/* Looks at all descriptors of the process; without /proc at the one alone. opendir(3) would allocate. */
static void find_holders(struct holders *holders, int fd) {
  int folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) {
    look_at(holders, fd);
    return;
  }
  _Alignas(struct entry) char bytes[4096];
  for (;;) {
    long length = real->syscall(SYS_getdents64, folder, bytes, sizeof bytes);
    if (length <= 0) break;
    for (long at = 0; at < length; at += ((struct entry *)(bytes + at))->length) {
      const char *name = ((struct entry *)(bytes + at))->name;
      if (*name != '.' && atoi(name) != folder) look_at(holders, atoi(name));
    }
  }
  close(folder);
}

static void add_watch(struct holders *holders, int epoll, const char *line) {
  int fd;
  unsigned events;
  unsigned long long data;
  unsigned long inode;
  long long position;
  if (sscanf(line, "tfd: %d events: %x data: %llx pos:%lli ino:%lx", &fd, &events, &data, &position, &inode) != 5) return;
  if (inode != (unsigned long)holders->socket.st_ino || holders->watch_count == MAX_WATCHES) return;
  holders->watches[holders->watch_count++] = (struct watch){epoll, fd, {events, {.u64 = data}}};
}

/* Reads what an epoll descriptor was told from /proc: there is no call to ask it. */
static void read_watches(struct holders *holders, int epoll) {
  char path[40], bytes[4096];
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", epoll);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  size_t held = 0;
  for (;;) {
    ssize_t count = real->read(file, bytes + held, sizeof bytes - 1 - held);
    if (count <= 0) break;
    held += (size_t)count;
    bytes[held] = '\0';
    char *line = bytes;
    for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
      *end = '\0';
      if (strncmp(line, "tfd:", 4) == 0) add_watch(holders, epoll, line);
    }
    held -= (size_t)(line - bytes);
    memmove(bytes, line, held);
  }
  close(file);
}

/* Whether an epoll descriptor watches one of them: asked before its list, which may be long, is read. */
static bool watches_any(const struct holders *holders, int epoll) {
  for (int i = 0; i < holders->fd_count; i++) {
    struct epoll_event none = {0};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, holders->fds[i], &none) == 0) {
      epoll_ctl(epoll, EPOLL_CTL_DEL, holders->fds[i], NULL);
    } else if (errno == EEXIST) {
      return true;
    }
  }
  return false;
}

/* What the kernel keeps by the socket and not by the descriptor. */
static void copy_flags(int from, int to) {
  int status = fcntl(from, F_GETFL);
  if (status >= 0) fcntl(to, F_SETFL, status);
  struct f_owner_ex owner;
  if ((status & O_ASYNC) != 0 && fcntl(from, F_GETOWN_EX, &owner) == 0) fcntl(to, F_SETOWN_EX, &owner);
  int signal = fcntl(from, F_GETSIG);
  if (signal > 0) fcntl(to, F_SETSIG, signal);
  static const int timeouts[] = {SO_RCVTIMEO, SO_SNDTIMEO};
  for (int i = 0; i < 2; i++) {
    struct timeval time;
    socklen_t length = sizeof time;
    if (real->getsockopt(from, SOL_SOCKET, timeouts[i], &time, &length) == 0) {
      real->setsockopt(to, SOL_SOCKET, timeouts[i], &time, length);
    }
  }
}

static int exchange_sockets(struct holders *holders, int fresh) {
  for (int i = 0; i < holders->watch_count; i++) {
    struct watch *watch = &holders->watches[i];
    epoll_ctl(watch->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
  }
  int result = 0;
  for (int i = 0; i < holders->fd_count; i++) {
    int flags = fcntl(holders->fds[i], F_GETFD);
    if (dup3(fresh, holders->fds[i], flags >= 0 && (flags & FD_CLOEXEC) != 0 ? O_CLOEXEC : 0) < 0) result = -1;
  }
  for (int i = 0; i < holders->watch_count; i++) {
    struct watch *watch = &holders->watches[i];
    epoll_ctl(watch->epoll, EPOLL_CTL_ADD, watch->fd, &watch->event);
  }
  return result;
}

int lvlip_replace(int fd, int fresh) {
  struct holders holders;
  holders.fd_count = holders.epoll_count = holders.watch_count = 0;
  int saved = errno;
  int result = fstat(fd, &holders.socket);
  if (result == 0) {
    find_holders(&holders, fd);
    for (int i = 0; i < holders.epoll_count; i++) {
      if (watches_any(&holders, holders.epolls[i])) read_watches(&holders, holders.epolls[i]);
    }
    copy_flags(fd, fresh);
    result = exchange_sockets(&holders, fresh);
  }
  if (result == 0) errno = saved;
  saved = errno;
  close(fresh);
  errno = saved;
  return result;
}
