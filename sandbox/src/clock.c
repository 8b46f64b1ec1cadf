/* Shifts the wall clock of a program that was started with this library in LD_PRELOAD.
 *
 * The shift, in nanoseconds, is the first word of the file named in CDE_SANDBOX_CLOCK. The file is mapped, so a
 * new shift holds at once. The monotonic clock stays as it is. Without a file there is no shift. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

typedef int (*gettime)(clockid_t, struct timespec *);

static gettime real;
static const volatile int64_t *shift;

__attribute__((constructor)) static void begin(void) {
    real = (gettime)dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("CDE_SANDBOX_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *page = mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED)
        shift = page;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (!real) /* another constructor came first */
        real = (gettime)dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    if (result == 0 && clock == CLOCK_REALTIME && shift) {
        int64_t now = (int64_t)time->tv_sec * SECOND + time->tv_nsec + *shift;
        time->tv_sec = now / SECOND;
        time->tv_nsec = now % SECOND;
    }
    return result;
}

time_t time(time_t *seconds) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (seconds)
        *seconds = now.tv_sec;
    return now.tv_sec;
}
