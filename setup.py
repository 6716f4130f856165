"""The native build of fastrnn: everything else is in pyproject.toml.

src_c/ is compiled once per SIMD target and precision, each with its own flags (src_c/targets.mk), and linked into
fastrnn.engine.core alone; the other Cython modules get the kernel table from it. OpenMP is probed
by compiling and running a program.

Environment: FASTRNN_NO_OPENMP=1 builds without threads; FASTRNN_SANITIZE=address,undefined builds
for the sanitizers; CC, CFLAGS and LDFLAGS mean what they always mean.
"""

import hashlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import Cython
import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError, PlatformError

ROOT = Path(__file__).resolve().parent
os.chdir(ROOT)  # distutils derives object paths from source paths, so these must be relative

DIRECTIVES = {
    "language_level": 3,
    "cdivision": True,
    "initializedcheck": False,
    "freethreading_compatible": True,
}
# The engine computes its indices from checked sizes; the functional room handles what users pass, and users read its
# docstrings, to which Python adds the signatures by itself.
ENGINE = {"boundscheck": False, "wraparound": False, "embedsignature": True}

OPENMP_PROGRAM = """
#include <omp.h>
#include <stdio.h>
int main(void) {
    int n = 0;
    #pragma omp parallel num_threads(2)
    {
        #pragma omp atomic
        n += 1;
    }
    printf("%d\\n", n);
    return omp_get_max_threads() < 1 || n < 1;
}
"""

NO_OPENMP = """
************************************************************************************************
fastrnn: {why}
fastrnn: building WITHOUT THREADS; every computation will use one core.
fastrnn: gcc has OpenMP built in; clang needs libomp. Debian: apt-get install libomp-dev.
fastrnn: macOS: brew install libomp, then build with CFLAGS=-I$(brew --prefix libomp)/include and
fastrnn: LDFLAGS=-L$(brew --prefix libomp)/lib.
************************************************************************************************
"""


def read_targets():
    """src_c/targets.mk: {target: (architecture, its flags)}, the common flags, those of kernels, the warnings."""
    text = Path("src_c/targets.mk").read_text()
    rows = {
        name: value.split() for name, value in re.findall(r"^(\w+) *= *(.*)$", text, re.MULTILINE)
    }
    of_all = [rows.pop(name) for name in ("COMMON", "KERNELS", "WARNINGS")]
    return {name: (row[0], row[1:]) for name, row in rows.items()}, *of_all


def files(*patterns):
    return sorted(path.as_posix() for pattern in patterns for path in Path().glob(pattern))


def warn(message):
    print(f"fastrnn: WARNING: {message}", file=sys.stderr, flush=True)


