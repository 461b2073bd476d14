// The wall clock of a process, moved by the seconds that a file holds. Waits until a moment of it are moved as well:
// the kernel knows nothing of this.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static volatile long none, *offset = &none;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("CLOCK_OFFSET");
  int file = path ? open(path, O_RDONLY) : -1;
  if (file >= 0) offset = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
}

int clock_gettime(clockid_t id, struct timespec *at) {
  int done = syscall(SYS_clock_gettime, id, at);
  if (!done && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) at->tv_sec += *offset;
  return done;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}

int timespec_get(struct timespec *at, int base) {
  return clock_gettime(CLOCK_REALTIME, at) ? 0 : base;
}

time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}

// Moments of the monotonic clock are small.
static struct timespec real(const struct timespec *until) {
  struct timespec at = *until;
  if (at.tv_sec > 1000000000) at.tv_sec -= *offset;
  return at;
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until) {
  static int (*next)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
  if (!next) next = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
  struct timespec at = real(until);
  return next(cond, mutex, &at);
}

int cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *until) {
  static int (*next)(cnd_t *, mtx_t *, const struct timespec *);
  if (!next) next = dlsym(RTLD_NEXT, "cnd_timedwait");
  struct timespec at = real(until);
  return next(cond, mutex, &at);
}
