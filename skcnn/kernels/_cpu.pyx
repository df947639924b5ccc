"""Which builds of the kernels there are, which of them this CPU can run, and what compiled them."""

cdef extern from *:
    """
    #ifdef SKCNN_X86_LEVELS
      /* Single features, for clang before version 17 knows no levels. Those left out are implied (AVX, SSE), or known
         to GCC alone and of no use to the kernels: MOVBE, LZCNT and F16C are for byte swaps, leading zeros and half
         floats. */
      static int skcnn_has_v3(void) {
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi")
               && __builtin_cpu_supports("bmi2");
      }
      static int skcnn_has_v4(void) {
        return skcnn_has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
               && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
               && __builtin_cpu_supports("avx512vl");
      }
    #else
      #define SKCNN_X86_LEVELS 0
      static int skcnn_has_v3(void) { return 0; }
      static int skcnn_has_v4(void) { return 0; }
    #endif

    #define SKCNN_TEXT(number) #number
    #define SKCNN_NUMBER(number) SKCNN_TEXT(number)
    #if defined(__clang__)
      #define SKCNN_COMPILER "clang " SKCNN_NUMBER(__clang_major__) "." SKCNN_NUMBER(__clang_minor__)
    #elif defined(__GNUC__)
      #define SKCNN_COMPILER "gcc " SKCNN_NUMBER(__GNUC__) "." SKCNN_NUMBER(__GNUC_MINOR__)
    #elif defined(_MSC_VER)
      #define SKCNN_COMPILER "MSVC " SKCNN_NUMBER(_MSC_VER)
    #else
      #define SKCNN_COMPILER "an unknown compiler"
    #endif
    """
    const char* SKCNN_COMPILER
    bint SKCNN_X86_LEVELS
    bint skcnn_has_v3()
    bint skcnn_has_v4()

# The best one last; "baseline" is what every CPU of the architecture has.
LEVELS = ["baseline", "v3", "v4"] if SKCNN_X86_LEVELS else ["baseline"]

# Builds by another one may round differently.
COMPILER = SKCNN_COMPILER.decode()


def supported_levels():
    """Those of LEVELS that this CPU has, the operating system's consent to their registers included."""
    supported = {"baseline": True, "v3": skcnn_has_v3(), "v4": skcnn_has_v4()}
    return [level for level in LEVELS if supported[level]]
