from skcnn.kernels.stages cimport Network


cdef class CompiledNetwork:
    cdef Network net
    cdef Py_ssize_t* offsets  # of the taps, of all stages
