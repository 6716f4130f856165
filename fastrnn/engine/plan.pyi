def chosen(
    gates: int,
    T: int,
    B: int,
    H: int,
    threads: int,
    double_precision: bool = False,
    cache: float = 0.0,
) -> str: ...
