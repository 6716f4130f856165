"""The engine: the only compiled code of fastrnn, and the only code that knows about threads."""
