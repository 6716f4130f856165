"""The engine: the only compiled code of fastrnn, and the only code that knows about threads.

Work and memory: ``core`` (the table of kernels, buffers, the one door to threads, over ``barrier.h``), ``share`` (how
work is divided), ``kernels`` (what ``src_c`` has).

Weights and products: ``panels`` (matrices packed for the register tiles), ``weights`` (those of a cell), ``linear``
(products over a team, dense functions), ``outer`` (weight gradients).

A recurrent job: ``ragged`` (rows and tokens), ``job`` (one direction of one layer over one batch), ``buffers`` (what
memory it takes), ``plan`` (how threads divide it: the cost model), ``extent`` (what a thread works on),
``groups`` (work that threads take in turn).

The time loop: ``recurrent`` (forward, and the door), ``bptt`` (back), ``step`` (one step of either), ``inputs`` (x W
and dx, for many steps at once), ``recompute`` (``memory="low"``: gates made again).

And ``sweeps`` over flat arrays, ``plugin`` (what compiled plugins call).
"""
