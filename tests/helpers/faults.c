/* Preloaded by tests: the n-th call that changes a file fails, or the process is killed before or after it. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KILLED_BEFORE = -1, KILLED_AFTER = -2 }; /* other faults are values of errno */

static long n_calls = 0, faulty_call = 0;
static int fault = 0;

/* From now on, the call of this number (from 1) has the fault. */
void faults_begin(long number, int what)
{
    n_calls = 0;
    faulty_call = number;
    fault = what;
}

/* Number of calls since the beginning. */
long faults_end(void)
{
    faulty_call = 0;
    return n_calls;
}

#define FAULTY(...)                                                                                                    \
    do {                                                                                                               \
        int here = ++n_calls == faulty_call;                                                                           \
        if (here && fault == KILLED_BEFORE)                                                                            \
            raise(SIGKILL);                                                                                            \
        if (here && fault > 0) {                                                                                       \
            errno = fault;                                                                                             \
            return -1;                                                                                                 \
        }                                                                                                              \
        __typeof__(__VA_ARGS__) result = __VA_ARGS__;                                                                  \
        if (here && fault == KILLED_AFTER)                                                                             \
            raise(SIGKILL);                                                                                            \
        return result;                                                                                                 \
    } while (0)

#define NEXT(name) ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))

/* Half of what is written arrives, as on a disk that fills up. Output to the user does not count. */
ssize_t write(int file, const void* data, size_t size)
{
    if (file <= STDERR_FILENO)
        return NEXT(write)(file, data, size);
    if (n_calls + 1 == faulty_call && fault > 0)
        NEXT(write)(file, data, size / 2);
    FAULTY(NEXT(write)(file, data, size));
}

int fsync(int file) { FAULTY(NEXT(fsync)(file)); }

int rename(const char* old, const char* new) { FAULTY(NEXT(rename)(old, new)); }

int chmod(const char* path, mode_t mode) { FAULTY(NEXT(chmod)(path, mode)); }

int fchmodat(int folder, const char* path, mode_t mode, int flags) { FAULTY(NEXT(fchmodat)(folder, path, mode, flags)); }

/* Where no link can be made, files are renamed. */
int link(const char* old, const char* new)
{
    if (fault > 0)
        return NEXT(link)(old, new);
    FAULTY(NEXT(link)(old, new));
}

/* Where nothing can be removed, temporary files stay. */
int unlink(const char* path)
{
    if (fault > 0)
        return NEXT(unlink)(path);
    FAULTY(NEXT(unlink)(path));
}

int open64(const char* path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    if ((flags & O_ACCMODE) == O_RDONLY)
        return NEXT(open64)(path, flags, mode);
    FAULTY(NEXT(open64)(path, flags, mode));
}
