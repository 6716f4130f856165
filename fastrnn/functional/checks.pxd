# The checks of every call for the compiled modules: arrays as the engine takes them, by NumPy's type number.

cdef bint ready(value, int number) noexcept
cdef int number_of(tuple arrays) except -1
cdef as_ready(str who, name, value, int number)
cpdef tuple shape_of(str who, name, value)
