# Inflate: two zlib streams at once.

cdef extern from "fp_inflate.h" nogil:
    ctypedef struct fp_inflate_job:
        const uint8_t *src
        size_t size
        uint8_t *out
        size_t room
        size_t written
        int status
    void fp_inflate_two(fp_inflate_job *jobs)


def inflate_two(first, first_out, second, second_out):
    cdef const uint8_t[::1] a = first, b = second
    cdef uint8_t[::1] a_out = first_out, b_out = second_out
    cdef fp_inflate_job jobs[2]
    if not (a.shape[0] and b.shape[0] and a_out.shape[0] and b_out.shape[0]):
        return -1, -1
    jobs[0].src, jobs[0].size = &a[0], <size_t>a.shape[0]
    jobs[0].out, jobs[0].room = &a_out[0], <size_t>a_out.shape[0]
    jobs[1].src, jobs[1].size = &b[0], <size_t>b.shape[0]
    jobs[1].out, jobs[1].room = &b_out[0], <size_t>b_out.shape[0]
    with nogil:
        fp_inflate_two(jobs)
    if jobs[0].status < 0:
        raise MemoryError
    return (
        <Py_ssize_t>jobs[0].written if jobs[0].status == 0 else -1,
        <Py_ssize_t>jobs[1].written if jobs[1].status == 0 else -1,
    )
