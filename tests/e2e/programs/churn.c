/*
 * Connections that come and go: `churn serve PORT` accepts and waits for the end of each; `churn connect ADDRESS PORT COUNT`
 * makes COUNT of them, one after the other in each of four threads, and prints how long that took.
 * `churn hold ADDRESS PORT COUNT` makes them and keeps them, until its stdin ends.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define THREADS 4

static struct sockaddr_in name = {.sin_family = AF_INET};
static int count;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void serve(void) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  int epoll = epoll_create1(0);
  struct epoll_event event = {EPOLLIN, {.fd = listener}};
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  if (bind(listener, (struct sockaddr *)&name, sizeof name) < 0 || listen(listener, 4096) < 0) die("listen");
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  while (epoll_wait(epoll, &event, 1, -1) == 1) {
    if (event.data.fd != listener) {
      close(event.data.fd);
      continue;
    }
    int fd = accept(listener, NULL, NULL);
    event = (struct epoll_event){EPOLLIN, {.fd = fd}};
    if (fd >= 0) epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  }
}

static int connected(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) die("socket");
  if (connect(fd, (struct sockaddr *)&name, sizeof name) < 0) die("connect");
  return fd;
}

static void *churn(void *unused) {
  for (int i = 0; i < count / THREADS; i++) close(connected());
  return unused;
}

int main(int words, char **word) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (words == 3 && strcmp(word[1], "serve") == 0) {
    name.sin_port = htons((uint16_t)atoi(word[2]));
    serve();
    return 0;
  }
  if (words != 5 || inet_pton(AF_INET, word[2], &name.sin_addr) != 1) return 2;
  name.sin_port = htons((uint16_t)atoi(word[3]));
  count = atoi(word[4]);
  if (strcmp(word[1], "hold") == 0) {
    for (int i = 0; i < count; i++) connected();
    printf("holding\n");
    fflush(stdout);
    getchar();
    return 0;
  }
  struct timespec begin, end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, churn, NULL);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  clock_gettime(CLOCK_MONOTONIC, &end);
  double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
  printf("%d in %.3f s, %.0f a second\n", count, seconds, count / seconds);
  return 0;
}
