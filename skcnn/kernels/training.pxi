# Runs of mini-batches, from groups to new parameters, by one thread or by several; part of _kernels.pyx.


# ---- from the chunks' gradients to new parameters, a chunk of these at a time ----


cdef inline Py_ssize_t left_gradients(const Batch* batch, const Scratch* at) noexcept nogil:
    """Gradients that run_chunks leaves in scratch memory."""
    return 1 if at.n_threads == 1 else count_chunks(count_groups(batch.n_rows))


cdef double step_chunk(
    const Batch* batch, const Scratch* at, const Step* step, Py_ssize_t chunk, floating* scratch,
    floating* parameters_out,
) noexcept nogil:
    """Finish the gradient of a chunk of the parameters and take the solver's step along it; the chunk's penalty."""
    cdef Py_ssize_t start = chunk * PARAMETER_CHUNK
    cdef Py_ssize_t stop = min(start + PARAMETER_CHUNK, at.net.n_trainable)
    cdef Mode mode = flush_subnormals()
    cdef double value = finish_gradient(at, step.solver.kind, batch.alpha / batch.total_weight, start, stop,
                                        left_gradients(batch, at), parameters_out, scratch + at.gradients)
    step_spans(at, step, start, stop, scratch + at.gradients, parameters_out)
    restore_subnormals(mode)
    return value


# ---- threads: a leader, who goes from batch to batch, and others, who help with whatever it shares ----


cdef struct Work:
    Batch* batch
    const Scratch* at
    Step* step  # NULL if only the batch's gradient is wanted, and its loss
    double loss
    Pass passing  # over the groups of the batch, or SOLVE
    bint alone  # nobody helps
    double saved  # seconds that the leader would have been busy with the chunks that others did
    History* history
    Team team


cdef void do_chunk(
    const Work* work, Py_ssize_t chunk, Py_ssize_t thread_number, floating* parameters, floating* scratch,
) noexcept nogil:
    """A chunk of the batch, or of the parameters, whose share of the loss is left in scratch memory."""
    cdef double* partials = <double*> (scratch + work.at.partials)
    if work.passing == SOLVE:
        partials[chunk] = step_chunk(work.batch, work.at, work.step, chunk, scratch, parameters)
    else:
        partials[chunk] = run_chunk(work.batch, work.at, work.passing, chunk, thread_number, parameters, scratch)


cdef void share_chunks(Work* work, Py_ssize_t n_chunks, floating* parameters, floating* scratch) noexcept nogil:
    """By whoever is free; what that saves the leader is counted at its own pace, by its processor's time."""
    cdef Py_ssize_t n_own = 0
    cdef Py_ssize_t chunk
    cdef double busy = team.busy_seconds()
    team.offer_chunks(&work.team, n_chunks)
    while True:
        chunk = team.take_chunk(&work.team)
        if chunk < 0:
            break
        do_chunk(work, chunk, 0, parameters, scratch)
        team.finish_chunk(&work.team)
        n_own += 1
    busy = team.busy_seconds() - busy
    team.wait_for_chunks(&work.team)
    if n_own:
        work.saved += busy / n_own * (n_chunks - n_own)


cdef double share(
    Work* work, Pass passing, Py_ssize_t n_chunks, floating* parameters, floating* scratch,
) noexcept nogil:
    """All chunks of the batch, or of the parameters; the loss, added up in their order."""
    cdef double* partials = <double*> (scratch + work.at.partials)
    cdef Py_ssize_t chunk
    cdef double value = 0
    work.passing = passing
    if work.alone or n_chunks == 1:
        for chunk in range(n_chunks):
            do_chunk(work, chunk, 0, parameters, scratch)
    else:
        share_chunks(work, n_chunks, parameters, scratch)
    for chunk in range(n_chunks):
        value += partials[chunk]
    return value


cdef void help_leader(Work* work, Py_ssize_t thread_number, floating* parameters, floating* scratch) noexcept nogil:
    cdef Py_ssize_t chunk
    while True:
        chunk = team.next_chunk(&work.team)
        if chunk < 0:
            break
        do_chunk(work, chunk, thread_number, parameters, scratch)
        team.finish_chunk(&work.team)


# ---- what the leader does ----


cdef double run_chunks(Work* work, Pass passing, floating* parameters, floating* scratch) noexcept nogil:
    """All chunks of a batch; the loss. Their gradients are left in scratch memory, added up if there is one thread."""
    if passing != BACKWARD and group_lanes(work.at.net, work.batch.n_rows) == LANES:
        transform_filters(work.at, parameters, scratch)
    return share(work, passing, count_chunks(count_groups(work.batch.n_rows)), parameters, scratch)


