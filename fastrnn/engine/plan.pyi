def chosen(
    gates: int,
    T: int,
    B: int,
    H: int,
    threads: int,
    double_precision: bool = False,
    cache: float = 0.0,
) -> str: ...
def groups(
    gates: int, B: int, H: int, threads: int, ragged: bool = False, cache: float = 0.0
) -> int: ...
