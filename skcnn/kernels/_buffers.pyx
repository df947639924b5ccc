"""The arrays of a call: checked here, once, so that nothing behind reads or writes out of bounds, whatever comes."""

from cpython.buffer cimport (
    PyBUF_FORMAT,
    PyBUF_STRIDES,
    PyBUF_WRITABLE,
    PyBuffer_FillInfo,
    PyBuffer_IsContiguous,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from libc.string cimport memcpy

from skcnn.kernels.lanes cimport CACHE_LINE


cdef class Memory:
    """Zeroed memory that begins on a cache line, and that nothing can resize, move or free under an array made of it.

    `numpy.frombuffer` makes an array of it, which does not own its data.
    """

    def __cinit__(self, Py_ssize_t n_bytes):
        if not 0 <= n_bytes < <Py_ssize_t> 1 << 60:
            raise ValueError(f"n_bytes={n_bytes} must be a size in bytes.")
        self.allocated = <char*> PyMem_Calloc(n_bytes + CACHE_LINE, 1)
        if self.allocated == NULL:
            raise MemoryError
        self.data = on_cache_line(self.allocated)
        self.n_bytes = n_bytes

    def __dealloc__(self):
        PyMem_Free(self.allocated)

    @property
    def alone_until(self):
        """When threads that work in it may share again; the tests set it."""
        return self.history.alone_until

    @alone_until.setter
    def alone_until(self, double seconds):
        self.history.alone_until = seconds

    # Without a __releasebuffer__, NumPy keeps this object itself, not a memoryview that could be released.
    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.data, self.n_bytes, 0, flags)


cdef class Views:
    """The arrays of a call, checked, and held until it ends."""

    def __dealloc__(self):
        cdef int i
        for i in range(self.n_held):
            PyBuffer_Release(&self.held[i])
        for i in range(self.n_copies):
            PyMem_Free(self.copies[i])

    cdef void* take(
        self, str name, array, int types, Py_ssize_t n_rows, Py_ssize_t n_columns, bint writable,
    ) except NULL:
        """The data of a C-contiguous array of one of `types` and of shape (n_rows, n_columns).

        `n_columns` may be ONE_AXIS, and both ANY_LENGTH.
        """
        cdef Py_buffer* view = &self.held[self.n_held]
        cdef int n_axes = 1 if n_columns == ONE_AXIS else 2
        try:
            PyObject_GetBuffer(array, view, PyBUF_FORMAT | PyBUF_STRIDES | (PyBUF_WRITABLE if writable else 0))
        except (BufferError, TypeError, ValueError) as error:
            raise ValueError(f"{name} must be {'a writable' if writable else 'an'} array: {error}.") from error
        self.n_held += 1
        self.type = type_of(view)
        if not (
            self.type & types and view.ndim == n_axes and PyBuffer_IsContiguous(view, b"C")
            and <size_t> view.buf % <size_t> view.itemsize == 0
            and n_rows in (view.shape[0], ANY_LENGTH)
            and (n_axes == 1 or n_columns in (view.shape[1], ANY_LENGTH))
        ):
            shape = tuple(view.shape[i] for i in range(view.ndim))
            format = "B" if view.format == NULL else view.format.decode()
            raise ValueError(f"{name} must be {describe(types, n_rows, n_columns)}, C-contiguous and aligned; got "
                             f"shape {shape} of type {format!r}.")
        self.length = view.shape[0]
        return view.buf

    cdef Py_ssize_t* take_indices(self, str name, array, Py_ssize_t n_rows, Py_ssize_t n_columns) except NULL:
        """A copy of integers that say where to read: once they are checked, nothing may change them."""
        cdef const void* given = self.take(name, array, INTEGERS, n_rows, n_columns, False)
        cdef size_t n_bytes = self.held[self.n_held - 1].len
        cdef Py_ssize_t* copy = <Py_ssize_t*> PyMem_Malloc(n_bytes)
        if copy == NULL:
            raise MemoryError
        self.copies[self.n_copies] = copy
        self.n_copies += 1
        memcpy(copy, given, n_bytes)
        return copy

    cdef const Py_ssize_t* take_rows(self, str name, array, Py_ssize_t n_samples) except NULL:
        """Row numbers, all of them of a row."""
        cdef const Py_ssize_t* rows = self.take_indices(name, array, ANY_LENGTH, ONE_AXIS)
        cdef Py_ssize_t least = 0
        cdef Py_ssize_t most = 0
        cdef Py_ssize_t i
        for i in range(self.length):
            least = min(least, rows[i])
            most = max(most, rows[i])
        if least < 0 or (most >= n_samples and self.length):
            raise ValueError(f"{name} must be numbers of the {n_samples} rows; they go from {least} to {most}.")
        return rows

    cdef const Py_ssize_t* take_moves(self, str name, array, Py_ssize_t n_rows, const Network* net) except NULL:
        """Rows and columns to move images by, so that a column of each stays, and whether to mirror them (0 or 1)."""
        cdef const Py_ssize_t* moves = self.take_indices(name, array, n_rows, MOVE_SIZE)
        cdef Py_ssize_t height = net.height + 1
        cdef bint fits = True
        cdef Py_ssize_t _i
        for _i in range(n_rows):
            fits &= (-height <= moves[0] <= height) and (-net.width < moves[1] < net.width)
            fits &= moves[2] in (0, 1)
            moves += MOVE_SIZE
        if not fits:
            raise ValueError(f"{name} must leave a part of images of {net.height} x {net.width} in sight, and "
                             "mirror it or not.")
        return moves - n_rows * MOVE_SIZE


cdef int type_of(const Py_buffer* view) noexcept:
    """One of the types, or 0."""
    cdef char code
    if view.format == NULL or view.format[0] == 0 or view.format[1] != 0:
        return 0
    code = view.format[0]
    if code == b"B":
        return BYTES
    if code == b"f":
        return FLOATS
    if code == b"d":
        return DOUBLES
    if code in (b"l", b"q", b"i", b"n") and view.itemsize == sizeof(Py_ssize_t):
        return INTEGERS
    return 0


cdef str describe(int types, Py_ssize_t n_rows, Py_ssize_t n_columns):
    names = {BYTES: "uint8", FLOATS: "float32", DOUBLES: "float64", INTEGERS: "intp"}
    what = " or ".join(name for bit, name in names.items() if bit & types)
    sides = [n_rows] if n_columns == ONE_AXIS else [n_rows, n_columns]
    return f"{what} of shape ({', '.join('any' if side == ANY_LENGTH else str(side) for side in sides)})"
