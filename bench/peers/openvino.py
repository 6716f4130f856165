"""OpenVINO's CPU plugin: latency hint, float32 (its default would be bfloat16 where the CPU has it), shared arrays."""

from . import Runner, onnx_model

PACKAGES = ("openvino", "onnx")
refuses = onnx_model.refuses


def prepare(case, data, threads):
    import openvino

    core = openvino.Core()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    model = core.read_model(onnx_model.model(case, data))
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    # What is set once stays: the calls move no arrays.
    request.set_input_tensor(openvino.Tensor(data["x"], shared_memory=True))

    def work():
        request.infer()
        return request

    def numbers(result):
        return {"y": result.get_output_tensor().data[:, 0]}

    return Runner(work, numbers)