class BuildEngine(build_ext):
    """Compiles src_c per target, turns .pyx into C out of the source tree, and links."""

    def finalize_options(self):
        super().finalize_options()
        # An editable build gets fresh temporary folders from setuptools, which would recompile
        # everything each time; folders of our own, named by all that shapes the objects, let a
        # rebuild compile what changed.
        shaped_by = [Path("setup.py").read_text(), Path("src_c/targets.mk").read_text()]
        shaped_by += [Cython.__version__, numpy.__version__, sys.version, str(bool(self.debug))]
        switches = ("CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "ARCHFLAGS")
        switches += ("FASTRNN_NO_OPENMP", "FASTRNN_SANITIZE")
        shaped_by += [f"{name}={os.environ.get(name, '')}" for name in switches]
        key = hashlib.sha256("\0".join(shaped_by).encode()).hexdigest()[:12]
        self.build_temp = f"build/objects-{sys.implementation.cache_tag}-{key}"
        self.own_lib = bool(self.editable_mode or self.inplace)
        if self.own_lib:
            self.build_lib = f"{self.build_temp}/lib"
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self):
        if self.compiler.compiler_type != "unix":
            raise PlatformError(
                f"fastrnn builds with gcc or clang, not with {self.compiler.compiler_type}"
            )
        self.set_flags()
        objects = self.compile_kernels()
        generated = []
        for extension in self.extensions:
            more = ENGINE if extension.name.startswith("fastrnn.engine.") else {}
            generated += cythonize(
                [Extension(extension.name, extension.sources)],
                build_dir=f"{self.build_temp}/cython",
                include_path=["."],
                compiler_directives=DIRECTIVES | more,
                force=self.force,
            )
        headers = files("src_c/**/*.h", "src_c/*.def", "fastrnn/*/*.h")
        folders = ["src_c", "fastrnn/engine", "fastrnn/include", numpy.get_include()]
        for extension, c_form in zip(self.extensions, generated, strict=True):
            extension.sources = c_form.sources
            extension.depends = headers
            extension.include_dirs = folders
            extension.define_macros = self.macros
            extension.extra_compile_args = self.flags + self.openmp_compile + self.user_flags
            extension.libraries = ["m"]
            extension.extra_link_args = self.openmp_link + self.sanitize
            if extension.name == "fastrnn.engine.core":
                extension.extra_objects = objects
                extension.depends = headers + objects
            if not self.own_lib:
                # setuptools' folder does not know with which flags its modules were built.
                Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
        super().build_extensions()

    def set_flags(self):
        self.targets, common, self.kernel_flags, self.warnings = read_targets()
        sanitizers = os.environ.get("FASTRNN_SANITIZE", "").strip()
        self.sanitize = [f"-fsanitize={sanitizers}"] if sanitizers else []
        # Debug information is half of a wheel; -g in CFLAGS brings it back.
        self.flags = [*common, "-fvisibility=hidden", "-g0"]
        if sanitizers:
            self.flags += [*self.sanitize, "-fno-sanitize-recover=all", "-UNDEBUG"]
            # -g1: lines without variables, in half the time
            self.flags += ["-g1", "-O1", "-fno-omit-frame-pointer"]
        # distutils puts CFLAGS before ours; what the user says comes last.
        self.user_flags = shlex.split(os.environ.get("CFLAGS", ""))
        self.openmp_compile, self.openmp_link, why_not = self.probe_openmp()
        self.macros = [("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")]
        if why_not:
            print(NO_OPENMP.format(why=why_not), file=sys.stderr, flush=True)

    def probe_openmp(self):
        """(compile flags, link flags, None), or two empty lists and why there is no OpenMP."""
        if os.environ.get("FASTRNN_NO_OPENMP", "0") not in ("", "0"):
            return [], [], "FASTRNN_NO_OPENMP is set."
        candidates = [(["-fopenmp"], ["-fopenmp"])]
        if sys.platform == "darwin":
            candidates.append((["-Xpreprocessor", "-fopenmp"], ["-lomp"]))
        for compile_flags, link_flags in candidates:
            if self.runs(OPENMP_PROGRAM, compile_flags, link_flags):
                return compile_flags, link_flags, None
        return [], [], f"{shlex.join(self.compiler.compiler_so[:1])} cannot build OpenMP programs."

    def compile_kernels(self):
        """The objects of src_c: the common files and two per target that fits this machine."""
        shared = files("src_c/*.c")
        jobs = []
        chosen = []
        for name, (architecture, flags) in self.targets.items():
            source = f"src_c/targets/{name}.c"
            if not self.is_architecture(architecture) or not Path(source).exists():
                continue
            if not self.compiles("int fastrnn_probe;", flags):
                warn(f"the compiler refuses {shlex.join(flags)}: the {name} kernels are left out")
                continue
            chosen.append(name)
            jobs += [(source, flags, bits) for bits in ("32", "64")]
        macros = [(f"FASTRNN_HAVE_{name.upper()}", "1") for name in chosen]
        jobs += [(source, [], "") for source in shared]
        headers = files("src_c/**/*.h", "src_c/*.def")
        newest = max((os.path.getmtime(header) for header in headers), default=0.0)

        def build(job):
            source, flags, bits = job
            folder = f"{self.build_temp}/{bits}"
            (target,) = self.compiler.object_filenames([source], output_dir=folder)
            changed = max(newest, os.path.getmtime(source))
            if self.force or not os.path.exists(target) or os.path.getmtime(target) < changed:
                self.compiler.compile(
                    [source],
                    output_dir=folder,
                    macros=macros + ([("REAL_BITS", bits)] if bits else []),
                    include_dirs=["src_c"],
                    extra_postargs=self.flags
                    + self.kernel_flags
                    + self.warnings
                    + self.user_flags
                    + flags,
                )
            return target

        print(f"fastrnn: SIMD targets: {', '.join(chosen)}", flush=True)
        with ThreadPoolExecutor(self.parallel) as pool:
            return list(pool.map(build, jobs))

    def is_architecture(self, name):
        # Asked of the compiler, not of the machine: a cross build compiles for the other one.
        return name == "any" or self.compiles(f"#ifndef __{name}__\n#error other\n#endif\n", [])

    def compiles(self, code, flags):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(code)
            command = [*self.compiler.compiler_so, *self.user_flags, *flags]
            command += ["-c", str(source), "-o", f"{folder}/probe.o"]
            return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def runs(self, code, compile_flags, link_flags):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(code)
            postargs = compile_flags + self.user_flags
            try:
                objects = self.compiler.compile(
                    [str(source)], output_dir=folder, extra_postargs=postargs
                )
                # The flags that the extension itself will be linked with.
                postargs = link_flags + shlex.split(os.environ.get("LDFLAGS", ""))
                self.compiler.link_executable(
                    objects, "probe", output_dir=folder, extra_postargs=postargs
                )
                ran = subprocess.run([f"{folder}/probe"], capture_output=True, timeout=60)
            except (CompileError, LinkError, OSError, subprocess.SubprocessError):
                return False
            return ran.returncode == 0


extensions = [
    Extension(path.removesuffix(".pyx").replace("/", "."), [path])
    for path in files("fastrnn/**/*.pyx")
]
setup(ext_modules=extensions, cmdclass={"build_ext": BuildEngine})
