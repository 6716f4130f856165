# The checks of recurrent functions that single steps make as well.

cdef double clip_of(str who, cell_clip) except? 0
cdef tuple start_of(str who, cell, state, Py_ssize_t B, Py_ssize_t K, Py_ssize_t H, int number)
