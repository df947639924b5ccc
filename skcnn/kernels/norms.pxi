# Mean and variance of each filter of a stage over many rows, by which predictions are normalised; part of _kernels.pyx.


cdef double measure_chunk(
    const Batch* batch, const Scratch* at, Py_ssize_t number, Py_ssize_t chunk, const floating* parameters,
    floating* thread, Norm* norms_out,
) noexcept nogil:
    """A stage's norms of a chunk's groups together; their weight."""
    cdef const Network* net = at.net
    cdef const Stage* stage = &net.stages[number]
    cdef Py_ssize_t n_groups = count_groups(batch.n_rows)
    cdef Py_ssize_t n_chunks = count_chunks(n_groups)
    cdef Py_ssize_t g, first, size
    cdef double weight = 0
    cdef Mode mode = flush_subnormals()
    memset(norms_out, 0, stage.n_filters * sizeof(Norm))
    for g in range(chunk * n_groups // n_chunks, (chunk + 1) * n_groups // n_chunks):
        first = group_start(net, batch.n_rows, g)
        size = group_size(net, batch.n_rows, g)
        lanes.gather_outputs(
            <const floating*> NULL, <const floating*> batch.sample_weight, batch.rows + first, size, 0,
            thread + at.targets, thread + at.weights)
        gather_rows(batch, at, first, size, LANES, thread)
        measure_group(at, number, parameters, thread)
        normalization.merge(normalization.group_weight(thread + at.weights), norms_of(at, stage, thread),
                            stage.n_filters, &weight, norms_out)
    restore_subnormals(mode)
    return weight


cdef double measure_chunks(
    const Batch* batch, const Scratch* at, Py_ssize_t number, const floating* parameters, floating* scratch,
    double* weights, Norm* norms, Norm* norms_out,
) noexcept nogil:
    """Those of all rows; `weights` and `norms` are memory for each chunk's."""
    cdef Py_ssize_t n_norms = at.net.stages[number].n_filters
    cdef Py_ssize_t n_chunks = count_chunks(count_groups(batch.n_rows))
    cdef Py_ssize_t chunk
    cdef floating* threads = scratch + at.threads
    cdef double weight = 0
    transform_filters(at, parameters, threads)
    if at.n_threads == 1 or n_chunks == 1:
        for chunk in range(n_chunks):
            weights[chunk] = measure_chunk(batch, at, number, chunk, parameters, threads, norms + chunk * n_norms)
    else:
        for chunk in prange(n_chunks, schedule="static", num_threads=<int> at.n_threads):
            weights[chunk] = measure_chunk(batch, at, number, chunk, parameters,
                                           threads + threadid() * at.thread_stride, norms + chunk * n_norms)
    memset(norms_out, 0, n_norms * sizeof(Norm))
    for chunk in range(n_chunks):
        normalization.merge(weights[chunk], norms + chunk * n_norms, n_norms, &weight, norms_out)
    return weight
