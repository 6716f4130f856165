"""One RNN, LSTM or GRU node of ONNX with its weights inside, for the peers that run ONNX models."""

import numpy as np

from ..cases import reorder

#: (ours, ONNX's)
GATES = {"rnn": ("h", "h"), "lstm": ("ifco", "iofc"), "gru": ("zrh", "zrh")}


def weights(case, data):
    """W (1, G*H, I), R (1, G*H, H), B (1, 2*G*H) = [input, recurrent]."""
    W, R, b = (reorder(data[name], *GATES[case.cell]) for name in "WRb")
    both = b.reshape(-1) if case.cell == "gru" else np.concatenate([b, np.zeros_like(b)])
    transposed = (np.ascontiguousarray(m.T)[None] for m in (W, R))
    return dict(zip("WRB", (*transposed, both[None]), strict=True))


def model(case, data, states=False):
    """The serialized model: X (T, B, I) to Y (T, 1, B, H); with `states` they come in and go out as well."""
    from onnx import TensorProto, helper, numpy_helper

    def value(name, *shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    letters = ("h", "c")[: 2 if case.cell == "lstm" else 1] if states else ()
    state = (1, case.B, case.H)
    given = [f"initial_{letter}" for letter in letters]
    returned = [f"Y_{letter}" for letter in letters]
    node = helper.make_node(
        case.cell.upper(),
        ["X", "W", "R", "B", "", *given] if states else ["X", "W", "R", "B"],
        ["Y", *returned],
        hidden_size=case.H,
        **({"linear_before_reset": 1} if case.cell == "gru" else {}),
    )
    graph = helper.make_graph(
        [node],
        case.cell,
        [value("X", case.T, case.B, case.I), *(value(name, *state) for name in given)],
        [value("Y", case.T, 1, case.B, case.H), *(value(name, *state) for name in returned)],
        [numpy_helper.from_array(array, name) for name, array in weights(case, data).items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    return made.SerializeToString()


def refuses(case):
    """Both runtimes compute RNNs in float32 and forward only."""
    if case.mode == "train":
        return "inference only"
    return "float32 only" if case.dtype != "float32" else None
