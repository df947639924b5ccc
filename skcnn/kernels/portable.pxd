"""What C itself has no words for: all that depends on the compiler, with a plain fallback.

GCC and clang are known here by __GNUC__, and MSVC (or clang in its place) by _MSC_VER. Others get what C11 has;
SKCNN_PLAIN_C gives it to all, so that the fallbacks can be tested. blocks.pxd reads the instruction set, and team.pxd
has what depends on the operating system.
"""

cdef extern from *:
    """
    #ifndef SKCNN_PLAIN_C
      #if defined(__SSE2__) || defined(_M_X64)
        #define SKCNN_SSE2
        #include <emmintrin.h>
      #elif defined(__aarch64__) && defined(__GNUC__)
        #define SKCNN_ARM64
      #endif
    #endif

    /* Memory that will be read soon. */
    #if defined(SKCNN_PLAIN_C)
      #define skcnn_prefetch(address) ((void) (address))
    #elif defined(__GNUC__)
      #define skcnn_prefetch(address) __builtin_prefetch(address, 0, 2)
    #elif defined(SKCNN_SSE2)
      #define skcnn_prefetch(address) _mm_prefetch((const char*) (address), _MM_HINT_T1)
    #else
      #define skcnn_prefetch(address) ((void) (address))
    #endif

    /* In a loop that waits for another thread. */
    #if defined(SKCNN_SSE2)
      #define skcnn_relax() _mm_pause()
    #elif defined(SKCNN_ARM64)
      #define skcnn_relax() __asm__ volatile("isb")
    #else
      #define skcnn_relax() ((void) 0)
    #endif

    /* Numbers below the normal ones count as 0: as results, and as operands. */
    #if defined(SKCNN_SSE2)
      typedef unsigned int skcnn_mode;
      static skcnn_mode skcnn_flush_subnormals(void) {
        skcnn_mode mode = _mm_getcsr();
        _mm_setcsr(mode | 0x8040);
        return mode;
      }
      static void skcnn_restore_subnormals(skcnn_mode mode) { _mm_setcsr(mode); }
    #elif defined(SKCNN_ARM64)
      typedef unsigned long long skcnn_mode;
      static skcnn_mode skcnn_flush_subnormals(void) {
        skcnn_mode mode;
        __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
        __asm__ volatile("msr fpcr, %0" : : "r"(mode | (1ull << 24)));
        return mode;
      }
      static void skcnn_restore_subnormals(skcnn_mode mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
    #else
      typedef int skcnn_mode;
      static skcnn_mode skcnn_flush_subnormals(void) { return 0; }
      static void skcnn_restore_subnormals(skcnn_mode mode) { (void) mode; }
    #endif

    /* Numbers that several threads read and write; MSVC lacks C11's. */
    #if defined(_MSC_VER)
      #include <intrin.h>
      typedef volatile long long skcnn_atomic;
      #define skcnn_load(at) _InterlockedOr64(at, 0)
      #define skcnn_store(at, value) ((void) _InterlockedExchange64(at, value))
      #define skcnn_add(at, value) (_InterlockedExchangeAdd64(at, value) + (value))
      #define skcnn_compare_exchange(at, old, new) (_InterlockedCompareExchange64(at, new, old) == (old))
    #else
      #include <stdatomic.h>
      typedef _Atomic long long skcnn_atomic;
      #define skcnn_load(at) atomic_load(at)
      #define skcnn_store(at, value) atomic_store(at, value)
      #define skcnn_add(at, value) (atomic_fetch_add(at, value) + (value))
      static CYTHON_INLINE int skcnn_compare_exchange(skcnn_atomic* at, long long old, long long new) {
        return atomic_compare_exchange_strong(at, &old, new);
      }
    #endif

    #ifdef _OPENMP
      #include <omp.h>
    #else
      #define omp_get_max_threads() 1
    #endif
    #if defined(_OPENMP) && defined(__GNUC__) && !defined(__clang__) && defined(__ELF__) && !defined(SKCNN_PLAIN_C)
      /* OpenMP 5.0; weak, and under another name than the header's, for older runtimes and headers lack it. Not with
         clang: LLVM's runtime keeps its threads, and a forked child waits for them. */
      extern int skcnn_pause(int) __asm__("omp_pause_resource_all") __attribute__((weak));
      static int skcnn_end_threads(void) { return skcnn_pause && skcnn_pause(1 /* softly */) == 0; }
    #else
      static int skcnn_end_threads(void) { return 0; }
    #endif
    """
    void prefetch "skcnn_prefetch"(const void* address) noexcept nogil
    void relax "skcnn_relax"() noexcept nogil

    # Saturated sigmoids make gradients below the normal numbers, and a CPU takes a hundred times as long for each of
    # them. The mode belongs to a thread: each sets its own, and restores it.
    ctypedef unsigned long long Mode "skcnn_mode"
    Mode flush_subnormals "skcnn_flush_subnormals"() noexcept nogil
    void restore_subnormals "skcnn_restore_subnormals"(Mode mode) noexcept nogil

    ctypedef long long Atomic "skcnn_atomic"
    long long load "skcnn_load"(Atomic* at) noexcept nogil
    void store "skcnn_store"(Atomic* at, long long value) noexcept nogil
    long long add "skcnn_add"(Atomic* at, long long value) noexcept nogil  # what it then is
    bint compare_exchange "skcnn_compare_exchange"(Atomic* at, long long expected, long long desired) noexcept nogil

    int omp_get_max_threads() nogil
    bint end_threads "skcnn_end_threads"() noexcept nogil
