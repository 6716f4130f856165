from typing import Any

from .results import Result

def linear(x: Any, W: Any, b: Any = None, *, training: bool = False) -> Result: ...
