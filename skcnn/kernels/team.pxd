"""Threads that share one piece of work after another: what goes on within a run of batches.

A leader has work to share every fraction of a millisecond, too often to start OpenMP's threads each time: their wait at
the end spins for milliseconds, on a busy machine for one that the system has put aside. Here the leader offers a
number of chunks, and whoever is free takes the next one, the leader included: it needs nobody's help to finish, waits
only for chunks that others have begun, and all waits spin for a moment and then sleep, which leaves the processor to
whom it is waited for.
"""

from skcnn.kernels.portable cimport Atomic, add, compare_exchange, load, relax, store

cdef extern from *:
    """
    #ifdef _WIN32
      #define WIN32_LEAN_AND_MEAN  /* names that nothing here has */
      #include <windows.h>
      static double skcnn_seconds(void) {
        LARGE_INTEGER count, frequency;
        QueryPerformanceCounter(&count);
        QueryPerformanceFrequency(&frequency);
        return (double) count.QuadPart / frequency.QuadPart;
      }
      #define skcnn_busy_seconds() skcnn_seconds()
      typedef struct { SRWLOCK lock; CONDITION_VARIABLE changed; } skcnn_monitor;
      #define skcnn_init(at) (InitializeSRWLock(&(at)->lock), InitializeConditionVariable(&(at)->changed))
      #define skcnn_destroy(at) ((void) (at))
      #define skcnn_lock(at) AcquireSRWLockExclusive(&(at)->lock)
      #define skcnn_unlock(at) ReleaseSRWLockExclusive(&(at)->lock)
      #define skcnn_wait(at) ((void) SleepConditionVariableSRW(&(at)->changed, &(at)->lock, INFINITE, 0))
      #define skcnn_broadcast(at) WakeAllConditionVariable(&(at)->changed)
    #else
      #include <pthread.h>
      #include <time.h>
      static double skcnn_read_clock(clockid_t clock) {
        struct timespec at = {0, 0};
        clock_gettime(clock, &at);
        return at.tv_sec + 1e-9 * at.tv_nsec;
      }
      #define skcnn_seconds() skcnn_read_clock(CLOCK_MONOTONIC)
      #define skcnn_busy_seconds() skcnn_read_clock(CLOCK_THREAD_CPUTIME_ID)
      typedef struct { pthread_mutex_t lock; pthread_cond_t changed; } skcnn_monitor;
      #define skcnn_init(at) (pthread_mutex_init(&(at)->lock, NULL), pthread_cond_init(&(at)->changed, NULL))
      #define skcnn_destroy(at) (pthread_cond_destroy(&(at)->changed), pthread_mutex_destroy(&(at)->lock))
      #define skcnn_lock(at) pthread_mutex_lock(&(at)->lock)
      #define skcnn_unlock(at) pthread_mutex_unlock(&(at)->lock)
      #define skcnn_wait(at) pthread_cond_wait(&(at)->changed, &(at)->lock)
      #define skcnn_broadcast(at) pthread_cond_broadcast(&(at)->changed)
    #endif
    """
    double seconds "skcnn_seconds"() noexcept nogil
    double busy_seconds "skcnn_busy_seconds"() noexcept nogil  # of this thread alone, where the system counts them
    ctypedef struct Monitor "skcnn_monitor":
        pass
    void init_monitor "skcnn_init"(Monitor* monitor) noexcept nogil
    void destroy_monitor "skcnn_destroy"(Monitor* monitor) noexcept nogil
    void lock "skcnn_lock"(Monitor* monitor) noexcept nogil
    void unlock "skcnn_unlock"(Monitor* monitor) noexcept nogil
    void wait "skcnn_wait"(Monitor* monitor) noexcept nogil
    void broadcast "skcnn_broadcast"(Monitor* monitor) noexcept nogil

# A processor that others keep busy as well sets threads aside for milliseconds, in the middle of a chunk. Where sharing
# took longer than the leader would have taken alone, it works alone for a while: for some times what was lost, and for
# longer each time that sharing does not pay again.
cdef enum:
    MIN_PAUSE_FACTOR = 4
    MAX_PAUSE_FACTOR = 64

cdef struct History:
    double alone_until  # by `seconds`
    double pause_factor  # times what was lost: doubled where sharing did not pay, halved where it did


