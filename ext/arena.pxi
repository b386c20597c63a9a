# Memory that is lent and comes back by itself.

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.pythread cimport WAIT_LOCK


cdef extern from "fp_arena.h" nogil:
    ctypedef struct fp_arena:
        pass
    fp_arena *fp_arena_new(size_t size)
    void fp_arena_free(fp_arena *arena)
    void *fp_arena_take(fp_arena *arena, size_t size)
    void fp_arena_give(fp_arena *arena, void *piece, size_t size)
    size_t fp_arena_used(const fp_arena *arena)


@cython.final
cdef class Arena:
    cdef fp_arena *arena
    cdef PyThread_type_lock lock
    cdef readonly size_t size

    def __cinit__(self, size_t size):
        self.size = size
        self.lock = PyThread_allocate_lock()
        if self.lock == NULL or size == 0:
            raise MemoryError("arena: no lock, or no bytes")

    def __dealloc__(self):
        fp_arena_free(self.arena)
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    def take(self, size_t size):
        cdef Loan loan = Loan.__new__(Loan)
        cdef void *piece = NULL
        if size == 0:
            return None
        PyThread_acquire_lock(self.lock, WAIT_LOCK)
        if self.arena == NULL:
            self.arena = fp_arena_new(self.size)
        if self.arena != NULL:
            piece = fp_arena_take(self.arena, size)
        PyThread_release_lock(self.lock)
        if piece == NULL:
            return None
        loan.arena, loan.piece, loan.size = self, piece, size
        return loan

    @property
    def used(self):
        cdef size_t used
        PyThread_acquire_lock(self.lock, WAIT_LOCK)
        used = fp_arena_used(self.arena) if self.arena != NULL else 0
        PyThread_release_lock(self.lock)
        return used


@cython.final
@cython.no_gc  # its end must find the arena
cdef class Loan:
    """A piece of an arena, a writable buffer; it goes back when nothing refers to it any more."""
    cdef Arena arena
    cdef void *piece
    cdef size_t size

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.piece, <Py_ssize_t>self.size, 0, flags)

    def __dealloc__(self):
        cdef fp_arena *empty = NULL
        if self.piece == NULL:
            return
        PyThread_acquire_lock(self.arena.lock, WAIT_LOCK)
        fp_arena_give(self.arena.arena, self.piece, self.size)
        if fp_arena_used(self.arena.arena) == 0:
            empty, self.arena.arena = self.arena.arena, NULL
        PyThread_release_lock(self.arena.lock)
        fp_arena_free(empty)
