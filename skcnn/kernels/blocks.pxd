"""How much work each kernel keeps in the vector registers at a time; the compiler's target decides.

A register holds VECTOR bytes, and there are 16 of them, or 32 with AVX-512. The sums that a kernel carries along must
fit, with room for what is loaded, and be enough to hide the latency of a multiply-add (four cycles, two a cycle).
Numbers of values are counted in bytes where both float types share a constant.
"""

cdef extern from *:
    """
    #if defined(__AVX512F__)
      #define SKCNN_TILE_BYTES 1536
      #define SKCNN_TILE_FILTERS 4
      #define SKCNN_SUM_BYTES 64
      #define SKCNN_SUM_FILTERS 4
      #define SKCNN_SUM_TAPS 5
      #define SKCNN_DENSE_SUMS 10
      #define SKCNN_HIDDEN_BLOCK 8
    #elif defined(__AVX__)
      #define SKCNN_TILE_BYTES 384
      #define SKCNN_TILE_FILTERS 6
      #define SKCNN_SUM_BYTES 32
      #define SKCNN_SUM_FILTERS 4
      #define SKCNN_SUM_TAPS 3
      #define SKCNN_DENSE_SUMS 5
      #define SKCNN_HIDDEN_BLOCK 5
    #else
      #define SKCNN_TILE_BYTES 192
      #define SKCNN_TILE_FILTERS 3
      #define SKCNN_SUM_BYTES 16
      #define SKCNN_SUM_FILTERS 1
      #define SKCNN_SUM_TAPS 5
      #define SKCNN_DENSE_SUMS 4
      #define SKCNN_HIDDEN_BLOCK 3
    #endif
    #define SKCNN_TILE_SUMS (SKCNN_TILE_BYTES / 4)
    """
    enum:
        # Convolution forward: sums, and filters that they may be of.
        TILE_BYTES "SKCNN_TILE_BYTES"
        TILE_SUMS "SKCNN_TILE_SUMS"  # in values, at most
        TILE_FILTERS "SKCNN_TILE_FILTERS"
        # Convolution backward: a vector of sums, and filters and taps whose sums are one vector.
        SUM_BYTES "SKCNN_SUM_BYTES"
        SUM_FILTERS "SKCNN_SUM_FILTERS"
        SUM_TAPS "SKCNN_SUM_TAPS"
        # Dense layer: sums forward, hidden activations backward, of LANES values each.
        DENSE_SUMS "SKCNN_DENSE_SUMS"
        HIDDEN_BLOCK "SKCNN_HIDDEN_BLOCK"
