from skcnn.kernels.lanes cimport CACHE_LINE
from skcnn.kernels.stages cimport Network
from skcnn.kernels.team cimport History

cdef enum:
    # Types of arrays, as bits.
    BYTES = 1
    FLOATS = 2
    DOUBLES = 4
    INTEGERS = 8
    # Of an image: rows, columns, mirrored.
    MOVE_SIZE = 3
    # For the shape of one.
    ONE_AXIS = -1
    ANY_LENGTH = -2
    MAX_VIEWS = 16
    MAX_COPIES = 2


cdef class Memory:
    cdef char* allocated
    cdef char* data
    cdef readonly Py_ssize_t n_bytes
    cdef History history  # of the threads that worked in it


cdef class Views:
    cdef Py_buffer held[MAX_VIEWS]
    cdef Py_ssize_t* copies[MAX_COPIES]
    cdef int n_held, n_copies
    cdef int type  # of the array that was taken last
    cdef Py_ssize_t length  # of its first axis

    cdef void* take(
        self, str name, array, int types, Py_ssize_t n_rows, Py_ssize_t n_columns, bint writable,
    ) except NULL
    cdef Py_ssize_t* take_indices(self, str name, array, Py_ssize_t n_rows, Py_ssize_t n_columns) except NULL
    cdef const Py_ssize_t* take_rows(self, str name, array, Py_ssize_t n_samples) except NULL
    cdef const Py_ssize_t* take_moves(self, str name, array, Py_ssize_t n_rows, const Network* net) except NULL


cdef inline char* on_cache_line(char* memory) noexcept nogil:
    """The first cache line that begins behind `memory`."""
    return memory + CACHE_LINE - <size_t> memory % CACHE_LINE