cdef double run_batch(Work* work, floating* parameters, floating* scratch) noexcept nogil:
    """Loss of a batch; the chunks' gradients are left in scratch memory, and its statistics, if it is standardised.

    Without standardisation each group goes forward and straight backward. With it, all logits are needed before any
    gradient, so the groups go forward twice: activations are computed again rather than kept for the whole batch,
    however large it is.
    """
    cdef const Batch* batch = work.batch
    cdef const Scratch* at = work.at
    cdef Py_ssize_t n_groups = count_groups(batch.n_rows)
    cdef Py_ssize_t n_outputs = at.net.n_outputs
    cdef floating* weights = scratch + at.batch_weights
    cdef floating* logits = scratch + at.batch_logits
    cdef floating* d_logits = scratch + at.batch_d_logits
    cdef floating* statistics = scratch + at.statistics
    cdef Py_ssize_t g, kept
    cdef double value = 0
    if not at.net.standardize:
        return run_chunks(work, BOTH, parameters, scratch)
    run_chunks(work, FORWARD, parameters, scratch)
    standardization.standardize_batch(weights, n_groups, n_outputs, logits, statistics, statistics + n_outputs)
    for g in range(n_groups):
        kept = g * n_outputs * LANES
        value += losses.loss_and_gradient(logits + kept, scratch + at.batch_targets + kept, weights + g * LANES,
                                          n_outputs, batch.loss, batch.total_weight, d_logits + kept)
    standardization.standardize_backward(logits, weights, statistics + n_outputs, n_groups, n_outputs, d_logits)
    run_chunks(work, BACKWARD, parameters, scratch)
    return value


cdef double weigh(const Batch* batch, const floating* sample_weight, Py_ssize_t* n_weighted_out) noexcept nogil:
    """The sum of the batch's weights, and the number of rows that have any: a single one has no deviation."""
    cdef double total = 0
    cdef Py_ssize_t i
    n_weighted_out[0] = 0
    for i in range(batch.n_rows):
        total += sample_weight[batch.rows[i]]
        n_weighted_out[0] += sample_weight[batch.rows[i]] > 0
    return total


cdef void lead_batches(
    Work* work, Py_ssize_t batch_size, floating* parameters, floating* scratch,
) noexcept nogil:
    """A solver step for each `batch_size` rows of the n_left that the batch has, in their order; the step counts on."""
    cdef const Scratch* at = work.at
    cdef const Network* net = at.net
    cdef Batch* batch = work.batch
    cdef Step* step = work.step
    cdef Py_ssize_t n_weighted
    cdef double loss
    cdef Mode mode = flush_subnormals()
    while batch.n_left:
        batch.n_rows = min(batch_size, batch.n_left)
        batch.total_weight = weigh(batch, <const floating*> batch.sample_weight, &n_weighted)
        if batch.total_weight > 0:
            loss = run_batch(work, parameters, scratch)
            if net.standardize and n_weighted > 1:
                standardization.update_running(
                    scratch + at.statistics, 2 * net.n_outputs, step.n_batches, parameters + net.running_means)
                step.n_batches += 1
            step.number += 1
            if step.averages != NULL:
                count_averaged(step)
            loss += share(work, SOLVE, count_parameter_chunks(net.n_trainable), parameters, scratch)
            step.loss += loss * batch.total_weight
            step.weight += batch.total_weight
        batch.rows += batch.n_rows
        if batch.moves != NULL:
            batch.moves += MOVE_SIZE * batch.n_rows
        step.learning_rates += 1
        if step.averages != NULL:
            step.averaging_weights += 1
        batch.n_left -= batch.n_rows
    restore_subnormals(mode)


cdef void lead(Work* work, Py_ssize_t batch_size, floating* parameters, floating* scratch) noexcept nogil:
    if work.step == NULL:
        work.loss = run_batch(work, parameters, scratch)
    else:
        lead_batches(work, batch_size, parameters, scratch)


cdef void run_batches(Work* work, Py_ssize_t batch_size, floating* parameters, floating* scratch) noexcept nogil:
    """A solver step for each batch, or without a solver one batch's gradient; by as many threads as OpenMP gives."""
    cdef Py_ssize_t number
    cdef double start = team.seconds()
    cdef double busy = team.busy_seconds()
    work.saved = 0
    work.alone = work.at.n_threads == 1 or start < work.history.alone_until
    if work.alone:
        lead(work, batch_size, parameters, scratch)
        return
    team.init(&work.team)
    for number in prange(work.at.n_threads, schedule="static", chunksize=1, num_threads=<int> work.at.n_threads):
        if number == 0:
            lead(work, batch_size, parameters, scratch)
            team.dismiss(&work.team)
            work.saved += team.busy_seconds()
        else:
            help_leader(work, number, parameters, scratch)
    team.destroy(&work.team)
    team.judge(work.history, start, work.saved - busy)
