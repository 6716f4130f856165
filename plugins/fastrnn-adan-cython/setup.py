"""Compiles fastrnn_adan._sweep against the header of the installed fastrnn."""

import site
import sysconfig

from Cython.Build import cythonize
from setuptools import Extension, setup

try:
    import fastrnn
except ImportError:
    # pip builds in an environment of its own; fastrnn is where the plugin is going to be installed.
    site.addsitedir(sysconfig.get_path("platlib"))
    import fastrnn

extension = Extension(
    "fastrnn_adan._sweep",
    ["fastrnn_adan/_sweep.pyx"],
    include_dirs=[fastrnn.get_include()],
    # The same bits everywhere: no fused multiply-adds but those asked for; sqrt may become one
    # instruction since nobody reads errno.
    extra_compile_args=["-O3", "-ffp-contract=off", "-fno-math-errno"],
)
setup(
    ext_modules=cythonize(
        [extension], include_path=[fastrnn.get_include()], build_dir="build/cython"
    )
)
