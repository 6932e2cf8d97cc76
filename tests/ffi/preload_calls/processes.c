#include "calls.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void await_child(pid_t pid) {
  int status;
  CHECK(waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* How a program is executed that goes on with our descriptor. */
static void execute(int how, char **words) {
  switch (how) {
    case 0: execve(program_invocation_name, words, environ); break;
    case 1: execv(program_invocation_name, words); break;
    case 2: execvp(program_invocation_name, words); break;
    case 3: execvpe(program_invocation_name, words, (char *[]){NULL}); break;
    case 4: execl(program_invocation_name, words[0], words[1], words[2], (char *)NULL); break;
    case 5: execlp(program_invocation_name, words[0], words[1], words[2], (char *)NULL); break;
    case 6: execle(program_invocation_name, words[0], words[1], words[2], (char *)NULL, environ); break;
    case 7: fexecve(open(program_invocation_name, O_RDONLY | O_CLOEXEC), words, environ); break;
  }
  _exit(9);
}

static pid_t start(int how, char **words) {
  pid_t pid = 0;
  if (how == 8) CHECK(posix_spawn(&pid, program_invocation_name, NULL, NULL, words, environ) == 0);
  else if (how == 9) CHECK(posix_spawnp(&pid, program_invocation_name, NULL, NULL, words, environ) == 0);
  else if (how % 2 == 0 && (pid = fork()) == 0) execute(how, words);
  else if (how % 2 != 0 && (pid = vfork()) == 0) execute(how, words);
  return pid;
}

static void check_executions(void) {
  for (int how = 0; how < 10; how++) {
    struct pair pair = connect_pair();
    char number[16], answer[8];
    snprintf(number, sizeof number, "%d", pair.server);
    char *words[] = {"self", "--inherited", number, NULL};
    CHECK(write(pair.client, "word", 4) == 4);
    pid_t pid = start(how, words);
    close(pair.server);
    CHECK(read(pair.client, answer, sizeof answer) == 4 && memcmp(answer, "done", 4) == 0);
    CHECK(read(pair.client, answer, sizeof answer) == 0);
    await_child(pid);
    close(pair.client);
  }
}

/* Sends a descriptor to a child, which goes on with it. */
static void check_passing(void) {
  struct pair pair = connect_pair();
  int channel[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, channel) == 0);
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr header;
  } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
  struct iovec vector = {"f", 1};
  char byte;
  struct msghdr message = {
      .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  memcpy(CMSG_DATA(&control.header), &pair.server, sizeof(int));
  CHECK(sendmsg(channel[0], &message, 0) == 1);
  close(pair.server);
  pid_t pid = fork();
  if (pid == 0) {
    int fd = -1;
    close(pair.client);
    vector.iov_base = &byte;
    message.msg_controllen = sizeof control.bytes;
    CHECK(recvmsg(channel[1], &message, 0) == 1);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    CHECK(write(fd, "passed", 6) == 6);
    _exit(0);
  }
  char answer[8];
  await_child(pid);
  CHECK(read(pair.client, answer, sizeof answer) == 6);
  close(pair.client);
  close(channel[0]);
  close(channel[1]);
}

/* Behind a filter nothing is asked of the daemon: an end is a plain end. */
static void check_filter(void) {
  struct sock_filter allow[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  struct sock_fprog program = {1, allow};
  for (int how = 0; how < 2; how++) {
    struct pair pair = connect_pair();
    pid_t pid = fork();
    if (pid == 0) {
      char byte;
      close(pair.client);
      CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
      if (how == 0) CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
      else CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
      CHECK(read(pair.server, &byte, 1) == 1 && read(pair.server, &byte, 1) == 0);
      _exit(0);
    }
    close(pair.server);
    CHECK(write(pair.client, "x", 1) == 1);
    close(pair.client);
    await_child(pid);
  }
}

/* Without a descriptor to be had, a connection stays where it is. */
static void check_no_descriptors(void) {
  uint16_t port;
  int listener = open_listener(&port);
  int client = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in to = address_of(port);
  CHECK(connect(client, (struct sockaddr *)&to, sizeof to) == 0);
  CHECK((await_events(listener, POLLIN) & POLLIN) != 0);
  struct rlimit before, none;
  CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
  int next = dup(0);
  close(next);
  none = (struct rlimit){(rlim_t)next, before.rlim_max};
  CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
  CHECK_ERRNO(EMFILE, accept(listener, NULL, NULL));
  CHECK_ERRNO(EMFILE, socket(AF_INET, SOCK_STREAM, 0));
  CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
  int server = accept(listener, NULL, NULL);
  CHECK(server >= 0);
  close(server);
  close(client);
  close(listener);
}

void test_processes(void) {
  check_executions();
  check_passing();
  /* Valgrind does not know seccomp(2), and keeps descriptors of its own. */
  if (getenv("CALLS_UNDER_VALGRIND") != NULL) return;
  check_filter();
  check_no_descriptors();
}

struct work {
  uint16_t port;
  int rounds;
};

static void *connect_and_close(void *argument) {
  const struct work *work = argument;
  struct sockaddr_in to = address_of(work->port);
  for (int i = 0; i < work->rounds; i++) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char byte;
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    CHECK(send(fd, "q", 1, 0) == 1 && recv(fd, &byte, 1, 0) == 1 && byte == 'a');
    close(fd);
  }
  return NULL;
}

void test_threads(void) {
  enum { THREADS = 8, ROUNDS = 25 };
  struct work work = {.rounds = ROUNDS};
  int listener = open_listener(&work.port);
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, connect_and_close, &work) == 0);
  for (int i = 0; i < THREADS * ROUNDS; i++) {
    int fd = accept(listener, NULL, NULL);
    char byte;
    CHECK(fd >= 0 && recv(fd, &byte, 1, 0) == 1 && send(fd, "a", 1, 0) == 1);
    close(fd);
  }
  for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  close(listener);
}
