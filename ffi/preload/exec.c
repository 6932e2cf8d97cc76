/*
 * exec and posix_spawn: a program that clears its children's environment would have them use the kernel's stack.
 *
 * After vfork the child shares its parent's memory: nothing here allocates or writes anything but its own stack.
 */
#include "internal.h"

#include <alloca.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

/* Lines that a program needs to go on using the stack. */
#define OURS 3

static size_t count_lines(char *const lines[]) {
  size_t count = 0;
  while (lines != NULL && lines[count] != NULL) count++;
  return count;
}

/* Whether the environment has this line's variable; of LD_PRELOAD, whether our library is among its values. */
static bool has_line(char *const environment[], const char *line) {
  size_t name = (size_t)(strchr(line, '=') - line) + 1;
  bool is_preload = strncmp(line, "LD_PRELOAD=", name) == 0;
  for (size_t i = 0; environment != NULL && environment[i] != NULL; i++) {
    if (strncmp(environment[i], line, name) == 0) return !is_preload || strstr(environment[i], "liblevelip") != NULL;
  }
  return false;
}

/* Room that `complete` needs: all lines, ours, and the end. */
static size_t room_for(char *const environment[]) { return count_lines(environment) + OURS + 1; }

/* The environment with our lines put in where they lack; in `room` unless nothing lacks. */
static char *const *complete(char *const environment[], char **room) {
  const char *ours[OURS] = {lvlip_preload_line(), lvlip_socket_line(), lvlip_pass_line()};
  size_t lacking = 0;
  for (size_t i = 0; i < OURS; i++) {
    if (ours[i] != NULL && has_line(environment, ours[i])) ours[i] = NULL;
    if (ours[i] != NULL) lacking++;
  }
  if (lacking == 0) return environment;
  size_t count = 0;
  for (size_t i = 0; environment != NULL && environment[i] != NULL; i++) {
    /* Another LD_PRELOAD, without us: the value of the parent stands for it. */
    if (ours[0] != NULL && strncmp(environment[i], "LD_PRELOAD=", 11) == 0) continue;
    room[count++] = environment[i];
  }
  for (size_t i = 0; i < OURS; i++) {
    if (ours[i] != NULL) room[count++] = (char *)(uintptr_t)ours[i];
  }
  room[count] = NULL;
  return room;
}

#define COMPLETE(environment) complete(environment, alloca(room_for(environment) * sizeof(char *)))

EXPORT int execve(const char *path, char *const arguments[], char *const environment[]) {
  return real->execve(path, arguments, COMPLETE(environment));
}

EXPORT int execv(const char *path, char *const arguments[]) {
  return real->execve(path, arguments, COMPLETE(environ));
}

EXPORT int execvpe(const char *file, char *const arguments[], char *const environment[]) {
  return real->execvpe(file, arguments, COMPLETE(environment));
}

EXPORT int execvp(const char *file, char *const arguments[]) {
  return real->execvpe(file, arguments, COMPLETE(environ));
}

EXPORT int fexecve(int fd, char *const arguments[], char *const environment[]) {
  return real->fexecve(fd, arguments, COMPLETE(environment));
}

/* Gathers execl's arguments into an array on the caller's stack. `last` is where the list stands afterwards. */
#define GATHER(first, arguments, list) \
  size_t count = 1; \
  va_start(list, first); \
  while (va_arg(list, char *) != NULL) count++; \
  va_end(list); \
  char **arguments = alloca((count + 1) * sizeof(char *)); \
  arguments[0] = (char *)(uintptr_t)first; \
  va_start(list, first); \
  for (size_t i = 1; i <= count; i++) arguments[i] = va_arg(list, char *);

EXPORT int execl(const char *path, const char *first, ...) {
  va_list list;
  GATHER(first, arguments, list)
  va_end(list);
  return real->execve(path, arguments, COMPLETE(environ));
}

EXPORT int execlp(const char *file, const char *first, ...) {
  va_list list;
  GATHER(first, arguments, list)
  va_end(list);
  return real->execvpe(file, arguments, COMPLETE(environ));
}

EXPORT int execle(const char *path, const char *first, ...) {
  va_list list;
  GATHER(first, arguments, list)
  char *const *environment = va_arg(list, char *const *);
  va_end(list);
  return real->execve(path, arguments, COMPLETE(environment));
}

EXPORT int posix_spawn(pid_t *restrict pid, const char *restrict path,
                       const posix_spawn_file_actions_t *restrict actions, const posix_spawnattr_t *restrict attributes,
                       char *const arguments[restrict], char *const environment[restrict]) {
  return real->posix_spawn(pid, path, actions, attributes, arguments, COMPLETE(environment));
}

EXPORT int posix_spawnp(pid_t *restrict pid, const char *restrict file,
                        const posix_spawn_file_actions_t *restrict actions,
                        const posix_spawnattr_t *restrict attributes, char *const arguments[restrict],
                        char *const environment[restrict]) {
  return real->posix_spawnp(pid, file, actions, attributes, arguments, COMPLETE(environment));
}