cdef inline void judge(History* history, double start, double alone) noexcept nogil:
    """After sharing since `start` what would have taken the leader `alone` seconds."""
    cdef double now = seconds()
    cdef double lost = now - start - alone
    if lost <= 0:
        history.pause_factor /= 2
        return
    history.pause_factor = min(<double> MAX_PAUSE_FACTOR, max(<double> MIN_PAUSE_FACTOR, 2 * history.pause_factor))
    history.alone_until = now + history.pause_factor * lost


cdef enum:
    # Times that a thread looks at what it waits for before it sleeps: some 50 to 200 microseconds.
    N_SPINS = 4096
    COUNT_BITS = 32

cdef struct Team:
    # In the low bits, how many chunks nobody has taken yet; above, the number of the offer, so that a chunk of one is
    # never taken for that of another.
    Atomic offer
    Atomic n_done
    Atomic dismissed
    Atomic n_sleeping
    long long n_chunks  # of the offer: written before it, and read only by who has a chunk that is not done
    Monitor monitor


cdef inline void init(Team* team) noexcept nogil:
    team.offer = team.n_done = team.dismissed = team.n_sleeping = team.n_chunks = 0
    init_monitor(&team.monitor)


cdef inline void destroy(Team* team) noexcept nogil:
    destroy_monitor(&team.monitor)


cdef inline long long n_untaken(long long offer) noexcept nogil:
    return offer & ((1LL << COUNT_BITS) - 1)


cdef inline void wake(Team* team) noexcept nogil:
    """Who sleeps is counted before it looks at what it waits for, which was written before this."""
    if load(&team.n_sleeping):
        lock(&team.monitor)
        broadcast(&team.monitor)
        unlock(&team.monitor)


cdef inline bint has_come(Team* team, Py_ssize_t n_chunks) noexcept nogil:
    """What is waited for: that so many chunks are done; or if 0, an offer, or that there will be no other."""
    if n_chunks:
        return load(&team.n_done) == n_chunks
    return n_untaken(load(&team.offer)) > 0 or load(&team.dismissed)


cdef inline void wait_for(Team* team, Py_ssize_t n_chunks) noexcept nogil:
    cdef int _
    for _ in range(N_SPINS):
        if has_come(team, n_chunks):
            return
        relax()
    lock(&team.monitor)
    add(&team.n_sleeping, 1)
    while not has_come(team, n_chunks):
        wait(&team.monitor)
    add(&team.n_sleeping, -1)
    unlock(&team.monitor)


# ---- what all do ----


cdef inline Py_ssize_t take_chunk(Team* team) noexcept nogil:
    """The number of a chunk that nobody had taken, or -1."""
    cdef long long offer
    while True:
        offer = load(&team.offer)
        if n_untaken(offer) == 0:
            return -1
        if compare_exchange(&team.offer, offer, offer - 1):
            return team.n_chunks - n_untaken(offer)


cdef inline void finish_chunk(Team* team) noexcept nogil:
    """One that was taken."""
    cdef long long n_chunks = team.n_chunks
    if add(&team.n_done, 1) == n_chunks:
        wake(team)


# ---- what the leader does ----


cdef inline void offer_chunks(Team* team, Py_ssize_t n_chunks) noexcept nogil:
    """Once all that was offered before is done."""
    cdef long long number = load(&team.offer) >> COUNT_BITS
    team.n_chunks = n_chunks
    store(&team.n_done, 0)
    store(&team.offer, ((number + 1) << COUNT_BITS) + n_chunks)
    wake(team)


cdef inline void wait_for_chunks(Team* team) noexcept nogil:
    """Until all that was offered is done; the leader has found no other chunk to take."""
    wait_for(team, team.n_chunks)


cdef inline void dismiss(Team* team) noexcept nogil:
    store(&team.dismissed, 1)
    wake(team)


# ---- what the others do ----


cdef inline Py_ssize_t next_chunk(Team* team) noexcept nogil:
    """Of this offer or a later one, which is waited for; -1 if there will be none."""
    cdef Py_ssize_t chunk = -1
    while chunk < 0 and not load(&team.dismissed):
        wait_for(team, 0)
        chunk = take_chunk(team)
    return chunk
