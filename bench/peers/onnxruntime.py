"""ONNX Runtime's CPU provider: one session, all graph optimizations, outputs bound to their place."""

from . import Runner, onnx_model

PACKAGES = ("onnxruntime", "onnx")
refuses = onnx_model.refuses


def session(content, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def prepare(case, data, threads):
    run = session(onnx_model.model(case, data), threads)
    bound = run.io_binding()
    bound.bind_cpu_input("X", data["x"])
    bound.bind_output("Y")

    def work():
        run.run_with_iobinding(bound)
        return bound

    def numbers(result):
        return {"y": result.copy_outputs_to_cpu()[0][:, 0]}

    return Runner(work, numbers)


def stepper(case, data, threads):
    """One step of a held state, as a function of x (B, I): everything stays bound, the states swap their places."""
    import numpy as np
    from onnxruntime import OrtValue

    run = session(onnx_model.model(case, data, states=True), threads)
    letters = "hc" if case.cell == "lstm" else "h"
    x = np.empty((1, case.B, case.I), case.dtype)
    y = np.empty((1, 1, case.B, case.H), case.dtype)
    zeros = np.zeros((1, case.B, case.H), case.dtype)
    places = [
        {c: OrtValue.ortvalue_from_numpy(zeros.copy(), "cpu", 0) for c in letters} for _ in range(2)
    ]
    given, returned = (OrtValue.ortvalue_from_numpy(array, "cpu", 0) for array in (x, y))
    bindings = []
    for old, new in (places, places[::-1]):
        bound = run.io_binding()
        bound.bind_ortvalue_input("X", given)
        bound.bind_ortvalue_output("Y", returned)
        for letter in letters:
            bound.bind_ortvalue_input(f"initial_{letter}", old[letter])
            bound.bind_ortvalue_output(f"Y_{letter}", new[letter])
        bindings.append(bound)

    def step(value):
        x[0] = value
        run.run_with_iobinding(bindings[0])
        bindings.reverse()
        return y[0, 0]

    return step
