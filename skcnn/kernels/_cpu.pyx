"""Which builds of the kernels there are, and which of them this CPU can run."""

cdef extern from *:
    """
    #ifdef SKCNN_X86_LEVELS
      static int skcnn_has_v3(void) { return __builtin_cpu_supports("x86-64-v3") != 0; }
      static int skcnn_has_v4(void) { return __builtin_cpu_supports("x86-64-v4") != 0; }
    #else
      #define SKCNN_X86_LEVELS 0
      static int skcnn_has_v3(void) { return 0; }
      static int skcnn_has_v4(void) { return 0; }
    #endif
    """
    bint SKCNN_X86_LEVELS
    bint skcnn_has_v3()
    bint skcnn_has_v4()

# The best one last; "baseline" is what every CPU of the architecture has.
LEVELS = ["baseline", "v3", "v4"] if SKCNN_X86_LEVELS else ["baseline"]


def supported_levels():
    """Those of LEVELS that this CPU has, the operating system's consent to their registers included."""
    supported = {"baseline": True, "v3": skcnn_has_v3(), "v4": skcnn_has_v4()}
    return [level for level in LEVELS if supported[level]]
