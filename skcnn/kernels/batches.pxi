# One batch, from rows of X to new parameters; part of _kernels.pyx.


cdef struct Batch:
    const Py_ssize_t* rows  # of X; after the batch's n_rows they go on, to n_left
    const Py_ssize_t* shifts  # rows and columns that each is moved by, or NULL
    Py_ssize_t n_rows, n_left
    double total_weight


cdef double run_slot(
    const pixel* X, const floating* targets, const floating* sample_weight, const Batch* batch, const Network* net,
    int loss, const floating* parameters, Pass passing, Py_ssize_t slot, const Workspace* at, floating* thread,
    floating* known, floating* gradient_out,
) noexcept nogil:
    """The groups of a slot, one after the other; their share of the loss.

    What is `known` of the batch's groups is kept where they pass twice.
    """
    cdef Py_ssize_t n_groups = count_groups(batch.n_rows)
    cdef Py_ssize_t n_slots = count_slots(n_groups)
    cdef Group group = carve_group(net, 1 if passing == BOTH else n_groups)
    cdef Py_ssize_t n_ahead = PREFETCH_BYTES // (net.n_features * <Py_ssize_t> sizeof(pixel))
    cdef Py_ssize_t g, size, output
    cdef const Py_ssize_t* rows
    cdef double value = 0
    cdef Mode mode = flush_subnormals()
    if passing == BOTH:
        known = thread + at.group
    if passing != FORWARD:
        begin_backward(net, parameters, at, thread, gradient_out)
    for g in range(slot * n_groups // n_slots, (slot + 1) * n_groups // n_slots):
        size = group_size(batch.n_rows, g)
        rows = batch.rows + g * LANES
        output = 0 if passing == BOTH else g * net.n_outputs * LANES
        if passing != BACKWARD or n_groups > 1:  # else all is as FORWARD left it
            shift_and_forward(X, rows, NULL if batch.shifts == NULL else batch.shifts + 2 * g * LANES, size, net,
                              parameters, at, thread, known + group.logits + output)
            if batch.n_rows + (g + 1) * LANES <= batch.n_left and batch.n_rows <= n_ahead:
                # The same place in the next batch: most likely the same thread will come by.
                lanes.prefetch_rows(X, rows + batch.n_rows, LANES, net.n_features)
        if passing != BACKWARD:
            lanes.gather_outputs(
                targets, sample_weight, rows, size, net.n_outputs, known + group.targets + output,
                known + group.weights + (0 if passing == BOTH else g * LANES))
        if passing == BOTH:
            value += losses.loss_and_gradient(known + group.logits, known + group.targets, known + group.weights,
                                              net.n_outputs, loss, batch.total_weight, known + group.d_logits)
        if passing != FORWARD:
            backward(net, size, parameters, known + group.d_logits + output, at, thread, gradient_out)
    if passing != FORWARD:
        end_backward(net, at, thread, gradient_out)
    restore_subnormals(mode)
    return value


cdef double run_slots(
    const pixel* X, const floating* targets, const floating* sample_weight, const Batch* batch, const Network* net,
    int loss, const floating* parameters, Pass passing, const Workspace* at, Py_ssize_t n_threads, floating* workspace,
) noexcept nogil:
    """All slots of a batch; the loss. Their gradients are left in the workspace, added up if there is one thread."""
    cdef Py_ssize_t n_slots = count_slots(count_groups(batch.n_rows))
    cdef Py_ssize_t slot
    cdef floating* threads = workspace + at.threads
    cdef floating* known = workspace + at.batch
    cdef double* partials = <double*> (workspace + at.partials)
    cdef double value = 0
    if n_threads == 1 or n_slots == 1:
        for slot in range(n_slots):
            partials[slot] = run_slot(
                X, targets, sample_weight, batch, net, loss, parameters, passing, slot, at, threads, known,
                workspace + (at.gradient_stride if slot else 0))
            if slot and passing != FORWARD:
                add(workspace + at.gradient_stride, net.n_trainable, workspace)
    else:
        for slot in prange(n_slots, schedule="static", num_threads=<int> n_threads):
            partials[slot] = run_slot(
                X, targets, sample_weight, batch, net, loss, parameters, passing, slot, at,
                threads + threadid() * at.thread_stride, known, workspace + slot * at.gradient_stride)
    for slot in range(n_slots):
        value += partials[slot]
    return value


cdef double run_batch(
    const pixel* X, const floating* targets, const floating* sample_weight, const Batch* batch, const Network* net,
    int loss, const floating* parameters, const Workspace* at, Py_ssize_t n_threads, floating* workspace,
) noexcept nogil:
    """Loss of a batch; the slots' gradients are left in the workspace, and its statistics, if it is standardised.

    Without standardisation each group goes forward and straight back. With it, all logits are needed before any
    gradient, so the groups go forward twice: activations are computed again rather than kept for the whole batch,
    however large it is.
    """
    cdef Py_ssize_t n_groups = count_groups(batch.n_rows)
    cdef Group group = carve_group(net, n_groups)
    cdef floating* known = workspace + at.batch
    cdef floating* statistics = workspace + at.statistics
    cdef Py_ssize_t g, output
    cdef double value = 0
    if not net.standardize:
        return run_slots(
            X, targets, sample_weight, batch, net, loss, parameters, BOTH, at, n_threads, workspace)
    run_slots(X, targets, sample_weight, batch, net, loss, parameters, FORWARD, at, n_threads, workspace)
    standardization.standardize_batch(known + group.weights, n_groups, net.n_outputs, known + group.logits,
                                      statistics, statistics + net.n_outputs)
    for g in range(n_groups):
        output = g * net.n_outputs * LANES
        value += losses.loss_and_gradient(
            known + group.logits + output, known + group.targets + output, known + group.weights + g * LANES,
            net.n_outputs, loss, batch.total_weight, known + group.d_logits + output)
    standardization.standardize_backward(
        known + group.logits, known + group.weights, statistics + net.n_outputs, n_groups, net.n_outputs,
        known + group.d_logits)
    run_slots(X, targets, sample_weight, batch, net, loss, parameters, BACKWARD, at, n_threads, workspace)
    return value


# ---- from the slots' gradients to new parameters, a slice at a time ----


cdef double run_slice(
    const Network* net, double strength, const Step* step, Py_ssize_t slice, Py_ssize_t n_gradients,
    Py_ssize_t gradient_stride, floating* gradients, floating* moments, floating* parameters_out,
) noexcept nogil:
    """Finish the slice's gradient and take the solver's step along it; the slice's penalty."""
    cdef Py_ssize_t start = slice * SLICE
    cdef Py_ssize_t stop = min(start + SLICE, net.n_trainable)
    cdef Mode mode = flush_subnormals()
    cdef double value = finish_slice(
        net, strength, parameters_out, start, stop, n_gradients, gradient_stride, gradients)
    if step.solver.kind == solvers.ADAM:
        solvers.adam_step(gradients + start, stop - start, &step.solver, step.number, moments + start,
                          moments + net.n_trainable + start, parameters_out + start)
    else:
        solvers.sgd_step(gradients + start, stop - start, &step.solver, moments + start, parameters_out + start)
    restore_subnormals(mode)
    return value


cdef double run_slices(
    const Network* net, double strength, const Step* step, Py_ssize_t n_rows, const Workspace* at,
    Py_ssize_t n_threads, floating* workspace, floating* moments, floating* parameters_out,
) noexcept nogil:
    """The solver's step after a batch; the L2 penalty."""
    cdef Py_ssize_t n_slices = count_slices(net.n_trainable)
    cdef Py_ssize_t slice
    cdef double* partials = <double*> (workspace + at.partials)
    cdef double value = 0
    if n_threads == 1 or n_slices == 1:
        for slice in range(n_slices):
            partials[slice] = run_slice(net, strength, step, slice, left_gradients(n_rows, n_threads),
                                        at.gradient_stride, workspace, moments, parameters_out)
    else:
        for slice in prange(n_slices, schedule="static", num_threads=<int> n_threads):
            partials[slice] = run_slice(net, strength, step, slice, left_gradients(n_rows, n_threads),
                                        at.gradient_stride, workspace, moments, parameters_out)
    for slice in range(n_slices):
        value += partials[slice]
    return value


cdef inline Py_ssize_t left_gradients(Py_ssize_t n_rows, Py_ssize_t n_threads) noexcept nogil:
    """Gradients that run_slots leaves in the workspace after a batch of n_rows."""
    return 1 if n_threads == 1 else count_slots(count_groups(n_rows))


cdef bint has_spread(const floating* sample_weight, const Py_ssize_t* rows, Py_ssize_t n_rows) noexcept nogil:
    """Whether two rows or more have weight: a single one has no deviation."""
    cdef Py_ssize_t i, n_weighted = 0
    for i in range(n_rows):
        n_weighted += sample_weight[rows[i]] > 0
    return n_weighted > 1


cdef double sum_weights(const floating* sample_weight, const Py_ssize_t* rows, Py_ssize_t n_rows) noexcept nogil:
    cdef double total = 0
    cdef Py_ssize_t i
    for i in range(n_rows):
        total += sample_weight[rows[i]]
    return total
