"""Numbers below the normal ones count as 0 while the kernels work, and as they are again afterwards.

Saturated sigmoids make gradients as small as that, and a CPU takes a hundred times as long for each of them. The mode
belongs to a thread, so each sets its own and restores it.
"""

cdef extern from *:
    """
    #if defined(__SSE2__) || defined(_M_X64)
      #include <xmmintrin.h>
      typedef unsigned int skcnn_mode;
      static skcnn_mode skcnn_flush_subnormals(void) {
        skcnn_mode mode = _mm_getcsr();
        _mm_setcsr(mode | 0x8040);  /* results, and operands */
        return mode;
      }
      static void skcnn_restore_subnormals(skcnn_mode mode) { _mm_setcsr(mode); }
    #elif defined(__aarch64__) && defined(__GNUC__)
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
    """
    ctypedef unsigned long long Mode "skcnn_mode"
    Mode flush_subnormals "skcnn_flush_subnormals"() noexcept nogil
    void restore_subnormals "skcnn_restore_subnormals"(Mode mode) noexcept nogil
