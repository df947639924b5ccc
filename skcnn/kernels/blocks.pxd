"""How much work each kernel keeps in the vector registers at a time; the compiler's target decides.

A register holds VECTOR bytes. The sums that a kernel carries along must fit, with room for what is loaded, and be
enough to hide the latency of a multiply-add (four cycles, two a cycle). A single sum that does not fit is stored and
loaded again for every tap, which takes longer than all of the tap's multiply-adds.
"""

cdef extern from *:
    """
    #if defined(__AVX512F__)
      #define SKCNN_VECTOR 64
      #define SKCNN_REGISTERS 32
      #define SKCNN_PRODUCTS 0
      #define SKCNN_TILE_FILTERS 4
      #define SKCNN_SUM_FILTERS 4
      #define SKCNN_SUM_TAPS 5
    #elif defined(__AVX__)
      #define SKCNN_VECTOR 32
      #define SKCNN_REGISTERS 16
      #define SKCNN_PRODUCTS 0
      #define SKCNN_TILE_FILTERS 6
      #define SKCNN_SUM_FILTERS 3
      #define SKCNN_SUM_TAPS 3
    #else
      #define SKCNN_VECTOR 16
      #define SKCNN_REGISTERS 16
      #define SKCNN_PRODUCTS 1
      #define SKCNN_TILE_FILTERS 5
      #define SKCNN_SUM_FILTERS 1
      #define SKCNN_SUM_TAPS 5
    #endif
    """
    enum:
        VECTOR "SKCNN_VECTOR"
        REGISTERS "SKCNN_REGISTERS"
        PRODUCTS "SKCNN_PRODUCTS"  # registers for products, where they are not added by the same instruction
        # Convolution forward: filters, at most.
        TILE_FILTERS "SKCNN_TILE_FILTERS"
        # Convolution backward: filters and taps whose sums are one vector.
        SUM_FILTERS "SKCNN_SUM_FILTERS"
        SUM_TAPS "SKCNN_SUM_TAPS"
